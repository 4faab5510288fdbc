// MOT text: rows `frame,id or -1,x,y,w,h,score[,class]` in, rows `frame,id,x,y,w,h,score,class,-1,-1` out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "records.h"

namespace crosscam {

// The detections of every frame from 1 to the last one of a file. Without a class (or with one below 0) it is 0. Where
// some score lies outside [0, 1], all are raw scores, and the logistic function makes them probabilities.
// Throws Error if the file cannot be read, or a row is not of this form.
std::vector<std::vector<Detection>> read_mot(const std::filesystem::path& path);

// When the frame `index`, from 0, of a video at `fps` was seen: nanoseconds from its first frame.
std::int64_t frame_time(std::int64_t index, double fps);

// One line a track.
std::string mot_rows(std::int64_t frame, const std::vector<Track>& tracks);

}  // namespace crosscam
