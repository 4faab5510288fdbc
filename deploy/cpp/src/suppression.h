// Non-maximum suppression, as operators/nms.py does it.
#pragma once

#include <vector>

#include "records.h"

namespace crosscam {

// The places of what is kept, best score first, `limit` at most: a box goes if it overlaps a better one of its class by
// more than `iou`, or a better one of another class by more than 0.8 (one object seen as two things).
std::vector<std::size_t> suppress(const std::vector<Detection>& boxes, float iou, std::size_t limit);

}  // namespace crosscam
