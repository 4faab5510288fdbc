#include "text.h"

#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>

#include "records.h"

namespace crosscam {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\f\v";

template <typename... Format>
std::string written(double value, Format... format) {
  char room[400];  // the longest double in fixed notation has 309 digits before its point
  const auto end = std::to_chars(std::begin(room), std::end(room), value, format...).ptr;
  return {room, end};
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<double> number(std::string_view text) {
  text = trimmed(text);
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text.front() == '-') return std::nullopt;
  }
  double value = 0.0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty() || problem == std::errc::invalid_argument) return std::nullopt;
  if (problem == std::errc::result_out_of_range) {
    const bool tiny = text.find("e-") != std::string_view::npos || text.find("E-") != std::string_view::npos;
    const double size = tiny ? 0.0 : std::numeric_limits<double>::infinity();
    return text.front() == '-' ? -size : size;
  }
  return value;
}

std::string fixed(double value, int digits) { return written(value, std::chars_format::fixed, digits); }

std::string shortest(double value) { return written(value, std::chars_format::general, 6); }

std::vector<std::string> read_lines(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> lines;
  if (std::filesystem::is_directory(path) || !file) throw Error(path.string() + " cannot be read: check the path");
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(std::move(line));
  }
  return lines;
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::error_code ignored;  // whether there is a folder now is seen when the file is opened
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
  std::ofstream file(path, std::ios::binary);
  file << text << std::flush;
  if (!file) throw Error(path.string() + " cannot be written: check the path and the disk");
}

}  // namespace crosscam
