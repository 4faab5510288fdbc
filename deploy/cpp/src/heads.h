// What detectors say, and how to read boxes from it: the layouts of operators/heads.py that detect in one picture. A
// layout is recognised by the number and shapes of the outputs; names differ from exporter to exporter.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "model_description.h"
#include "records.h"

namespace crosscam {

// One output of a network for one picture.
struct Output {
  std::vector<int> shape;
  std::vector<float> values;
};

// Boxes as a network gave them.
struct Found {
  std::vector<Detection> boxes;
  bool suppressed = false;  // nothing overlaps any more; else suppression is left to do
  bool in_picture = false;  // in pixels of the picture; else of the input
};

// Reads the outputs of one layout.
class Head {
 public:
  virtual ~Head() = default;

  // How many classes it scores; 0 where the outputs do not tell.
  virtual int classes() const { return 0; }

  // The boxes that score at least `floor`. size: (height, width) of this picture's input.
  virtual Found read(const std::vector<Output>& outputs, std::array<int, 2> size, float floor) const = 0;
};

// The reader for outputs like these.
//   size: (height, width) of the input. labels: how many classes the configuration names, 0 if it does not say.
//   scaled: the network was told the pictures' scale.
// Throws Error if no reader knows them.
std::unique_ptr<Head> recognise(const std::vector<Output>& outputs, std::array<int, 2> size, int labels, bool scaled);

}  // namespace crosscam
