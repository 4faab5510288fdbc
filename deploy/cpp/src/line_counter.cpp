#include "line_counter.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "text.h"

namespace crosscam {
namespace {

constexpr std::int64_t kMaxGapNs = 5 * kSecondNs;  // who is unseen for so long has left

std::int64_t nanoseconds(double seconds) {
  return static_cast<std::int64_t>(std::nearbyint(seconds * static_cast<double>(kSecondNs)));
}

// Whether a point lies on the right-hand side (y downwards) of the line from p to q, or on it. Half-open: a point on a
// line belongs to one side, so two segments that share a point never both count, nor both miss, a path through it.
bool right_of(const Point& p, const Point& q, const Point& at) {
  return (q.x - p.x) * (at.y - p.y) - (q.y - p.y) * (at.x - p.x) >= 0.0;
}

// How a step crosses a segment: 1 to its right-hand side, -1 to its left, 0 not.
int meets(const Point& p, const Point& q, const Point& from, const Point& to) {
  const bool after = right_of(p, q, to);
  if (right_of(p, q, from) == after || right_of(from, to, p) == right_of(from, to, q)) return 0;
  return after ? 1 : -1;
}

// Which part of the step lies before the segment's line, 0 to 1.
double share_of(const Point& p, const Point& q, const Point& from, const Point& to) {
  const double dx = q.x - p.x, dy = q.y - p.y;
  const double one = dx * (from.y - p.y) - dy * (from.x - p.x);
  const double other = dx * (to.y - p.y) - dy * (to.x - p.x);
  return one != other ? std::min(std::max(one / (one - other), 0.0), 1.0) : 1.0;
}

// Liang and Barsky (1984): whether any of a segment lies in the picture.
bool reaches_into(const Point& p, const Point& q, double width, double height) {
  double enters = 0.0, leaves = 1.0;
  const double directions[] = {p.x - q.x, q.x - p.x, p.y - q.y, q.y - p.y};
  const double room[] = {p.x, width - p.x, p.y, height - p.y};
  for (int side = 0; side < 4; ++side) {
    if (directions[side] == 0.0) {
      if (room[side] < 0.0) return false;
      continue;
    }
    const double at = room[side] / directions[side];
    if (directions[side] < 0.0) {
      enters = std::max(enters, at);
    } else {
      leaves = std::min(leaves, at);
    }
  }
  return enters <= leaves;
}

std::array<Point, 3> anchors_of(const Track& track) {
  const double x1 = track.x1, y1 = track.y1, x2 = track.x2, y2 = track.y2;
  const double x = (x1 + x2) / 2;
  return {{{x, y2}, {x, (y1 + y2) / 2}, {x, y1}}};
}

bool is_finite(const Track& track) {
  return std::isfinite(track.x1) && std::isfinite(track.y1) && std::isfinite(track.x2) && std::isfinite(track.y2);
}

}  // namespace

Line parse_line(const std::string& text, double width, double height) {
  const std::string help = "write NAME=x1,y1,x2,y2[,...], NAME=horizontal or NAME=vertical";
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) throw Error("line '" + text + "': " + help);
  Line line;
  line.name = text.substr(0, equals);
  const std::string where = "line '" + line.name + "': ";
  const std::string drawn = text.substr(equals + 1);
  const bool sized = width > 0 && height > 0;
  if (drawn == "horizontal" || drawn == "vertical") {
    if (!sized) throw Error(where + "the picture's size is not known: give --size WIDTHxHEIGHT, or points");
    line.points = drawn == "horizontal" ? std::vector<Point>{{0.0, height / 2}, {width, height / 2}}
                                        : std::vector<Point>{{width / 2, height}, {width / 2, 0.0}};
    return line;
  }
  std::vector<double> values;
  for (std::string_view part : split(drawn, ',')) {
    const auto value = number(part);
    if (!value || !std::isfinite(*value)) throw Error(where + "'" + std::string(part) + "' is no number; " + help);
    values.push_back(*value);
  }
  if (values.size() < 4 || values.size() % 2 != 0) throw Error(where + "it needs two points or more; " + help);
  for (std::size_t i = 0; i < values.size(); i += 2) line.points.push_back({values[i], values[i + 1]});
  bool inside = false;
  for (std::size_t i = 1; i < line.points.size(); ++i) {
    const Point &p = line.points[i - 1], &q = line.points[i];
    if (p.x == q.x && p.y == q.y) throw Error(where + "two points in a row are the same; take one of them out");
    inside = inside || !sized || reaches_into(p, q, width, height);
  }
  if (!inside) {
    throw Error(where + "it lies outside of the picture of " + shortest(width) + " x " + shortest(height) +
                "; points are pixels, x first");
  }
  return line;
}

