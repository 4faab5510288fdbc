#include "suppression.h"

#include <algorithm>
#include <numeric>

namespace crosscam {
namespace {

constexpr float kSameObject = 0.8F;

// More than `allowed` of the union is shared. Not divided: empty boxes have no union.
bool rivals(const Detection& a, const Detection& b, float allowed) {
  const float width = std::max(std::min(a.x2, b.x2) - std::max(a.x1, b.x1), 0.0F);
  const float height = std::max(std::min(a.y2, b.y2) - std::max(a.y1, b.y1), 0.0F);
  const float overlap = width * height;
  const float area_a = std::max(a.x2 - a.x1, 0.0F) * std::max(a.y2 - a.y1, 0.0F);
  const float area_b = std::max(b.x2 - b.x1, 0.0F) * std::max(b.y2 - b.y1, 0.0F);
  return overlap > allowed * (area_a + area_b - overlap);
}

}  // namespace

std::vector<std::size_t> suppress(const std::vector<Detection>& boxes, float iou, std::size_t limit) {
  std::vector<std::size_t> order(boxes.size()), kept;
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return boxes[a].score > boxes[b].score; });
  for (std::size_t candidate : order) {
    const Detection& one = boxes[candidate];
    const bool free = std::none_of(kept.begin(), kept.end(), [&](std::size_t better) {
      return rivals(boxes[better], one, boxes[better].label == one.label ? iou : kSameObject);
    });
    if (!free) continue;
    kept.push_back(candidate);
    if (kept.size() == limit) break;
  }
  return kept;
}

}  // namespace crosscam
