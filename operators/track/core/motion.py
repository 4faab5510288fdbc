"""Constant-velocity Kalman filters over four independent (position, velocity) pairs, by real time steps.

Noise is a (5, 2, 4) float64 array: for each of INITIAL_POSITION .. MEASUREMENT and each pair, the standard deviation is
`constant + share * scale`, where scale is the position that the strategy names for the pair (its height, its width):
the pair's own or a later one, so that it has not moved yet when the pairs are taken in order.

Process noise of a step of `dt` reference frames is that of dt steps of one frame each: for position variance
`dt qp + (dt^3/3 - dt^2/2 + dt/6) qv`, for the covariance `(dt^2 - dt)/2 qv`, for velocity `dt qv`. For whole dt this is
exactly what a filter gathers that predicts dt times without seeing anything; at dt = 1 it is the reference's own.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.

from __future__ import annotations

from operators.track.core.compilation import loops_for
from operators.track.core.layout import DPOS, POS, PP, PV, VEL, VV
from operators.track.core.types import Floats, Ints

INITIAL_POSITION, INITIAL_VELOCITY, PROCESS_POSITION, PROCESS_VELOCITY, MEASUREMENT = range(5)


def predict(floats: Floats, rows: Ints, dt: float, noise: Floats, scales: Ints) -> None:
    """Moves `rows` on by `dt` reference frames; `scales`: (4,) int64, the position that scales each pair's noise."""
    spread = (dt * dt * dt) / 3 - (dt * dt) / 2 + dt / 6
    cross = (dt * dt - dt) / 2
    deviations = floats[POS + scales][:, rows]
    qp = noise[PROCESS_POSITION, 0][:, None] + noise[PROCESS_POSITION, 1][:, None] * deviations
    qv = noise[PROCESS_VELOCITY, 0][:, None] + noise[PROCESS_VELOCITY, 1][:, None] * deviations
    qp, qv = qp * qp, qv * qv
    pp, pv, vv = floats[PP : PP + 4, rows], floats[PV : PV + 4, rows], floats[VV : VV + 4, rows]
    floats[POS : POS + 4, rows] += dt * floats[VEL : VEL + 4, rows]
    floats[PP : PP + 4, rows] = pp + dt * (2 * pv + dt * vv) + (dt * qp + spread * qv)
    floats[PV : PV + 4, rows] = pv + dt * vv + cross * qv
    floats[VV : VV + 4, rows] = vv + dt * qv


@loops_for(predict)
def _predict(floats, rows, dt, noise, scales):
    spread = (dt * dt * dt) / 3 - (dt * dt) / 2 + dt / 6
    cross = (dt * dt - dt) / 2
    for k in range(len(rows)):
        t = rows[k]
        for i in range(4):
            scale = floats[POS + scales[i], t]
            qp = noise[PROCESS_POSITION, 0, i] + noise[PROCESS_POSITION, 1, i] * scale
            qv = noise[PROCESS_VELOCITY, 0, i] + noise[PROCESS_VELOCITY, 1, i] * scale
            qp, qv = qp * qp, qv * qv
            pp, pv, vv = floats[PP + i, t], floats[PV + i, t], floats[VV + i, t]
            floats[POS + i, t] += dt * floats[VEL + i, t]
            floats[PP + i, t] = pp + dt * (2 * pv + dt * vv) + (dt * qp + spread * qv)
            floats[PV + i, t] = pv + dt * vv + cross * qv
            floats[VV + i, t] = vv + dt * qv


def correct(floats: Floats, rows: Ints, dets: Floats, columns: Ints, noise: Floats, scales: Ints) -> None:
    """Corrects `rows` by the measurements in `columns` of dets, pair by pair."""
    deviations = floats[POS + scales][:, rows]
    r = noise[MEASUREMENT, 0][:, None] + noise[MEASUREMENT, 1][:, None] * deviations
    pp, pv = floats[PP : PP + 4, rows], floats[PV : PV + 4, rows]
    total = pp + r * r
    gain, velocity_gain = pp / total, pv / total
    surprise = dets[DPOS : DPOS + 4, columns] - floats[POS : POS + 4, rows]
    floats[POS : POS + 4, rows] += gain * surprise
    floats[VEL : VEL + 4, rows] += velocity_gain * surprise
    floats[PP : PP + 4, rows] = pp - gain * pp
    floats[PV : PV + 4, rows] = pv - gain * pv
    floats[VV : VV + 4, rows] -= velocity_gain * pv


@loops_for(correct)
def _correct(floats, rows, dets, columns, noise, scales):
    for k in range(len(rows)):
        t, d = rows[k], columns[k]
        for i in range(4):
            r = noise[MEASUREMENT, 0, i] + noise[MEASUREMENT, 1, i] * floats[POS + scales[i], t]
            pp, pv = floats[PP + i, t], floats[PV + i, t]
            total = pp + r * r
            gain, velocity_gain = pp / total, pv / total
            surprise = dets[DPOS + i, d] - floats[POS + i, t]
            floats[POS + i, t] += gain * surprise
            floats[VEL + i, t] += velocity_gain * surprise
            floats[PP + i, t] = pp - gain * pp
            floats[PV + i, t] = pv - gain * pv
            floats[VV + i, t] -= velocity_gain * pv


def begin_motion(floats: Floats, rows: Ints, dets: Floats, columns: Ints, noise: Floats, scales: Ints) -> None:
    """Starts motion states at the measurements in `columns` of dets, at rest."""
    measured = dets[DPOS : DPOS + 4, columns]
    deviations = dets[DPOS + scales][:, columns]
    position = noise[INITIAL_POSITION, 0][:, None] + noise[INITIAL_POSITION, 1][:, None] * deviations
    velocity = noise[INITIAL_VELOCITY, 0][:, None] + noise[INITIAL_VELOCITY, 1][:, None] * deviations
    floats[POS : POS + 4, rows] = measured
    floats[VEL : VEL + 4, rows] = 0.0
    floats[PP : PP + 4, rows] = position * position
    floats[PV : PV + 4, rows] = 0.0
    floats[VV : VV + 4, rows] = velocity * velocity


@loops_for(begin_motion)
def _begin_motion(floats, rows, dets, columns, noise, scales):
    for k in range(len(rows)):
        t, d = rows[k], columns[k]
        for i in range(4):
            scale = dets[DPOS + scales[i], d]
            position = noise[INITIAL_POSITION, 0, i] + noise[INITIAL_POSITION, 1, i] * scale
            velocity = noise[INITIAL_VELOCITY, 0, i] + noise[INITIAL_VELOCITY, 1, i] * scale
            floats[POS + i, t] = dets[DPOS + i, d]
            floats[VEL + i, t] = 0.0
            floats[PP + i, t] = position * position
            floats[PV + i, t] = 0.0
            floats[VV + i, t] = velocity * velocity
