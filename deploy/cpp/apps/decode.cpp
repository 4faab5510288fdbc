// crosscam_decode: what an exported detector said of one picture, as detections. Needs neither Paddle nor OpenCV: the
// outputs come as .npy files, so that decoding can be compared with the Python side's.
//
//     crosscam_decode --model folder --picture 1920x1080 --floor 0.1 --output-array boxes.npy --output-array counts.npy

#include <exception>
#include <iostream>

#include "detections.h"
#include "npy.h"
#include "options.h"
#include "text.h"

namespace {

using namespace crosscam;

std::array<int, 2> height_and_width(const std::string& said) {
  const auto sides = split(said, 'x');
  const auto width = number(sides.front()), height = number(sides.back());
  if (sides.size() != 2 || !width || !height || !(*width >= 1 && *height >= 1 && *width < 1e6 && *height < 1e6)) {
    throw Error("--picture is '" + said + "': write WIDTHxHEIGHT in pixels");
  }
  return {static_cast<int>(*height), static_cast<int>(*width)};
}

std::vector<std::string> names(const Options& options) {
  const std::string said = options.text("classes").value_or("");
  std::vector<std::string> wanted;
  for (std::string_view name : split(said, ',')) {
    if (!trimmed(name).empty()) wanted.emplace_back(trimmed(name));
  }
  return wanted;
}

void run(int count, char** words) {
  const Options options(count, words, {"model", "picture", "floor", "classes", "output-array", "scaled"});
  const ModelDescription description = read_description(options.needed("model"));
  const std::array<int, 2> picture = height_and_width(options.needed("picture"));
  const auto floor = static_cast<float>(options.number("floor", 0.1, 0.0, 1.0));
  std::vector<Output> outputs;
  for (const std::string& file : options.all("output-array")) outputs.push_back(read_npy(file));
  const Placement placement = description.placement(picture[0], picture[1]);
  const bool scaled = options.text("scaled").value_or("no") == "yes";
  const auto head = recognise(outputs, placement.shape, static_cast<int>(description.labels.size()), scaled);
  const Classes classes = classes_of(description, *head, names(options));
  const Found found = head->read(outputs, placement.shape, floor);
  for (const Detection& one : finish(found, classes, iou_of(description), placement, picture)) {
    std::cout << classes.names()[static_cast<std::size_t>(one.label)] << ',' << fixed(one.score, 6);
    for (const float side : {one.x1, one.y1, one.x2, one.y2}) std::cout << ',' << fixed(side, 4);
    std::cout << '\n';
  }
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
