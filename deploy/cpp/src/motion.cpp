#include "motion.h"

namespace crosscam {
namespace {

constexpr int kAspect = 2, kHeight = 3;

// constant + share * height, for one of the four pairs.
double deviation(int pair, double constant, double share, double height) {
  return pair == kAspect ? constant + 0.0 * height : 0.0 + share * height;
}

}  // namespace

Measurement measure(const Corners& box) {
  const double width = box.x2 - box.x1, height = box.y2 - box.y1;
  return {box.x1 + width / 2, box.y1 + height / 2, width / height, height};
}

Motion::Motion(const Measurement& at, const Noise& noise) : position_(at) {
  for (int i = 0; i < 4; ++i) {
    const double position = deviation(i, 1e-2, 2 * noise.position, at[kHeight]);
    const double velocity = deviation(i, 1e-5, 10 * noise.velocity, at[kHeight]);
    pp_[i] = position * position;
    vv_[i] = velocity * velocity;
  }
}

void Motion::predict(double dt, const Noise& noise) {
  // Process noise of dt steps of one frame each; at dt = 1 the reference's own.
  const double spread = (dt * dt * dt) / 3 - (dt * dt) / 2 + dt / 6;
  const double cross = (dt * dt - dt) / 2;
  for (int i = 0; i < 4; ++i) {
    // The height itself comes last, so that it has not moved yet where it scales the others' noise.
    const double height = position_[kHeight];
    double qp = deviation(i, 1e-2, noise.position, height);
    double qv = deviation(i, 1e-5, noise.velocity, height);
    qp = qp * qp;
    qv = qv * qv;
    const double pp = pp_[i], pv = pv_[i], vv = vv_[i];
    position_[i] += dt * velocity_[i];
    pp_[i] = pp + dt * (2 * pv + dt * vv) + (dt * qp + spread * qv);
    pv_[i] = pv + dt * vv + cross * qv;
    vv_[i] = vv + dt * qv;
  }
}

void Motion::correct(const Measurement& measured, const Noise& noise) {
  for (int i = 0; i < 4; ++i) {
    const double r = deviation(i, 1e-1, noise.position, position_[kHeight]);
    const double pp = pp_[i], pv = pv_[i];
    const double total = pp + r * r;
    const double gain = pp / total, velocity_gain = pv / total;
    const double surprise = measured[i] - position_[i];
    position_[i] += gain * surprise;
    velocity_[i] += velocity_gain * surprise;
    pp_[i] = pp - gain * pp;
    pv_[i] = pv - gain * pv;
    vv_[i] -= velocity_gain * pv;
  }
}

Corners Motion::corners() const {
  const double x = position_[0], y = position_[1], height = position_[kHeight];
  const double width = position_[kAspect] * height;
  return {x - width / 2, y - height / 2, x + width / 2, y + height / 2};
}

}  // namespace crosscam
