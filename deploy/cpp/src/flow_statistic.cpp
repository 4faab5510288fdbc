#include "flow_statistic.h"

#include <algorithm>
#include <cmath>

#include "text.h"

namespace crosscam {
namespace {

constexpr std::int64_t kUsNs = 1000;

void add(std::vector<std::int64_t>& ids, std::int64_t id) {
  const auto place = std::lower_bound(ids.begin(), ids.end(), id);
  if (place == ids.end() || *place != id) ids.insert(place, id);
}

std::string count_until(const std::vector<std::int64_t>& times, std::int64_t time) {
  return std::to_string(std::upper_bound(times.begin(), times.end(), time) - times.begin());
}

}  // namespace

void FlowStatistic::frame(std::int64_t number, std::int64_t time_ns, const std::vector<Track>& tracks) {
  if (tracks.empty()) return;
  const std::int64_t time_us = time_ns / kUsNs;
  if (interval_s_) {
    const std::int64_t interval = time_us / static_cast<std::int64_t>(std::nearbyint(*interval_s_ * 1e6));
    if (interval != interval_) lately_.clear();
    interval_ = interval;
  }
  for (const Track& track : tracks) {
    add(everyone_, track.id);
    if (interval_s_) add(lately_, track.id);
  }
  frames_.push_back({number, time_us, static_cast<std::int64_t>(everyone_.size()),
                     static_cast<std::int64_t>(lately_.size())});
}

void FlowStatistic::crossings(const std::vector<Crossing>& crossings) {
  for (const Crossing& one : crossings) {
    crossed_ = true;
    if (one.counted) (one.forward ? in_us_ : out_us_).push_back(one.time_ns / kUsNs);
  }
}

std::string FlowStatistic::text() const {
  std::vector<std::int64_t> in = in_us_, out = out_us_;
  std::sort(in.begin(), in.end());
  std::sort(out.begin(), out.end());
  std::string text;
  for (const Frame& frame : frames_) {
    text += "Frame id: " + std::to_string(frame.number) + ", Total count: " + std::to_string(frame.total);
    if (crossed_) {
      text += ", In count: " + count_until(in, frame.time_us) + ", Out count: " + count_until(out, frame.time_us);
    }
    if (interval_s_) {
      text += ", Count during " + shortest(*interval_s_) + " secs: " + std::to_string(frame.lately);
    }
    text += '\n';
  }
  return text;
}

}  // namespace crosscam
