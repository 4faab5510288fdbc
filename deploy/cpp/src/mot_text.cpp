#include "mot_text.h"

#include <algorithm>
#include <cmath>

#include "text.h"

namespace crosscam {
namespace {

constexpr double kMostFrames = 1e8;
constexpr const char* kForm = "rows are frame,id,x,y,w,h,score[,class]";

struct Row {
  std::int64_t frame;
  double x, y, w, h, score, label;
};

Row parse(const std::string& line, const std::string& where) {
  std::vector<double> values;
  for (std::string_view part : split(line, ',')) {
    const auto value = number(part);
    if (!value) throw Error(where + ": '" + std::string(part) + "' is no number; " + kForm);
    values.push_back(*value);
  }
  if (values.size() < 7 || !(values[0] >= 1) || values[0] != std::trunc(values[0]) || values[0] > kMostFrames) {
    throw Error(where + ": " + kForm + ", with frames from 1, not '" + line + "'");
  }
  const double label = values.size() > 7 && std::isfinite(values[7]) ? values[7] : -1.0;
  return {static_cast<std::int64_t>(values[0]), values[2], values[3], values[4], values[5], values[6], label};
}

}  // namespace

std::vector<std::vector<Detection>> read_mot(const std::filesystem::path& path) {
  std::vector<Row> rows;
  const std::vector<std::string> lines = read_lines(path);
  for (std::size_t n = 0; n < lines.size(); ++n) {
    if (trimmed(lines[n]).empty()) continue;
    rows.push_back(parse(lines[n], path.string() + ", line " + std::to_string(n + 1)));
  }
  const auto outside = [](const Row& row) { return row.score < -0.01 || row.score > 1.01; };
  const auto unknown = [](const Row& row) { return std::isnan(row.score); };
  const bool raw = std::any_of(rows.begin(), rows.end(), outside) && std::none_of(rows.begin(), rows.end(), unknown);
  std::int64_t last = 0;
  for (Row& row : rows) {
    last = std::max(last, row.frame);
    if (raw) row.score = 1 / (1 + std::exp(-row.score));
  }
  std::vector<std::vector<Detection>> frames(static_cast<std::size_t>(last));
  for (const Row& row : rows) {
    frames[static_cast<std::size_t>(row.frame - 1)].push_back(
        {static_cast<float>(row.x), static_cast<float>(row.y), static_cast<float>(row.x + row.w),
         static_cast<float>(row.y + row.h), static_cast<float>(row.score),
         static_cast<std::int32_t>(std::clamp(row.label, 0.0, 2e9))});
  }
  return frames;
}

std::int64_t frame_time(std::int64_t index, double fps) {
  return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(index * kSecondNs) / fps));
}

std::string mot_rows(std::int64_t frame, const std::vector<Track>& tracks) {
  std::string text;
  for (const Track& track : tracks) {
    const double x1 = track.x1, y1 = track.y1, x2 = track.x2, y2 = track.y2;
    text += std::to_string(frame) + ',' + std::to_string(track.id) + ',' + fixed(x1, 2) + ',' + fixed(y1, 2) + ',' +
            fixed(x2 - x1, 2) + ',' + fixed(y2 - y1, 2) + ',' + fixed(track.score, 3) + ',' +
            std::to_string(track.label) + ",-1,-1\n";
  }
  return text;
}

}  // namespace crosscam
