// ByteTrack (Zhang et al., ECCV 2022) as operators/track/bytetrack.py has it: the same tracks, bit by bit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "assignment.h"
#include "motion.h"
#include "records.h"

namespace crosscam {

// Parameters by the names that `tracker:` has in a site's file; see operators/track/bytetrack.py for what they do.
struct ByteTrackSettings {
  double high = 0.6;
  double low = 0.1;
  double start = 0.7;  // called `new` elsewhere, which is a word of C++
  double match = 0.9;
  double second_match = 0.5;
  double tentative_match = 0.7;
  bool fuse_score = true;
  Noise noise;
  double lost_seconds = 1.0;
  double rate_hz = 30.0;

  // Sets one by its name.
  // Throws Error for a name that does not exist, or a value out of its range.
  void set(const std::string& name, double value);
};

// Detections of one camera in, tracks out; frame by frame, in order of time.
class ByteTrack {
 public:
  explicit ByteTrack(const ByteTrackSettings& settings);

  // The tracks after the frame at `time_ns` with these detections. Detections that are none (not finite, without area,
  // a score outside of [0, 1], a class out of range) are left out and counted in `rejected`, and so are frames whose
  // time does not go forward.
  Tracks update(const std::vector<Detection>& detections, std::int64_t time_ns);

  // How often input was left out or repaired.
  std::int64_t rejected() const { return rejected_; }

 private:
  enum class State : char { kTentative, kConfirmed, kLost };

  struct One {
    std::int64_t id;
    State state;
    int label;
    int detection;  // matched in this frame, -1 for none
    std::int64_t first, last;  // frames in which it began and was last matched
    double unseen;             // reference frames since then
    double score;
    Motion motion;
    Corners box;
  };

  struct Seen {
    Corners box;
    Measurement measured;
    double score;
    int label;
  };

  // Places in `tracks_` and in `seen_` that were matched, and those left on both sides.
  struct Matching {
    std::vector<int> tracks, detections, tracks_left, detections_left;
  };

  std::optional<double> step_to(std::int64_t time_ns);
  void read(const std::vector<Detection>& detections);
  std::vector<Pair> overlapping(const std::vector<int>& tracks, const std::vector<int>& detections) const;
  Matching match(const std::vector<int>& tracks, const std::vector<int>& detections, bool fuse, double most) const;
  void take(const Matching& matching);
  void begin(const std::vector<int>& detections);
  void mark_ended(const std::vector<int>& unseen, std::vector<char>& gone) const;
  void mark_twins(const std::vector<int>& seen, const std::vector<int>& lost, std::vector<char>& gone) const;

  ByteTrackSettings settings_;
  double life_;  // of lost tracks, reference frames
  std::int64_t longest_ns_;
  std::vector<One> tracks_;
  std::vector<Seen> seen_;
  std::int64_t next_id_ = 1, frame_ = 0, rejected_ = 0;
  std::optional<std::int64_t> time_ns_;
  std::int64_t step_ns_ = 0;
  double step_dt_ = 0.0;
};

}  // namespace crosscam
