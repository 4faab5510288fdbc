// Counts as PP-Tracking writes them, one line a frame:
//
//     Frame id: 12, Total count: 5, In count: 2, Out count: 1, Count during 10 secs: 4
//
// People are counted by track, since one camera alone knows no identities.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "line_counter.h"

namespace crosscam {

class FlowStatistic {
 public:
  // `interval_s`: length of the intervals of the last column; without one it is left out.
  explicit FlowStatistic(std::optional<double> interval_s = std::nullopt) : interval_s_(interval_s) {}

  // Takes in a frame's tracks and what became certain of crossings.
  void frame(std::int64_t number, std::int64_t time_ns, const std::vector<Track>& tracks);
  void crossings(const std::vector<Crossing>& crossings);

  // Everything. A crossing is certain later than it happens, so this is written at the end. In and out are the sums
  // over all lines, and stand only where anybody has crossed one.
  std::string text() const;

 private:
  struct Frame {
    std::int64_t number, time_us;
    std::int64_t total, lately;
  };

  // A frame without anybody gets its time from those around it, as in the export of a ledger, which holds no other:
  // between two that are known in proportion, after the last one at the pace of all.
  Frame nobody_yet(std::int64_t number) const;
  Frame frame_after(const Frame& before, std::int64_t number, std::size_t after) const;
  std::int64_t interval_of(std::int64_t time_us) const;

  std::optional<double> interval_s_;
  std::vector<Frame> frames_;  // those in which anybody was seen
  std::int64_t last_ = 0;      // number of the last frame
  std::vector<std::int64_t> everyone_, lately_;  // ids, ascending
  std::optional<std::int64_t> interval_;
  bool crossed_ = false;
  std::vector<std::int64_t> in_us_, out_us_;
};

}  // namespace crosscam
