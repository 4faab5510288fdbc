// What PaddleDetection writes beside an exported model, infer_cfg.yml or inference.yml, as operators/exported_model.py
// reads it: how pictures are prepared, what the classes are called, and the threshold of suppression.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace crosscam {

// Where a picture lies in its input: (height, width) of the input and of the resized picture, its (top, left) in the
// input, and input pixels per picture pixel, (y, x).
struct Placement {
  std::array<int, 2> shape, size, offset;
  std::array<double, 2> scale;
};

struct ModelDescription {
  int height = 0, width = 0;  // aimed at; 0 where the file does not say
  bool keep_ratio = false;
  int interpolation = 1;  // OpenCV's number
  bool fill = false, centred = false;
  int pad_to = 1;
  std::array<double, 3> mean{0.0, 0.0, 0.0}, std{1.0, 1.0, 1.0};  // per channel, red first, pixel values 0 to 255
  std::optional<double> padding;  // value of padded pixels, 0 to 255; none for 0 after normalising
  std::vector<std::string> labels;
  std::optional<double> iou;
  std::string architecture;

  // Where a picture of that size lies.
  Placement placement(int picture_height, int picture_width) const;
};

// The description in a model's folder.
// Throws Error: there is none, it cannot be read, or it has a step that cannot be followed here.
ModelDescription read_description(const std::filesystem::path& folder);

}  // namespace crosscam
