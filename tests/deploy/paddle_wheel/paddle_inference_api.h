// Of Paddle's C++ API what crosscam_video uses, declared in our own words, so that the program can be built and run
// against libpaddle.so of the pip wheel, which exports these functions but comes without their header. For tests only:
// a program for use is built with the header of Paddle's own C++ library.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace paddle {

struct AnalysisConfig {
  enum class Precision { kFloat32 };

  AnalysisConfig();
  AnalysisConfig(const AnalysisConfig&) = delete;
  void SetModel(const std::string& program, const std::string& parameters);
  void DisableGlogInfo();
  void EnableUseGpu(unsigned long pool_mb, int device, Precision precision = Precision::kFloat32);
  void DisableGpu();
  void SetCpuMathLibraryNumThreads(int threads);
  void DisableMKLDNN();

 private:
  alignas(64) char members_[1 << 16];  // more than the real one's; never destroyed
};

}  // namespace paddle

namespace paddle_infer {

using Config = paddle::AnalysisConfig;

enum DataType { FLOAT32, INT64, INT32 };

class Tensor {
 public:
  void Reshape(const std::vector<int>& shape);
  template <typename T>
  void CopyFromCpu(const T* values);
  template <typename T>
  void CopyToCpu(T* values) const;
  std::vector<int> shape() const;
  DataType type() const;
};

class Predictor {
 public:
  std::vector<std::string> GetInputNames();
  std::vector<std::string> GetOutputNames();
  std::unique_ptr<Tensor> GetInputHandle(const std::string& name);
  std::unique_ptr<Tensor> GetOutputHandle(const std::string& name);
  bool Run();
};

std::shared_ptr<Predictor> CreatePredictor(const Config& config);

}  // namespace paddle_infer
