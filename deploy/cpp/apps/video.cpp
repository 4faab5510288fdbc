// crosscam_video: a video in, MOT text of tracks and counts out, with an exported detector under Paddle Inference.
//
//     crosscam_video --model folder --video shop.mp4 --output tracks.txt --line door=horizontal --flow flow.txt

#include <exception>
#include <iostream>
#include <opencv2/videoio.hpp>

#include "detector.h"
#include "results.h"
#include "text.h"

namespace {

using namespace crosscam;

constexpr double kMostRate = 9999.0;

DetectorSettings settings_of(const Options& options) {
  DetectorSettings settings;
  settings.model = options.needed("model");
  const std::string said = options.text("classes").value_or("");
  for (std::string_view name : split(said, ',')) {
    if (!trimmed(name).empty()) settings.classes.emplace_back(trimmed(name));
  }
  settings.floor = static_cast<float>(options.number("floor", 0.1, 0.0, 1.0));
  settings.threads = static_cast<int>(options.number("threads", 1, 1, 1024));
  if (options.text("gpu")) settings.gpu = static_cast<int>(options.number("gpu", std::nullopt, 0, 64));
  return settings;
}

void run(int count, char** words) {
  std::vector<std::string> known = shared_options();
  known.insert(known.end(), {"model", "video", "fps", "classes", "floor", "threads", "gpu"});
  const Options options(count, words, known);
  Detector detector(settings_of(options));
  const std::string address = options.needed("video");
  cv::VideoCapture video(address);
  cv::Mat picture;
  if (!video.isOpened() || !video.read(picture)) throw Error(address + " cannot be read as a video: check the path");
  const double told = video.get(cv::CAP_PROP_FPS);
  const bool usable = told > 0.01 && told < kMostRate;
  const double fps = options.number("fps", usable ? std::optional(told) : std::nullopt, 0.01, kMostRate);
  Results results(options, fps, picture.cols, picture.rows);
  std::int64_t number = 0;
  do {
    results.frame(++number, detector.detect(picture));
  } while (video.read(picture));
  std::cout << results.finish();
}

}  // namespace

int main(int count, char** words) {
  try {
    run(count, words);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
}