LineCounter::LineCounter(std::vector<Line> lines) : lines_(std::move(lines)), totals_(lines_.size(), {0, 0}) {
  for (const Line& line : lines_) {
    settle_ns_.push_back(nanoseconds(line.settle_s));
    cool_down_ns_.push_back(nanoseconds(line.cool_down_s));
    std::array<Point, 2> bounds{line.points.front(), line.points.front()};
    for (const Point& point : line.points) {
      bounds[0] = {std::min(bounds[0].x, point.x), std::min(bounds[0].y, point.y)};
      bounds[1] = {std::max(bounds[1].x, point.x), std::max(bounds[1].y, point.y)};
    }
    bounds_.push_back(bounds);
  }
}

std::vector<Crossing> LineCounter::update(const Tracks& tracks, std::int64_t time_ns) {
  std::vector<Crossing> told;
  if (time_ns <= now_ns_) return told;
  std::vector<std::int64_t> unseen;
  for (const auto& [id, walker] : walkers_) {
    if (walker.last < time_ns - kMaxGapNs) unseen.push_back(id);
  }
  for (std::int64_t id : unseen) leave(id, told);
  now_ns_ = time_ns;
  for (const Track& track : tracks.seen) {
    if (!is_finite(track)) continue;
    const Anchors anchors = anchors_of(track);
    const auto [found, fresh] = walkers_.try_emplace(track.id);
    Walker& walker = found->second;
    if (fresh) walker = {time_ns, anchors, std::vector<Dealings>(lines_.size())};
    const double height = static_cast<double>(track.y2) - static_cast<double>(track.y1);
    for (std::size_t line = 0; line < lines_.size(); ++line) {
      const auto k = static_cast<std::size_t>(lines_[line].anchor);
      const Step step{walker.at[k], anchors[k], walker.last, time_ns, height};
      Dealings& state = walker.lines[line];
      cross(step, track.id, line, state, told);
    }
    walker.last = time_ns;
    walker.at = anchors;
  }
  for (std::int64_t id : tracks.ended) leave(id, told);
  std::stable_sort(told.begin(), told.end(), [](const auto& a, const auto& b) { return a.time_ns < b.time_ns; });
  return told;
}

std::vector<Crossing> LineCounter::finish() {
  std::vector<Crossing> told;
  while (!walkers_.empty()) leave(walkers_.begin()->first, told);
  return told;
}

