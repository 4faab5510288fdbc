#include "detector.h"

#include <paddle_inference_api.h>

#include <algorithm>
#include <array>
#include <opencv2/imgproc.hpp>

namespace crosscam {
namespace {

constexpr int kGpuPoolMb = 256;

std::filesystem::path model_file(const std::filesystem::path& folder) {
  for (const char* stem : {"model", "inference"}) {
    for (const char* suffix : {".json", ".pdmodel"}) {
      const std::filesystem::path file = folder / (std::string(stem) + suffix);
      if (std::filesystem::is_regular_file(file)) return file;
    }
  }
  throw Error(folder.string() + " holds no model: a model.json or model.pdmodel is expected");
}

// Red first, a plane a channel, normalised by the same two operations as on the Python side.
void fill(std::vector<float>& input, const cv::Mat& picture, const Placement& placement, const ModelDescription& how) {
  const auto [height, width] = placement.size;
  cv::Mat resized = picture;
  if (picture.rows != height || picture.cols != width) {
    cv::resize(picture, resized, cv::Size(width, height), 0, 0, how.interpolation);
  }
  const std::size_t plane = static_cast<std::size_t>(placement.shape[0]) * static_cast<std::size_t>(placement.shape[1]);
  input.resize(3 * plane);
  for (std::size_t channel = 0; channel < 3; ++channel) {
    const double mean = how.mean[channel], std = how.std[channel];
    float* target = &input[channel * plane];
    if (placement.size != placement.shape) {
      std::fill_n(target, plane, how.padding ? static_cast<float>((*how.padding - mean) / std) : 0.0F);
    }
    const auto factor = static_cast<float>(1 / std), shift = static_cast<float>(mean / std);
    for (int y = 0; y < height; ++y) {
      const auto* from = resized.ptr<unsigned char>(y) + (2 - channel);
      float* to = target + static_cast<std::ptrdiff_t>(placement.offset[0] + y) * placement.shape[1] + placement.offset[1];
      for (int x = 0; x < width; ++x) to[x] = static_cast<float>(from[3 * x]) * factor - shift;
    }
  }
}

template <typename T>
std::vector<float> values_of(const paddle_infer::Tensor& tensor, std::size_t count) {
  std::vector<T> values(count);
  tensor.CopyToCpu(values.data());
  return {values.begin(), values.end()};
}

Output output_of(const paddle_infer::Tensor& tensor) {
  Output found;
  found.shape = tensor.shape();
  std::size_t count = 1;
  for (int side : found.shape) count *= static_cast<std::size_t>(side);
  if (count == 0) return found;
  switch (tensor.type()) {
    case paddle_infer::DataType::FLOAT32:
      found.values = values_of<float>(tensor, count);
      return found;
    case paddle_infer::DataType::INT32:
      found.values = values_of<std::int32_t>(tensor, count);
      return found;
    case paddle_infer::DataType::INT64:
      found.values = values_of<std::int64_t>(tensor, count);
      return found;
    default:
      throw Error("the model gives numbers of a type that is not known here: export it with 32-bit outputs");
  }
}

}  // namespace

class Detector::Network {
 public:
  Network(const DetectorSettings& settings, const std::string& architecture) {
    const std::filesystem::path program = model_file(settings.model);
    std::filesystem::path parameters = program;
    parameters.replace_extension(".pdiparams");
    if (!std::filesystem::is_regular_file(parameters)) {
      throw Error(parameters.string() + " is missing: copy it beside " + program.filename().string());
    }
    paddle_infer::Config config;
    config.SetModel(program.string(), parameters.string());
    config.DisableGlogInfo();
    if (settings.gpu) {
      config.EnableUseGpu(kGpuPoolMb, *settings.gpu);
    } else {
      config.DisableGpu();
      config.SetCpuMathLibraryNumThreads(settings.threads);
      // oneDNN ends the process where JDE's exports concatenate no rows, which is what they do when nobody is seen.
      if (architecture == "JDE") config.DisableMKLDNN();
    }
    try {
      predictor_ = paddle_infer::CreatePredictor(config);
    } catch (const std::exception&) {
      throw Error("Paddle cannot load " + program.string() + ": it is damaged, or was exported by a newer Paddle");
    }
    for (const std::string& name : predictor_->GetInputNames()) {
      roles_.push_back(role_of(name));
      inputs_.push_back(predictor_->GetInputHandle(name));
    }
    for (const std::string& name : predictor_->GetOutputNames()) outputs_.push_back(predictor_->GetOutputHandle(name));
  }

  bool scaled() const { return std::find(roles_.begin(), roles_.end(), Role::kScale) != roles_.end(); }

  std::vector<Output> run(const std::vector<float>& picture, const Placement& placement) {
    const std::array<float, 2> size{static_cast<float>(placement.size[0]), static_cast<float>(placement.size[1])};
    const std::array<float, 2> scale{static_cast<float>(placement.scale[0]), static_cast<float>(placement.scale[1])};
    for (std::size_t i = 0; i < roles_.size(); ++i) {
      if (roles_[i] == Role::kPicture) {
        inputs_[i]->Reshape({1, 3, placement.shape[0], placement.shape[1]});
        inputs_[i]->CopyFromCpu(picture.data());
      } else {
        inputs_[i]->Reshape({1, 2});
        inputs_[i]->CopyFromCpu(roles_[i] == Role::kSize ? size.data() : scale.data());
      }
    }
    if (!predictor_->Run()) throw Error("the model failed on a picture: is it the one its configuration describes?");
    std::vector<Output> found;
    for (const auto& output : outputs_) found.push_back(output_of(*output));
    return found;
  }

 private:
  enum class Role { kPicture, kSize, kScale };

  static Role role_of(const std::string& name) {
    if (name == "im_shape") return Role::kSize;
    if (name == "scale_factor") return Role::kScale;
    for (const char* picture : {"image", "images", "x", "data", "input"}) {
      if (name == picture) return Role::kPicture;
    }
    throw Error("the model's input '" + name + "' is none that is known here: image, im_shape and scale_factor are");
  }

  std::shared_ptr<paddle_infer::Predictor> predictor_;
  std::vector<Role> roles_;
  std::vector<std::unique_ptr<paddle_infer::Tensor>> inputs_, outputs_;
};

Detector::Detector(const DetectorSettings& settings)
    : floor_(settings.floor),
      description_(read_description(settings.model)),
      network_(std::make_unique<Network>(settings, description_.architecture)) {
  const Placement whole = description_.placement(description_.height, description_.width);
  input_.assign(3 * static_cast<std::size_t>(whole.shape[0]) * static_cast<std::size_t>(whole.shape[1]), 0.0F);
  const auto labels = static_cast<int>(description_.labels.size());
  head_ = recognise(run(whole), whole.shape, labels, network_->scaled());
  classes_ = classes_of(description_, *head_, settings.classes);
}

Detector::~Detector() = default;

std::vector<Detection> Detector::detect(const cv::Mat& picture) {
  const Placement placement = description_.placement(picture.rows, picture.cols);
  fill(input_, picture, placement, description_);
  const std::vector<Output> outputs = run(placement);
  const Found found = head_->read(outputs, placement.shape, floor_);
  return finish(found, *classes_, iou_of(description_), placement, {picture.rows, picture.cols});
}

std::vector<Output> Detector::run(const Placement& placement) { return network_->run(input_, placement); }

}  // namespace crosscam
