#include "heads.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

namespace crosscam {
namespace {

constexpr std::size_t kMostCandidates = 1000;  // so many boxes are looked at, the best

struct Candidate {
  int anchor, label;
  float score;
};

// Of too many candidates the best, in their order.
void keep_best(std::vector<Candidate>& candidates) {
  if (candidates.size() <= kMostCandidates) return;
  std::vector<std::size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return candidates[a].score > candidates[b].score; });
  order.resize(kMostCandidates);
  std::sort(order.begin(), order.end());
  std::vector<Candidate> best;
  for (std::size_t place : order) best.push_back(candidates[place]);
  candidates = std::move(best);
}

// Those of at least `floor` among `score(anchor, label)`.
template <typename Score>
std::vector<Candidate> candidates_of(int anchors, int classes, float floor, Score score) {
  std::vector<Candidate> found;
  for (int anchor = 0; anchor < anchors; ++anchor) {
    for (int label = 0; label < classes; ++label) {
      const float value = score(anchor, label);
      if (value >= floor) found.push_back({anchor, label, value});
    }
  }
  keep_best(found);
  return found;
}

int cells(int side, int stride) { return (side + stride - 1) / stride; }

// Exports without suppression: boxes (1, A, 4), scores (1, C, A).
class Decoded : public Head {
 public:
  Decoded(int classes, bool scaled) : classes_(classes), scaled_(scaled) {}

  int classes() const override { return classes_; }

  Found read(const std::vector<Output>& outputs, std::array<int, 2>, float floor) const override {
    const std::vector<float>&boxes = outputs[0].values, &scores = outputs[1].values;
    const int anchors = outputs[0].shape[1];
    Found found;
    found.in_picture = scaled_;
    const auto score = [&](int anchor, int label) { return scores[label * anchors + anchor]; };
    for (const Candidate& one : candidates_of(anchors, classes_, floor, score)) {
      const float* box = &boxes[4 * one.anchor];
      found.boxes.push_back({box[0], box[1], box[2], box[3], one.score, one.label});
    }
    return found;
  }

 private:
  int classes_;
  bool scaled_;
};

// Raw heads of PicoDet and NanoDet: per level scores (1, HW, C), then per level side bins (1, HW, 4 x bins). A side's
// distance is the expectation of its softmax over the bins, in strides, from the cell's centre (Li et al. 2020).
class Distributions : public Head {
 public:
  Distributions(std::vector<int> strides, int classes) : strides_(std::move(strides)), classes_(classes) {}

  int classes() const override { return classes_; }

  Found read(const std::vector<Output>& outputs, std::array<int, 2> size, float floor) const override {
    Found found;
    for (std::size_t level = 0; level < strides_.size(); ++level) {
      const Output &scores = outputs[level], &sides = outputs[strides_.size() + level];
      const auto score = [&](int anchor, int label) { return scores.values[anchor * classes_ + label]; };
      const int bins = sides.shape[2] / 4, columns = cells(size[1], strides_[level]);
      const auto stride = static_cast<float>(strides_[level]);
      for (const Candidate& one : candidates_of(scores.shape[1], classes_, floor, score)) {
        const float* side = &sides.values[4 * bins * one.anchor];
        const float x = (static_cast<float>(one.anchor % columns) + 0.5F) * stride;
        const float y = (static_cast<float>(one.anchor / columns) + 0.5F) * stride;
        found.boxes.push_back({x - expected(side, bins) * stride, y - expected(side + bins, bins) * stride,
                               x + expected(side + 2 * bins, bins) * stride,
                               y + expected(side + 3 * bins, bins) * stride, one.score, one.label});
      }
    }
    return found;
  }

 private:
  static float expected(const float* bins, int count) {
    const float most = *std::max_element(bins, bins + count);
    float sum = 0.0F, weighted = 0.0F;
    for (int k = 0; k < count; ++k) {
      const float weight = std::exp(bins[k] - most);
      sum += weight;
      weighted += weight * static_cast<float>(k);
    }
    return weighted / sum;
  }

  std::vector<int> strides_;
  int classes_;
};

// PP-YOLOE exported without post-processing, (1, A, 4 + C): boxes in pixels of the input beside their scores.
class Joined : public Head {
 public:
  explicit Joined(int classes) : classes_(classes) {}

  int classes() const override { return classes_; }

