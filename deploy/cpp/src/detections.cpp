#include "detections.h"

#include <algorithm>

#include "suppression.h"

namespace crosscam {
namespace {

constexpr std::size_t kCandidates = 1000, kMostDetections = 300;
constexpr double kUsualIou = 0.5;

// A class by the name that COCO has for it; data sets differ.
std::string plain_name(const std::string& label) {
  if (label == "pedestrian") return "person";
  if (label == "motorbike" || label == "motor") return "motorcycle";
  return label == "aeroplane" ? "airplane" : label;
}

// The first label that is `name`, in the model's own word or, failing that, in COCO's.
std::size_t find(const std::vector<std::string>& labels, const std::string& name) {
  for (const std::string& word : {name, plain_name(name)}) {
    const auto own = std::find(labels.begin(), labels.end(), word);
    if (own != labels.end()) return static_cast<std::size_t>(own - labels.begin());
    const auto plain = std::find_if(labels.begin(), labels.end(), [&](auto& one) { return plain_name(one) == word; });
    if (plain != labels.end()) return static_cast<std::size_t>(plain - labels.begin());
  }
  return labels.size();
}

float clipped(float value, float most) { return std::min(std::max(value, 0.0F), most); }

}  // namespace

Classes::Classes(std::vector<std::string> labels, std::vector<std::string> wanted)
    : wanted_(wanted.empty() ? labels : std::move(wanted)), numbers_(labels.size(), -1) {
  for (std::size_t number = 0; number < wanted_.size(); ++number) {
    const std::size_t place = find(labels, wanted_[number]);
    if (place == labels.size()) {
      std::string told;
      for (std::size_t i = 0; i < std::min<std::size_t>(12, labels.size()); ++i) told += (i > 0 ? ", " : "") + labels[i];
      throw Error("the model does not know the class '" + wanted_[number] + "': it knows " + told +
                  (labels.size() > 12 ? ", ..." : ""));
    }
    numbers_[place] = static_cast<int>(number);
  }
}

int Classes::number(int label) const {
  if (label < static_cast<int>(numbers_.size())) return numbers_[static_cast<std::size_t>(label)];
  throw Error("the model found class " + std::to_string(label) + ", but its configuration names only " +
              std::to_string(numbers_.size()) + " classes: complete its label_list");
}

Classes classes_of(const ModelDescription& description, const Head& head, std::vector<std::string> wanted) {
  const std::size_t named = description.labels.size();
  if (named == 0) throw Error("the model's configuration names no classes: complete its label_list");
  if (head.classes() != 0 && static_cast<std::size_t>(head.classes()) != named) {
    throw Error("the model scores " + std::to_string(head.classes()) + " classes, but its configuration names " +
                std::to_string(named) + ": they do not belong together");
  }
  return {description.labels, std::move(wanted)};
}

std::vector<Detection> finish(const Found& found, const Classes& classes, float iou, const Placement& placement,
                              std::array<int, 2> picture) {
  std::vector<Detection> wanted;
  for (Detection one : found.boxes) {
    one.label = classes.number(one.label);
    if (one.label >= 0) wanted.push_back(one);
  }
  std::stable_sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
  if (wanted.size() > kCandidates) wanted.resize(kCandidates);
  std::vector<Detection> kept;
  if (found.suppressed) {
    kept = std::move(wanted);
  } else {
    for (std::size_t place : suppress(wanted, iou, kMostDetections)) kept.push_back(wanted[place]);
  }
  const auto top = static_cast<float>(placement.offset[0]), left = static_cast<float>(placement.offset[1]);
  const auto y = static_cast<float>(placement.scale[0]), x = static_cast<float>(placement.scale[1]);
  const auto height = static_cast<float>(picture[0]), width = static_cast<float>(picture[1]);
  std::vector<Detection> seen;
  for (Detection one : kept) {
    if (!found.in_picture) {
      one = {(one.x1 - left) / x, (one.y1 - top) / y, (one.x2 - left) / x, (one.y2 - top) / y, one.score, one.label};
    }
    one = {clipped(one.x1, width), clipped(one.y1, height), clipped(one.x2, width), clipped(one.y2, height),
           one.score, one.label};
    if (one.x2 > one.x1 && one.y2 > one.y1) seen.push_back(one);
  }
  return seen;
}

float iou_of(const ModelDescription& description) { return static_cast<float>(description.iou.value_or(kUsualIou)); }

}  // namespace crosscam
