// What both programs do with a frame's detections: track, count, and write it all down at the end.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "byte_track.h"
#include "flow_statistic.h"
#include "line_counter.h"
#include "options.h"

namespace crosscam {

// Options that both programs have.
std::vector<std::string> shared_options();

class Results {
 public:
  // `fps`: of the video; the tracker's own rate unless --set rate_hz says otherwise. `width`, `height`: of the picture,
  // 0 if not known.
  Results(const Options& options, double fps, double width, double height);

  // Takes in a frame, numbered from 1.
  void frame(std::int64_t number, const std::vector<Detection>& detections);

  // Writes the files that were asked for. What was done, for people.
  std::string finish();

 private:
  void take(const std::vector<Crossing>& crossings);

  Options options_;
  double fps_;
  ByteTrack tracker_;
  LineCounter counter_;
  FlowStatistic statistic_;
  std::string mot_, crossings_;
  std::set<std::int64_t> ids_;
  std::int64_t frames_ = 0, rows_ = 0;
};

}  // namespace crosscam
