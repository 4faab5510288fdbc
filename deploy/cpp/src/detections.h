// From a network's outputs to a picture's detections: classes chosen, suppressed, in the picture's pixels.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "heads.h"
#include "model_description.h"
#include "records.h"

namespace crosscam {

// Which of a model's classes are wanted, as numbers.
class Classes {
 public:
  // `labels`: the model's. `wanted`: names to keep, in the order of their numbers; none for all.
  // A pedestrian is a person, too, where persons are wanted. Throws Error for a name that the model does not know.
  Classes(std::vector<std::string> labels, std::vector<std::string> wanted);

  // The number of the model's class `label`, -1 if it is not wanted.
  // Throws Error for a label that has no name.
  int number(int label) const;

  const std::vector<std::string>& names() const { return wanted_; }

 private:
  std::vector<std::string> wanted_;
  std::vector<int> numbers_;
};

// The classes of a model that go with what its network scores.
// Throws Error if the configuration names none, or another number than are scored.
Classes classes_of(const ModelDescription& description, const Head& head, std::vector<std::string> wanted);

// The detections of a picture of (height, width), best first.
std::vector<Detection> finish(const Found& found, const Classes& classes, float iou, const Placement& placement,
                              std::array<int, 2> picture);

// The threshold of suppression: what the configuration says, or the usual one.
float iou_of(const ModelDescription& description);

}  // namespace crosscam
