// An exported detector under Paddle Inference, its pictures prepared by OpenCV.
#pragma once

#include <filesystem>
#include <memory>
#include <opencv2/core.hpp>
#include <optional>
#include <string>
#include <vector>

#include "detections.h"

namespace crosscam {

struct DetectorSettings {
  std::filesystem::path model;          // the exported folder
  std::vector<std::string> classes;     // to keep; none for all
  float floor = 0.1F;                   // low on purpose: ByteTrack makes use of doubtful boxes
  int threads = 1;                      // on the CPU
  std::optional<int> gpu;               // its number; none for the CPU
};

class Detector {
 public:
  // Loads the model and tries it on an empty picture.
  // Throws Error if it is missing, damaged, or no detector that is known here.
  explicit Detector(const DetectorSettings& settings);
  ~Detector();

  // What is seen in a picture (BGR, 8 bits), best first.
  std::vector<Detection> detect(const cv::Mat& picture);

 private:
  class Network;

  std::vector<Output> run(const Placement& placement);

  float floor_;
  ModelDescription description_;
  std::unique_ptr<Network> network_;
  std::vector<float> input_;
  std::unique_ptr<Head> head_;
  std::optional<Classes> classes_;
};

}  // namespace crosscam
