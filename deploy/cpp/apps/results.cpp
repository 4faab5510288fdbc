#include "results.h"

#include "mot_text.h"
#include "text.h"

namespace crosscam {
namespace {

constexpr double kMostSeconds = 86'400.0;

ByteTrackSettings settings_of(const Options& options, double fps) {
  ByteTrackSettings settings;
  settings.set("rate_hz", fps);
  for (const std::string& assignment : options.all("set")) {
    const auto equals = assignment.find('=');
    const std::string name = assignment.substr(0, equals);
    const std::string said = equals == std::string::npos ? "" : assignment.substr(equals + 1);
    const auto value = said == "true" ? std::optional(1.0) : said == "false" ? std::optional(0.0) : number(said);
    if (!value) throw Error("--set " + assignment + ": write NAME=VALUE, with a number");
    settings.set(name, *value);
  }
  return settings;
}

Anchor anchor_of(const Options& options) {
  const std::string said = options.text("anchor").value_or("foot");
  if (said == "foot") return Anchor::kFoot;
  if (said == "centre") return Anchor::kCentre;
  if (said == "head") return Anchor::kHead;
  throw Error("--anchor is '" + said + "', but must be foot, centre or head");
}

std::vector<Line> lines_of(const Options& options, double width, double height) {
  std::vector<Line> lines;
  for (const std::string& drawn : options.all("line")) {
    Line line = parse_line(drawn, width, height);
    for (const Line& other : lines) {
      if (other.name == line.name) throw Error("'" + line.name + "' is the name of two lines; names must differ");
    }
    line.anchor = anchor_of(options);
    line.band = options.number("band", line.band, 0.0, 10.0);
    line.settle_s = options.number("settle", line.settle_s, 0.0, kMostSeconds);
    line.cool_down_s = options.number("cool-down", line.cool_down_s, 0.0, kMostSeconds);
    lines.push_back(line);
  }
  return lines;
}

std::optional<double> interval_of(const Options& options) {
  if (!options.text("interval")) return std::nullopt;
  return options.number("interval", std::nullopt, 0.001, kMostSeconds);
}

}  // namespace

std::vector<std::string> shared_options() {
  return {"output", "set", "line", "anchor", "band", "settle", "cool-down", "flow", "interval", "crossings"};
}

Results::Results(const Options& options, double fps, double width, double height)
    : options_(options),
      fps_(fps),
      tracker_(settings_of(options, fps)),
      counter_(lines_of(options, width, height)),
      statistic_(interval_of(options)) {}

void Results::frame(std::int64_t number, const std::vector<Detection>& detections) {
  const std::int64_t time_ns = frame_time(number - 1, fps_);
  const Tracks tracks = tracker_.update(detections, time_ns);
  mot_ += mot_rows(number, tracks.seen);
  statistic_.frame(number, time_ns, tracks.seen);
  take(counter_.update(tracks, time_ns));
  for (const Track& track : tracks.seen) ids_.insert(track.id);
  rows_ += static_cast<std::int64_t>(tracks.seen.size());
  ++frames_;
}

void Results::take(const std::vector<Crossing>& crossings) {
  statistic_.crossings(crossings);
  for (const Crossing& one : crossings) {
    const Line& line = counter_.lines()[one.line];
    crossings_ += std::to_string(one.time_ns) + ',' + line.name + ',' + (one.forward ? line.forward : line.backward) +
                  ',' + std::to_string(one.track) + ',' + std::to_string(one.passage) + ',' +
                  (one.counted ? "1" : "0") + ',' + fixed(one.x, 2) + ',' + fixed(one.y, 2) + '\n';
  }
}

std::string Results::finish() {
  take(counter_.finish());
  const std::string output = options_.needed("output");
  write_text(output, mot_);
  if (const auto path = options_.text("flow")) write_text(*path, statistic_.text());
  if (const auto path = options_.text("crossings")) {
    write_text(*path, "time_ns,line,direction,track,passage,counted,x,y\n" + crossings_);
  }
  std::string told = output + ": " + std::to_string(rows_) + " rows, " + std::to_string(ids_.size()) + " tracks in " +
                     std::to_string(frames_) + " frames";
  if (tracker_.rejected() > 0) told += ", " + std::to_string(tracker_.rejected()) + " detections rejected";
  told += '\n';
  for (std::size_t line = 0; line < counter_.lines().size(); ++line) {
    const auto& [backward, forward] = counter_.totals()[line];
    const Line& one = counter_.lines()[line];
    told += one.name + ": " + one.forward + ' ' + std::to_string(forward) + ", " + one.backward + ' ' +
            std::to_string(backward) + '\n';
  }
  return told;
}

}  // namespace crosscam
