// Who crosses which line, in which direction: the lines of operators/analyse, the same crossings at the same instants.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "records.h"

namespace crosscam {

struct Point {
  double x, y;
};

// Which point of a box has to cross.
enum class Anchor { kFoot, kCentre, kHead };

// A line of one or more segments. Walking along it from the first point to the last, whoever crosses to the right-hand
// side goes `forward`: a line drawn from left to right is crossed forward by who comes down the picture.
struct Line {
  std::string name;
  std::vector<Point> points;
  std::string forward = "in", backward = "out";
  Anchor anchor = Anchor::kFoot;
  double band = 0.1;         // a crossing counts once the anchor is this part of its box's height away from the line,
  double settle_s = 2.0;     // or has not crossed again for so long
  double cool_down_s = 1.0;  // who crosses again in the same direction within this time is not counted again
};

// `NAME=x1,y1,x2,y2[,...]`, or `NAME=horizontal` or `vertical`: through the middle of a picture of that size.
// Throws Error if it is no line.
Line parse_line(const std::string& text, double width, double height);

struct Crossing {
  std::int64_t time_ns;  // between two frames
  std::size_t line;
  bool forward;
  std::int64_t track;
  double x, y;  // whole hundredths of a pixel
  std::int64_t passage;  // of this track over this line, from 1
  bool counted;          // not within the cool-down
};

// Counts over the lines of one camera. Tracks in, frame by frame; crossings out, once they are certain.
class LineCounter {
 public:
  explicit LineCounter(std::vector<Line> lines);

  // What became certain with a frame, by time. A frame whose time is not later than the last one's is passed over.
  std::vector<Crossing> update(const Tracks& tracks, std::int64_t time_ns);

  // The source has ended: what is in hand counts.
  std::vector<Crossing> finish();

  const std::vector<Line>& lines() const { return lines_; }

  // Per line, counted crossings backward and forward.
  const std::vector<std::array<std::int64_t, 2>>& totals() const { return totals_; }

 private:
  static constexpr std::int64_t kNever = -(std::int64_t{1} << 62);
  using Anchors = std::array<Point, 3>;  // by Anchor

  // A track's dealings with one line: crossings in hand with their sign, when the one that counts and the last one
  // were, and where; how often it has passed, and when it was last counted backward and forward.
  struct Dealings {
    int net = 0;
    std::int64_t crossed = kNever, touched = kNever;
    Point spot{0.0, 0.0};
    std::int64_t passages = 0;
    std::array<std::int64_t, 2> counted{kNever, kNever};
  };

  struct Walker {
    std::int64_t last = kNever;
    Anchors at{};
    std::vector<Dealings> lines;
  };

  struct Step {
    Point from, to;
    std::int64_t before, now;
    double height;  // of the box
  };

  // What a step crosses of a line, and what became certain of it, also on the way.
  void cross(const Step& step, std::int64_t track, std::size_t line, Dealings& state, std::vector<Crossing>& told);
  bool beyond(const Line& line, const Point& at, double reach) const;
  // Whether the step, between these shares of it, has a place farther than `reach` from the line.
  bool clears(const Line& line, const Step& step, double one, double other, double reach) const;
  Crossing tell(std::int64_t track, std::size_t line, Dealings& state);
  void leave(std::int64_t track, std::vector<Crossing>& told);

  std::vector<Line> lines_;
  std::vector<std::int64_t> settle_ns_, cool_down_ns_;
  std::vector<std::array<Point, 2>> bounds_;  // lowest and highest corner around each line
  std::vector<std::array<std::int64_t, 2>> totals_;
  std::map<std::int64_t, Walker> walkers_;  // by track id: an order that no history has a part in
  std::int64_t now_ns_ = kNever;
};

}  // namespace crosscam
