// As much of YAML as infer_cfg.yml is made of: maps and lists in blocks, lists and maps in brackets on one line, plain
// and quoted words, comments, anchors and aliases of whole values.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace crosscam {

struct Yaml {
  enum class Kind { kNothing, kWord, kList, kMap };

  Kind kind = Kind::kNothing;
  std::string word;
  std::vector<Yaml> list;
  std::vector<std::pair<std::string, Yaml>> map;

  // The value of a key; nothing if there is no such key, or this is no map.
  const Yaml& operator[](std::string_view key) const;

  explicit operator bool() const { return kind != Kind::kNothing; }

  // Throws Error: it is something else.
  double number() const;
  bool truth() const;
  std::vector<double> numbers() const;
};

// Throws Error if it cannot be read, or is none of what is listed above.
Yaml read_yaml(const std::filesystem::path& path);

}  // namespace crosscam
