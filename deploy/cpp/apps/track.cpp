// crosscam_track: MOT text of detections in, MOT text of tracks and counts out; needs neither Paddle nor OpenCV.
//
//     crosscam_track --detections det.txt --fps 10 --output tracks.txt --line door=100,400,300,400 --flow flow.txt

#include <exception>
#include <iostream>

#include "mot_text.h"
#include "results.h"
#include "text.h"

namespace {

using namespace crosscam;

void run(int count, char** words) {
  std::vector<std::string> known = shared_options();
  known.insert(known.end(), {"detections", "fps", "size"});
  const Options options(count, words, known);
  const double fps = options.number("fps", std::nullopt, 0.01, 9999.0);
  double width = 0.0, height = 0.0;
  if (const auto size = options.text("size")) {
    const auto sides = split(*size, 'x');
    const auto first = number(sides.front()), second = number(sides.back());
    if (sides.size() != 2 || !first || !second || !(*first > 0 && *second > 0)) {
      throw Error("--size is '" + *size + "': write WIDTHxHEIGHT in pixels");
    }
    width = *first;
    height = *second;
  }
  const auto frames = read_mot(options.needed("detections"));
  Results results(options, fps, width, height);
  for (std::size_t k = 0; k < frames.size(); ++k) results.frame(static_cast<std::int64_t>(k) + 1, frames[k]);
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