// Crossings are summed up with their signs, in the order in which the step comes to them; the one that leaves something
// in hand says when and where.
void LineCounter::cross(const Step& step, std::int64_t track, std::size_t line, Dealings& state,
                        std::vector<Crossing>& told) {
  const auto& [lowest, highest] = bounds_[line];
  const bool beside = std::max(step.from.x, step.to.x) < lowest.x || std::min(step.from.x, step.to.x) > highest.x ||
                      std::max(step.from.y, step.to.y) < lowest.y || std::min(step.from.y, step.to.y) > highest.y;
  if (beside && state.net == 0) return;
  const std::vector<Point>& points = lines_[line].points;
  std::vector<std::pair<double, int>> met;  // shares of the step, and signs
  for (std::size_t e = 1; e < points.size() && !beside; ++e) {
    const int sign = meets(points[e - 1], points[e], step.from, step.to);
    if (sign != 0) met.emplace_back(share_of(points[e - 1], points[e], step.from, step.to), sign);
  }
  std::stable_sort(met.begin(), met.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  double start = 0.0;
  for (std::size_t piece = 0; piece <= met.size(); ++piece) {
    const double end = piece < met.size() ? met[piece].first : 1.0;
    const std::int64_t until =
        step.before + static_cast<std::int64_t>(std::nearbyint(end * static_cast<double>(step.now - step.before)));
    if (state.net != 0 && (until - state.touched >= settle_ns_[line] ||
                           clears(lines_[line], step, start, end, lines_[line].band * step.height))) {
      told.push_back(tell(track, line, state));
    }
    if (piece == met.size()) break;
    const int was = state.net;
    state.net = was + met[piece].second;
    state.touched = until;
    start = end;
    if (state.net != 0 && (was == 0 || (was > 0) != (state.net > 0))) {
      state.crossed = until;
      state.spot = {step.from.x + end * (step.to.x - step.from.x), step.from.y + end * (step.to.y - step.from.y)};
    }
  }
}

bool LineCounter::clears(const Line& line, const Step& step, double one, double other, double reach) const {
  const double dx = step.to.x - step.from.x, dy = step.to.y - step.from.y;
  const Point last = other == 1.0 ? step.to : Point{step.from.x + other * dx, step.from.y + other * dy};
  if (beyond(line, last, reach)) return true;
  const double length = (other - one) * std::sqrt(dx * dx + dy * dy);
  // Half a reach apart, and at most 64.
  const int pieces = length > 32 * reach ? 64 : static_cast<int>(2 * length / std::max(reach, 1e-9)) + 1;
  for (int piece = 1; piece < pieces; ++piece) {
    const double share = one + (other - one) * piece / pieces;
    if (beyond(line, {step.from.x + share * dx, step.from.y + share * dy}, reach)) return true;
  }
  return false;
}

bool LineCounter::beyond(const Line& line, const Point& at, double reach) const {
  for (std::size_t e = 1; e < line.points.size(); ++e) {
    const Point &p = line.points[e - 1], &q = line.points[e];
    const double dx = q.x - p.x, dy = q.y - p.y;
    const double length = dx * dx + dy * dy;
    const double along =
        length > 0 ? std::min(std::max(((at.x - p.x) * dx + (at.y - p.y) * dy) / length, 0.0), 1.0) : 0.0;
    const double rx = at.x - (p.x + along * dx), ry = at.y - (p.y + along * dy);
    if (rx * rx + ry * ry <= reach * reach) return false;
  }
  return true;
}

Crossing LineCounter::tell(std::int64_t track, std::size_t line, Dealings& state) {
  const bool forward = state.net > 0;
  const std::int64_t time_ns = state.crossed;
  const bool counted = time_ns - state.counted[forward] >= cool_down_ns_[line];
  state.passages += 1;
  state.net = 0;
  if (counted) {
    state.counted[forward] = time_ns;
    totals_[line][forward] += 1;
  }
  const double x = std::nearbyint(100 * state.spot.x) / 100, y = std::nearbyint(100 * state.spot.y) / 100;
  return {time_ns, line, forward, track, x, y, state.passages, counted};
}

// A track is gone: what was in hand counts.
void LineCounter::leave(std::int64_t track, std::vector<Crossing>& told) {
  const auto found = walkers_.find(track);
  if (found == walkers_.end()) return;
  for (std::size_t line = 0; line < lines_.size(); ++line) {
    Dealings& state = found->second.lines[line];
    if (state.net != 0) told.push_back(tell(track, line, state));
  }
  walkers_.erase(found);
}

}  // namespace crosscam
