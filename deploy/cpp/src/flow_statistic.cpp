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
  last_ = number;
  if (tracks.empty()) return;
  const std::int64_t time_us = time_ns / kUsNs;
  if (interval_s_) {
    const std::int64_t interval = interval_of(time_us);
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
  std::size_t after = 0;  // the first frame with anybody in it that comes after this one
  for (std::int64_t number = 1; number <= last_; ++number) {
    if (after < frames_.size() && frames_[after].number == number) ++after;
    const Frame frame = after == 0 ? nobody_yet(number) : frame_after(frames_[after - 1], number, after);
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

FlowStatistic::Frame FlowStatistic::nobody_yet(std::int64_t number) const {
  return {number, frames_.empty() ? 0 : frames_.front().time_us - 1, 0, 0};
}

FlowStatistic::Frame FlowStatistic::frame_after(const Frame& before, std::int64_t number, std::size_t after) const {
  const bool last = after == frames_.size();
  const Frame& from = last ? frames_.front() : before;
  const Frame& to = last ? before : frames_[after];
  const std::int64_t gap = std::max<std::int64_t>(to.number - from.number, 1);
  const std::int64_t time_us = before.time_us + (number - before.number) * (to.time_us - from.time_us) / gap;
  const bool same = interval_s_ && interval_of(time_us) == interval_of(before.time_us);
  return {number, time_us, before.total, same ? before.lately : 0};
}

std::int64_t FlowStatistic::interval_of(std::int64_t time_us) const {
  return time_us / static_cast<std::int64_t>(std::nearbyint(*interval_s_ * 1e6));
}

}  // namespace crosscam
