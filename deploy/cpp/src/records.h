// What travels between the parts: boxes found in a frame, and the tracks after it.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace crosscam {

// One sentence for the user: what is wrong, where, and what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

constexpr std::int64_t kSecondNs = 1'000'000'000;

// A box found in a picture: corners in pixels, score in [0, 1], number of its class.
struct Detection {
  float x1, y1, x2, y2;
  float score;
  std::int32_t label;
};

// A track as it stands after a frame: its smoothed corners, and the score of the detection it was matched with.
struct Track {
  std::int64_t id;
  float x1, y1, x2, y2;
  float score;
  std::int32_t label;
};

// The tracks told of a frame, and the ids that have ended in it.
struct Tracks {
  std::vector<Track> seen;
  std::vector<std::int64_t> ended;
};

}  // namespace crosscam