  Found read(const std::vector<Output>& outputs, std::array<int, 2>, float floor) const override {
    const auto row = [&](int anchor) { return &outputs[0].values[anchor * (4 + classes_)]; };
    const auto score = [&](int anchor, int label) { return row(anchor)[4 + label]; };
    Found found;
    for (const Candidate& one : candidates_of(outputs[0].shape[1], classes_, floor, score)) {
      const float* box = row(one.anchor);
      found.boxes.push_back({box[0], box[1], box[2], box[3], one.score, one.label});
    }
    return found;
  }

 private:
  int classes_;
};

// Rows (N, 6) of class, score, xyxy in pixels of the picture: suppression is done. Beside them counts (1,), or the
// embeddings of JDE and FairMOT, which ByteTrack does not use. A row of class -1 says that nothing was seen.
class Suppressed : public Head {
 public:
  explicit Suppressed(bool counted) : counted_(counted) {}

  Found read(const std::vector<Output>& outputs, std::array<int, 2>, float floor) const override {
    Found found;
    found.suppressed = found.in_picture = true;
    const std::vector<float>& values = outputs[0].values;
    const std::size_t rows = counted_ ? static_cast<std::size_t>(outputs[1].values.at(0)) : values.size() / 6;
    for (std::size_t k = 0; k < std::min(rows, values.size() / 6); ++k) {
      const float* row = &values[6 * k];
      if (row[1] >= floor && row[0] >= 0) {
        found.boxes.push_back({row[2], row[3], row[4], row[5], row[1], static_cast<std::int32_t>(row[0])});
      }
    }
    return found;
  }

 private:
  bool counted_;
};

std::vector<int> strides_of(const std::vector<Output>& outputs, std::array<int, 2> size) {
  const std::size_t levels = outputs.size() / 2;
  std::vector<int> strides;
  if (levels < 2 || outputs.size() % 2 != 0) return {};
  for (std::size_t level = 0; level < levels; ++level) {
    const std::vector<int>&scores = outputs[level].shape, &sides = outputs[levels + level].shape;
    if (scores.size() != 3 || sides.size() != 3 || scores[1] != sides[1] || scores[2] != outputs[0].shape[2] ||
        sides[2] % 4 != 0) {
      return {};
    }
    for (int stride : {4, 8, 16, 32, 64, 128}) {
      if (cells(size[0], stride) * cells(size[1], stride) == scores[1]) {
        strides.push_back(stride);
        break;
      }
    }
    if (strides.size() != level + 1) return {};
  }
  return strides;
}

std::string shapes_of(const std::vector<Output>& outputs) {
  std::string text;
  for (const Output& output : outputs) {
    std::string sides;
    for (int side : output.shape) sides += (sides.empty() ? "" : "x") + std::to_string(side);
    text += (text.empty() ? "" : ", ") + sides;
  }
  return text;
}

}  // namespace

std::unique_ptr<Head> recognise(const std::vector<Output>& outputs, std::array<int, 2> size, int labels, bool scaled) {
  const auto rank = [&](std::size_t n) { return n < outputs.size() ? outputs[n].shape.size() : 0; };
  const auto side = [&](std::size_t n, std::size_t axis) { return outputs[n].shape[axis]; };
  if (outputs.size() == 2 && rank(0) == 3 && rank(1) == 3 && side(0, 2) == 4 && side(0, 1) == side(1, 2)) {
    return std::make_unique<Decoded>(side(1, 1), scaled);
  }
  if (auto strides = strides_of(outputs, size); !strides.empty()) {
    return std::make_unique<Distributions>(std::move(strides), side(0, 2));
  }
  if (outputs.size() == 1 && rank(0) == 3 && side(0, 2) == 4 + (labels > 0 ? labels : 80)) {
    return std::make_unique<Joined>(side(0, 2) - 4);
  }
  if (outputs.size() == 2 && rank(0) == 2 && side(0, 1) == 6) {
    const bool embedded = rank(1) == 2 && side(1, 1) > 2 &&
                          (side(0, 0) == side(1, 0) || std::min(side(0, 0), side(1, 0)) <= 1);
    if (embedded || rank(1) == 1) return std::make_unique<Suppressed>(!embedded);
  }
  throw Error("the model is no detector that is known here: its outputs are " + shapes_of(outputs) +
              "; use an export of PP-YOLOE, YOLOv3, PicoDet, NanoDet, FairMOT or JDE");
}

}  // namespace crosscam
