// A constant-velocity Kalman filter over four independent (position, velocity) pairs: centre x, centre y, width /
// height, height. The same operations in the same order as operators/track/core/motion.py, so the same bits.
#pragma once

#include <array>

namespace crosscam {

// Corners in pixels, in the filter's precision.
struct Corners {
  double x1, y1, x2, y2;
};

using Measurement = std::array<double, 4>;

// Standard deviations of the filter as shares of a box's height; those of width / height are fixed (Wojke et al. 2017).
struct Noise {
  double position = 1.0 / 20;
  double velocity = 1.0 / 160;
};

// One object's motion.
class Motion {
 public:
  // At rest, at a measured box.
  Motion(const Measurement& at, const Noise& noise);

  // Moves on by `dt` reference frames.
  void predict(double dt, const Noise& noise);

  // Takes in a measured box.
  void correct(const Measurement& measured, const Noise& noise);

  // What is not seen does not go on growing.
  void stop_growing() { velocity_[3] = 0.0; }

  Corners corners() const;

 private:
  std::array<double, 4> position_, velocity_{};
  std::array<double, 4> pp_, pv_{}, vv_;  // variances and covariance of position and velocity
};

// A box as the filter measures it.
Measurement measure(const Corners& box);

}  // namespace crosscam
