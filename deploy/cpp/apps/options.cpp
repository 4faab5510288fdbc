#include "options.h"

#include <algorithm>

#include "records.h"
#include "text.h"

namespace crosscam {

Options::Options(int count, char** words, const std::vector<std::string>& known) {
  for (int i = 1; i < count; i += 2) {
    const std::string word = words[i];
    const bool dashed = word.rfind("--", 0) == 0;
    const std::string name = dashed ? word.substr(2) : word;
    if (!dashed || std::find(known.begin(), known.end(), name) == known.end()) {
      std::string names;
      for (const std::string& one : known) names += " --" + one;
      throw Error("there is no option '" + word + "': there are" + names);
    }
    if (i + 1 == count) throw Error("--" + name + " needs a value");
    said_[name].emplace_back(words[i + 1]);
  }
}

std::optional<std::string> Options::text(const std::string& name) const {
  const auto found = said_.find(name);
  if (found == said_.end()) return std::nullopt;
  return found->second.back();
}

std::string Options::needed(const std::string& name) const {
  const auto value = text(name);
  if (!value) throw Error("--" + name + " is missing");
  return *value;
}

double Options::number(const std::string& name, std::optional<double> otherwise, double low, double high) const {
  if (otherwise && !text(name)) return *otherwise;
  const std::string said = needed(name);
  const auto value = crosscam::number(said);
  if (!value || !(low <= *value && *value <= high)) {
    throw Error("--" + name + " is '" + said + "', but must be a number from " + shortest(low) + " to " +
                shortest(high));
  }
  return *value;
}

std::vector<std::string> Options::all(const std::string& name) const {
  const auto found = said_.find(name);
  return found == said_.end() ? std::vector<std::string>() : found->second;
}

}  // namespace crosscam
