#include "model_description.h"

#include <algorithm>
#include <cmath>

#include "records.h"
#include "yaml.h"

namespace crosscam {
namespace {

// What PaddleDetection's own deployment code takes where a key is absent.
constexpr std::array<double, 3> kImagenetMean{0.485, 0.456, 0.406}, kImagenetStd{0.229, 0.224, 0.225};
constexpr double kLetterboxGrey = 127.5, kPadGrey = 114.0;
constexpr int kArea = 3, kLinear = 1;

bool truth(const Yaml& value, bool otherwise) { return value ? value.truth() : otherwise; }

int whole(const Yaml& value, int otherwise) { return value ? static_cast<int>(value.number()) : otherwise; }

std::array<int, 2> pair(const Yaml& value) {
  const std::vector<double> sides = value.numbers();
  if (sides.empty() || sides.size() > 2) throw Error("a size of two sides is expected");
  return {static_cast<int>(sides.front()), static_cast<int>(sides.back())};
}

std::array<double, 3> three(const Yaml& value, const std::array<double, 3>& otherwise) {
  if (!value) return otherwise;
  const std::vector<double> values = value.numbers();
  if (values.size() != 3) throw Error("three numbers are expected, one a channel");
  return {values[0], values[1], values[2]};
}

void resize(ModelDescription& found, const Yaml& step, bool boxed) {
  const auto [height, width] = pair(step["target_size"]);
  found.height = height;
  found.width = width;
  found.keep_ratio = boxed || truth(step["keep_ratio"], true);
  found.interpolation = boxed ? kArea : whole(step["interp"], kLinear);
  found.fill = found.centred = boxed;
  if (boxed) found.padding = kLetterboxGrey;
}

void normalise(ModelDescription& found, const Yaml& step) {
  const double unit = truth(step["is_scale"], true) ? 255.0 : 1.0;
  const Yaml& type = step["norm_type"];
  std::array<double, 3> mean{0.0, 0.0, 0.0}, std{1.0, 1.0, 1.0};
  if (!type || type.word == "mean_std") {
    mean = three(step["mean"], kImagenetMean);
    std = three(step["std"], kImagenetStd);
  }
  for (std::size_t i = 0; i < 3; ++i) {
    found.mean[i] = unit * mean[i];
    found.std[i] = unit * std[i];
  }
}

void pad(ModelDescription& found, const Yaml& step, bool normalised) {
  const auto [height, width] = pair(step["size"]);
  found.height = height;
  found.width = width;
  found.fill = true;
  const Yaml& value = step["fill_value"];
  const std::vector<double> greys = value ? value.numbers() : std::vector<double>{kPadGrey};
  if (greys.empty()) throw Error("fill_value is empty");
  found.padding = normalised ? std::nullopt : std::optional(greys.front());
}

void prepare(ModelDescription& found, const Yaml& steps) {
  bool normalised = false;
  for (const Yaml& step : steps.list) {
    const std::string& kind = step["type"].word;
    if (kind == "Resize" || kind == "LetterBoxResize") {
      resize(found, step, kind == "LetterBoxResize");
    } else if (kind == "NormalizeImage") {
      normalise(found, step);
      normalised = true;
    } else if (kind == "PadStride") {
      found.pad_to = std::max(1, whole(step["stride"], 0));
      found.padding = normalised ? std::nullopt : std::optional(0.0);
    } else if (kind == "Pad") {
      pad(found, step, normalised);
    } else if (kind != "Permute") {
      throw Error("preprocessing has a step '" + kind + "', which cannot be followed here");
    }
  }
}

int up(int side, int multiple) { return (side + multiple - 1) / multiple * multiple; }

int rounded(double side) { return std::max(1, static_cast<int>(std::nearbyint(side))); }

}  // namespace

Placement ModelDescription::placement(int picture_height, int picture_width) const {
  Placement found{};
  found.size = {height, width};
  if (keep_ratio) {
    double ratio = std::min(static_cast<double>(height) / picture_height, static_cast<double>(width) / picture_width);
    if (!fill) {
      const auto [shorter, longer] = std::minmax(picture_height, picture_width);
      ratio = std::min(static_cast<double>(std::min(height, width)) / shorter,
                       static_cast<double>(std::max(height, width)) / longer);
    }
    found.size = {rounded(picture_height * ratio), rounded(picture_width * ratio)};
  }
  found.shape = fill ? std::array{height, width} : found.size;
  for (std::size_t i = 0; i < 2; ++i) {
    found.shape[i] = up(found.shape[i], pad_to);
    found.offset[i] = centred ? (found.shape[i] - found.size[i]) / 2 : 0;
  }
  found.scale = {static_cast<double>(found.size[0]) / picture_height,
                 static_cast<double>(found.size[1]) / picture_width};
  return found;
}

ModelDescription read_description(const std::filesystem::path& folder) {
  for (const char* name : {"infer_cfg.yml", "inference.yml"}) {
    const std::filesystem::path file = folder / name;
    if (!std::filesystem::is_regular_file(file)) continue;
    const Yaml content = read_yaml(file);
    try {
      ModelDescription found;
      prepare(found, content["Preprocess"]);
      if (found.height <= 0 || found.width <= 0) throw Error("it does not say how large the input is");
      for (const Yaml& label : content["label_list"].list) found.labels.push_back(label.word);
      const Yaml& iou = content["NMS"]["nms_threshold"];
      if (iou) found.iou = iou.number();
      found.architecture = content["arch"].word;
      return found;
    } catch (const Error& error) {
      throw Error(file.string() + ": " + error.what());
    }
  }
  throw Error(folder.string() + " holds no infer_cfg.yml: give the folder of an exported model");
}

}  // namespace crosscam
