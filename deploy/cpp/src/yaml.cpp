#include "yaml.h"

#include "records.h"
#include "text.h"

namespace crosscam {
namespace {

struct TextLine {
  std::size_t indent;
  std::string text;
  std::size_t number;
};

// Where a comment begins: a # at the beginning or after a blank, outside of quotes.
std::string_view without_comment(std::string_view text) {
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if ((c == '"' || c == '\'') && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '[' || text[i - 1] == ',')) {
      quote = c;
    } else if (c == '#' && (i == 0 || text[i - 1] == ' ')) {
      return text.substr(0, i);
    }
  }
  return text;
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path.string()) {
    std::size_t number = 0;
    for (const std::string& line : read_lines(path)) {
      ++number;
      const std::string_view text = without_comment(line);
      const std::string_view inner = trimmed(text);
      if (inner.empty() || inner == "---" || inner == "...") continue;
      const std::size_t indent = text.find_first_not_of(' ');
      rows_.push_back({indent, std::string(inner), number});
    }
  }

  Yaml read() {
    Yaml value;
    if (!rows_.empty()) value = block(rows_.front().indent);
    if (at_ != rows_.size()) fail("it is indented as nothing around it");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    const std::size_t number = at_ < rows_.size() ? rows_[at_].number : rows_.empty() ? 1 : rows_.back().number;
    throw Error(path_ + ", line " + std::to_string(number) + ": " + what + "; export the model again");
  }

  static bool is_item(const std::string& text) { return text == "-" || text.rfind("- ", 0) == 0; }

  // Where a key ends in "key: value" or "key:"; npos if this is no such row.
  static std::size_t colon(std::string_view text) {
    if (text.empty() || text.front() == '[' || text.front() == '{') return std::string_view::npos;
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (quote != 0) {
        if (text[i] == quote) quote = 0;
      } else if (i == 0 && (text[i] == '"' || text[i] == '\'')) {
        quote = text[i];
      } else if (text[i] == ':' && (i + 1 == text.size() || text[i + 1] == ' ')) {
        return i;
      }
    }
    return std::string_view::npos;
  }

  Yaml block(std::size_t indent) {
    const std::string& first = rows_[at_].text;
    if (is_item(first)) return list(indent);
    if (colon(first) != std::string_view::npos) return map(indent);
    return value(rows_[at_++].text);
  }

  Yaml list(std::size_t indent) {
    Yaml found;
    found.kind = Yaml::Kind::kList;
    while (at_ < rows_.size() && rows_[at_].indent == indent && is_item(rows_[at_].text)) {
      TextLine& row = rows_[at_];
      const std::size_t begins = row.text.find_first_not_of(' ', 1);
      if (begins == std::string::npos) {
        ++at_;
        found.list.push_back(nested(indent, false));
      } else {
        // What stands behind the dash is a block of its own, indented to where it begins.
        row.text.erase(0, begins);
        row.indent = indent + begins;
        found.list.push_back(block(row.indent));
      }
    }
    return found;
  }

  Yaml map(std::size_t indent) {
    Yaml found;
    found.kind = Yaml::Kind::kMap;
    while (at_ < rows_.size() && rows_[at_].indent == indent && !is_item(rows_[at_].text)) {
      const std::string text = rows_[at_].text;
      const std::size_t end = colon(text);
      if (end == std::string_view::npos) fail("a key and a colon are expected, not '" + text + "'");
      std::string key = unquoted(trimmed(std::string_view(text).substr(0, end)));
      std::string_view rest = trimmed(std::string_view(text).substr(end + 1));
      std::string anchor;
      if (!rest.empty() && rest.front() == '&') {
        const std::size_t blank = rest.find(' ');
        anchor = rest.substr(1, blank == std::string_view::npos ? blank : blank - 1);
        rest = blank == std::string_view::npos ? std::string_view() : trimmed(rest.substr(blank));
      }
      Yaml of_key;
      if (rest.empty()) {
        ++at_;
        of_key = nested(indent, true);
      } else {
        of_key = value(rest);
        ++at_;
      }
      if (!anchor.empty()) anchors_[anchor] = of_key;
      found.map.emplace_back(std::move(key), std::move(of_key));
    }
    return found;
  }

  // What belongs to the row before: it is indented deeper. A list may begin right below its key.
  Yaml nested(std::size_t indent, bool of_key) {
    if (at_ == rows_.size()) return {};
    const TextLine& row = rows_[at_];
    if (row.indent > indent || (of_key && row.indent == indent && is_item(row.text))) return block(row.indent);
    return {};
  }

  Yaml value(std::string_view text) {
    std::size_t end = 0;
    Yaml found = inline_value(text, end, false);
    if (!trimmed(text.substr(end)).empty()) fail("'" + std::string(text) + "' goes on behind its end");
    return found;
  }

  Yaml inline_value(std::string_view text, std::size_t& at, bool inside) {
    skip_blanks(text, at);
    if (at < text.size() && (text[at] == '[' || text[at] == '{')) return bracketed(text, at);
    const std::size_t begins = at;
    if (at < text.size() && (text[at] == '"' || text[at] == '\'')) {
      const std::size_t closing = text.find(text[at], at + 1);
      if (closing == std::string_view::npos) fail("a quotation mark is not closed");
      at = closing + 1;
    } else {
      at = inside ? std::min(text.find_first_of(",]}", at), text.size()) : text.size();
    }
    const std::string_view said = trimmed(text.substr(begins, at - begins));
    if (!said.empty() && said.front() == '*') {
      const auto known = anchors_.find(std::string(said.substr(1)));
      if (known == anchors_.end()) fail("nothing is called " + std::string(said.substr(1)));
      return known->second;
    }
    Yaml found;
    if (said.empty() || said == "null" || said == "~") return found;
    found.kind = Yaml::Kind::kWord;
    found.word = unquoted(said);
    return found;
  }

  Yaml bracketed(std::string_view text, std::size_t& at) {
    const bool mapping = text[at++] == '{';
    const char closing = mapping ? '}' : ']';
    Yaml found;
    found.kind = mapping ? Yaml::Kind::kMap : Yaml::Kind::kList;
    for (;;) {
      skip_blanks(text, at);
      if (at >= text.size()) fail("a bracket is not closed on its line");
      if (text[at] == closing) {
        ++at;
        return found;
      }
      if (mapping) {
        const std::size_t end = text.find(':', at);
        if (end == std::string_view::npos) fail("a key and a colon are expected in the braces");
        std::string key = unquoted(trimmed(text.substr(at, end - at)));
        at = end + 1;
        found.map.emplace_back(std::move(key), inline_value(text, at, true));
      } else {
        found.list.push_back(inline_value(text, at, true));
      }
      skip_blanks(text, at);
      if (at < text.size() && text[at] == ',') ++at;
    }
  }

  static void skip_blanks(std::string_view text, std::size_t& at) {
    while (at < text.size() && text[at] == ' ') ++at;
  }

  static std::string unquoted(std::string_view text) {
    const bool quoted = text.size() > 1 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
    return std::string(quoted ? text.substr(1, text.size() - 2) : text);
  }

  std::string path_;
  std::vector<TextLine> rows_;
  std::size_t at_ = 0;
  std::map<std::string, Yaml> anchors_;
};

}  // namespace

const Yaml& Yaml::operator[](std::string_view key) const {
  static const Yaml nothing;
  for (const auto& [name, value] : map) {
    if (name == key) return value;
  }
  return nothing;
}

double Yaml::number() const {
  const auto value = kind == Kind::kWord ? crosscam::number(word) : std::nullopt;
  if (!value) throw Error("a number is expected where there is '" + word + "'");
  return *value;
}

bool Yaml::truth() const {
  if (word == "true" || word == "True" || word == "1") return true;
  if (word == "false" || word == "False" || word == "0") return false;
  throw Error("true or false is expected where there is '" + word + "'");
}

std::vector<double> Yaml::numbers() const {
  std::vector<double> values;
  if (kind == Kind::kWord) return {number()};
  for (const Yaml& one : list) values.push_back(one.number());
  return values;
}

Yaml read_yaml(const std::filesystem::path& path) { return Reader(path).read(); }

}  // namespace crosscam
