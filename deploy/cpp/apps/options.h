// What is said on a command line: `--name value`, in any order, some more than once.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace crosscam {

class Options {
 public:
  // `known`: the options there are. Throws Error for others, and for one without a value.
  Options(int count, char** words, const std::vector<std::string>& known);

  // What was said last; none if nothing.
  std::optional<std::string> text(const std::string& name) const;

  // Throws Error if it was not said.
  std::string needed(const std::string& name) const;

  // Throws Error if it is no number in the range.
  double number(const std::string& name, std::optional<double> otherwise, double low, double high) const;

  std::vector<std::string> all(const std::string& name) const;

 private:
  std::map<std::string, std::vector<std::string>> said_;
};

}  // namespace crosscam
