#include "byte_track.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace crosscam {
namespace {

constexpr double kFarthest = 1e6;           // pixels; beyond, float can no longer tell neighbours apart
constexpr std::int64_t kMostClasses = 1 << 20;
constexpr double kLongestGapS = 10.0;
constexpr double kTwinOverlap = 0.85;
constexpr double kPixel = 1.0;  // the official IoU counts pixels inclusively

double within(const std::string& name, double value, double low, double high) {
  if (low <= value && value <= high) return value;
  throw Error("bytetrack: " + name + " is " + std::to_string(value) + ", but must be between " + std::to_string(low) +
              " and " + std::to_string(high));
}

// Scores are floats; a threshold is compared as the float that is nearest to it.
double score_within(const std::string& name, double value) {
  return static_cast<float>(within(name, value, 0.0, 1.1));
}

}  // namespace

void ByteTrackSettings::set(const std::string& name, double value) {
  using Setter = std::function<void(ByteTrackSettings&, double)>;
  const auto share = [&name](double v) { return within(name, v, 0.0, 1.0); };
  const std::map<std::string, Setter> known = {
      {"high", [&](auto& s, double v) { s.high = score_within(name, v); }},
      {"low", [&](auto& s, double v) { s.low = score_within(name, v); }},
      {"new", [&](auto& s, double v) { s.start = score_within(name, v); }},
      {"match", [&](auto& s, double v) { s.match = share(v); }},
      {"second_match", [&](auto& s, double v) { s.second_match = share(v); }},
      {"tentative_match", [&](auto& s, double v) { s.tentative_match = share(v); }},
      {"fuse_score", [&](auto& s, double v) { s.fuse_score = v != 0.0; }},
      {"position_noise", [&](auto& s, double v) { s.noise.position = within(name, v, 1e-6, 10.0); }},
      {"velocity_noise", [&](auto& s, double v) { s.noise.velocity = within(name, v, 1e-6, 10.0); }},
      {"lost_seconds", [&](auto& s, double v) { s.lost_seconds = within(name, v, 0.0, 86'400.0); }},
      {"rate_hz", [&](auto& s, double v) { s.rate_hz = within(name, v, 0.01, 10'000.0); }},
  };
  const auto found = known.find(name);
  if (found == known.end()) {
    std::string names;
    for (const auto& [one, setter] : known) names += (names.empty() ? "" : ", ") + one;
    throw Error("bytetrack has no parameter '" + name + "': it has " + names);
  }
  found->second(*this, value);
}

ByteTrack::ByteTrack(const ByteTrackSettings& settings)
    : settings_(settings),
      life_(settings.lost_seconds * settings.rate_hz + 1e-6),
      longest_ns_(static_cast<std::int64_t>(std::max(kLongestGapS, settings.lost_seconds) * kSecondNs)) {
  for (double* score : {&settings_.high, &settings_.low, &settings_.start}) *score = static_cast<float>(*score);
}

Tracks ByteTrack::update(const std::vector<Detection>& detections, std::int64_t time_ns) {
  Tracks told;
  const std::optional<double> step = step_to(time_ns);
  if (!step) {
    for (const One& one : tracks_) told.ended.push_back(one.id);
    tracks_.clear();
  }
  const double dt = step.value_or(1.0);
  ++frame_;
  for (One& one : tracks_) {
    one.detection = -1;
    one.unseen += dt;
  }
  read(detections);
  std::vector<int> sure, doubtful, tentative, known, still_seen;
  for (int d = 0; d < static_cast<int>(seen_.size()); ++d) {
    const double score = seen_[d].score;
    if (score > settings_.high) {
      sure.push_back(d);
    } else if (score > settings_.low && score < settings_.high) {
      doubtful.push_back(d);
    }
  }
  std::vector<State> before(tracks_.size());
  for (int t = 0; t < static_cast<int>(tracks_.size()); ++t) {
    before[t] = tracks_[t].state;
    (before[t] == State::kTentative ? tentative : known).push_back(t);
  }
  for (int t : known) {
    if (before[t] == State::kLost) tracks_[t].motion.stop_growing();
    tracks_[t].motion.predict(dt, settings_.noise);
    tracks_[t].box = tracks_[t].motion.corners();
  }

  // 1. Known tracks and sure detections.
  const Matching first = match(known, sure, settings_.fuse_score, settings_.match);
  take(first);

  // 2. What is left of the tracks seen last time, and doubtful detections.
  for (int t : first.tracks_left) {
    if (before[t] == State::kConfirmed) still_seen.push_back(t);
  }
  const Matching second = match(still_seen, doubtful, false, settings_.second_match);
  take(second);
  for (int t : second.tracks_left) tracks_[t].state = State::kLost;

  // 3. Tentative tracks and what is left of the sure detections.
  const Matching third = match(tentative, first.detections_left, settings_.fuse_score, settings_.tentative_match);
  take(third);

  begin(third.detections_left);
  std::vector<char> gone(tracks_.size(), 0);
  mark_ended(third.tracks_left, gone);
  std::size_t kept = 0;
  for (std::size_t t = 0; t < tracks_.size(); ++t) {
    if (gone[t]) {
      told.ended.push_back(tracks_[t].id);
      continue;
    }
    if (kept != t) tracks_[kept] = tracks_[t];
    ++kept;
  }
  tracks_.erase(tracks_.begin() + static_cast<std::ptrdiff_t>(kept), tracks_.end());
  for (const One& one : tracks_) {
    if (one.state != State::kConfirmed || one.detection < 0) continue;
    const Corners& box = one.box;
    told.seen.push_back({one.id, static_cast<float>(box.x1), static_cast<float>(box.y1), static_cast<float>(box.x2),
                         static_cast<float>(box.y2), static_cast<float>(one.score), one.label});
  }
  return told;
}

// Reference frames since the last frame; none where all tracks end because the clock or the gap says so.
std::optional<double> ByteTrack::step_to(std::int64_t time_ns) {
  if (!time_ns_) {
    time_ns_ = time_ns;
    return 1.0;
  }
  const std::int64_t step = time_ns - *time_ns_;
  if (step <= 0) {
    ++rejected_;
    if (-step <= longest_ns_) return 0.0;
    time_ns_ = time_ns;
    return std::nullopt;
  }
  time_ns_ = time_ns;
  if (step == step_ns_) return step_dt_;
  if (step > longest_ns_) return std::nullopt;
  const double dt = static_cast<double>(step) * (settings_.rate_hz / kSecondNs);
  const auto whole = static_cast<std::int64_t>(dt + 0.5);
  const double off = dt - static_cast<double>(whole);
  step_ns_ = step;
  step_dt_ = whole != 0 && -1e-3 < off && off < 1e-3 ? static_cast<double>(whole) : dt;
  return step_dt_;
}

void ByteTrack::read(const std::vector<Detection>& detections) {
  seen_.clear();
  for (const Detection& one : detections) {
    const Corners box{one.x1, one.y1, one.x2, one.y2};
    const bool finite = std::abs(box.x1) <= kFarthest && std::abs(box.y1) <= kFarthest &&
                        std::abs(box.x2) <= kFarthest && std::abs(box.y2) <= kFarthest;
    const bool fair = one.score >= 0.0F && one.score <= 1.0F && one.label >= 0 && one.label < kMostClasses;
    if (!finite || !(box.x2 > box.x1 && box.y2 > box.y1) || !fair) {
      ++rejected_;
      continue;
    }
    seen_.push_back({box, measure(box), one.score, one.label});
  }
}

// Every pair of one class whose boxes intersect, with its IoU as the gain; by track, then by the detections' left edge
// in bins. The order matters where two pairs are worth the same.
std::vector<Pair> ByteTrack::overlapping(const std::vector<int>& tracks, const std::vector<int>& detections) const {
  const auto m = detections.size();
  double lowest = seen_[detections[0]].box.x1, highest = lowest;
  for (int d : detections) {
    lowest = std::min(lowest, seen_[d].box.x1);
    highest = std::max(highest, seen_[d].box.x1);
  }
  const double per_bin = highest > lowest ? static_cast<double>(m) / (highest - lowest) : 0.0;
  std::vector<std::vector<int>> bins(m);
  for (std::size_t j = 0; j < m; ++j) {
    const double bin = std::min((seen_[detections[j]].box.x1 - lowest) * per_bin, static_cast<double>(m) - 1.0);
    bins[static_cast<std::size_t>(bin)].push_back(static_cast<int>(j));
  }
  std::vector<int> order;
  order.reserve(m);
  for (const auto& bin : bins) order.insert(order.end(), bin.begin(), bin.end());

  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < tracks.size(); ++i) {
    const One& one = tracks_[tracks[i]];
    const Corners& a = one.box;
    if (a.x1 > a.x2) continue;  // shrunk to nothing in the dark
    const double track_area = (a.x2 - a.x1 + kPixel) * (a.y2 - a.y1 + kPixel);
    for (int j : order) {
      const Seen& seen = seen_[detections[j]];
      const Corners& b = seen.box;
      const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1) + kPixel;
      const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1) + kPixel;
      const double common = std::max(width, 0.0) * std::max(height, 0.0);
      if (!(common > 0.0) || one.label != seen.label) continue;
      const double area = (b.x2 - b.x1 + kPixel) * (b.y2 - b.y1 + kPixel);
      pairs.push_back({static_cast<int>(i), j, common / (track_area + area - common)});
    }
  }
  return pairs;
}

ByteTrack::Matching ByteTrack::match(const std::vector<int>& tracks, const std::vector<int>& detections, bool fuse,
                                     double most) const {
  Matching matching;
  if (tracks.empty() || detections.empty()) {
    matching.tracks_left = tracks;
    matching.detections_left = detections;
    return matching;
  }
  std::vector<Pair> pairs = overlapping(tracks, detections);
  for (Pair& pair : pairs) {
    const double value = fuse ? pair.gain * seen_[detections[pair.column]].score : pair.gain;
    pair.gain = value - (1.0 - most);
  }
  const std::vector<int> chosen =
      assign(static_cast<int>(tracks.size()), static_cast<int>(detections.size()), pairs);
  std::vector<char> used(detections.size(), 0);
  for (std::size_t i = 0; i < tracks.size(); ++i) {
    if (chosen[i] < 0) {
      matching.tracks_left.push_back(tracks[i]);
      continue;
    }
    matching.tracks.push_back(tracks[i]);
    matching.detections.push_back(detections[chosen[i]]);
    used[chosen[i]] = 1;
  }
  for (std::size_t j = 0; j < detections.size(); ++j) {
    if (!used[j]) matching.detections_left.push_back(detections[j]);
  }
  return matching;
}

void ByteTrack::take(const Matching& matching) {
  for (std::size_t k = 0; k < matching.tracks.size(); ++k) {
    One& one = tracks_[matching.tracks[k]];
    const Seen& seen = seen_[matching.detections[k]];
    one.motion.correct(seen.measured, settings_.noise);
    one.box = one.motion.corners();
    one.score = seen.score;
    one.unseen = 0.0;
    one.detection = matching.detections[k];
    one.last = frame_;
    one.state = State::kConfirmed;
  }
}

// New tracks, confirmed at once in the first frame only.
void ByteTrack::begin(const std::vector<int>& detections) {
  const State born = frame_ == 1 ? State::kConfirmed : State::kTentative;
  for (int d : detections) {
    const Seen& seen = seen_[d];
    if (seen.score < settings_.start) continue;
    const Motion motion(seen.measured, settings_.noise);
    tracks_.push_back({next_id_++, born, seen.label, d, frame_, frame_, 0.0, seen.score, motion, motion.corners()});
  }
}

// Tentative tracks that were not seen again, lost ones after their time, and the younger of two in one place.
void ByteTrack::mark_ended(const std::vector<int>& unseen, std::vector<char>& gone) const {
  for (int t : unseen) gone[t] = 1;
  std::vector<int> seen, lost;
  for (int t = 0; t < static_cast<int>(tracks_.size()); ++t) {
    if (tracks_[t].state == State::kLost) {
      if (tracks_[t].unseen > life_) {
        gone[t] = 1;
      } else {
        lost.push_back(t);
      }
    } else if (!gone[t]) {
      seen.push_back(t);
    }
  }
  mark_twins(seen, lost, gone);
}

void ByteTrack::mark_twins(const std::vector<int>& seen, const std::vector<int>& lost, std::vector<char>& gone) const {
  for (int q : lost) {
    const Corners& b = tracks_[q].box;
    const double area_b = (b.x2 - b.x1 + kPixel) * (b.y2 - b.y1 + kPixel);
    for (int p : seen) {
      const Corners& a = tracks_[p].box;
      const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1) + kPixel;
      const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1) + kPixel;
      if (!(width > 0) || !(height > 0) || tracks_[p].label != tracks_[q].label) continue;
      const double common = width * height;
      const double area_a = (a.x2 - a.x1 + kPixel) * (a.y2 - a.y1 + kPixel);
      if (!(common > kTwinOverlap * (area_a + area_b - common))) continue;
      const bool older = tracks_[p].last - tracks_[p].first > tracks_[q].last - tracks_[q].first;
      gone[older ? q : p] = 1;
    }
  }
}

}  // namespace crosscam
