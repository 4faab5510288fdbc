# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""Motion on the ground plane (UCMCTrack; Yi et al., AAAI 2024): feet in metres, with what a pixel is worth there.

A track's ground state is its foot's place and speed with their full covariance; a foot's uncertainty in the picture,
mapped through the homography, couples the two axes, so this is no pair of independent filters. It is kept in the
strategy's own rows of floats, `GROUND` of them. A box whose foot lies at or above the horizon has no place: NaN.
"""

from __future__ import annotations

import numpy as np

from operators.track.core.compilation import both_ways
from operators.track.core.layout import DGROUP, EXTRA, GROUP, NO_GROUND, REJECTED

X, Y = EXTRA, EXTRA + 1  # place, metres
VX, VY = EXTRA + 2, EXTRA + 3  # speed, metres a second
XX, XY, YY = EXTRA + 4, EXTRA + 5, EXTRA + 6  # covariance of the place
XU, XV, YU, YV = EXTRA + 7, EXTRA + 8, EXTRA + 9, EXTRA + 10  # of place and speed (u, v)
UU, UV, VV_ = EXTRA + 11, EXTRA + 12, EXTRA + 13  # of the speed
GROUND = 14

_FAR_BELOW = 1e4  # pixels below the picture's top, where there is ground whatever the camera looks at
_LEAST_PX, _MOST_ACROSS_PX, _MOST_DOWN_PX = 2.0, 13.0, 10.0  # bounds of a foot's standard deviation


@both_ways
def feet_on_ground(dets, h, share, counters):
    """(5, M): where the bottom centres of the boxes are, x y, and their covariances xx xy yy, metres.

    Args:
        dets: detection arrays. h: the homography's 9 numbers, row by row. counters: boxes without a place are counted.
        share: standard deviation of a foot across and down, as a share of the box's width and height.
    """
    feet = np.full((5, dets.shape[1]), np.nan)
    side = 1.0 if h[7] * _FAR_BELOW + h[8] > 0 else -1.0
    for d in range(dets.shape[1]):
        u, v = (dets[0, d] + dets[2, d]) / 2, dets[3, d]
        w = h[6] * u + h[7] * v + h[8]
        if not w * side > 1e-9:
            counters[REJECTED + NO_GROUND] += 1
            continue
        x, y = (h[0] * u + h[1] * v + h[2]) / w, (h[3] * u + h[4] * v + h[5]) / w
        across = min(max(share * (dets[2, d] - dets[0, d]), _LEAST_PX), _MOST_ACROSS_PX)
        down = min(max(share * (dets[3, d] - dets[1, d]), _LEAST_PX), _MOST_DOWN_PX)
        xu, xv = (h[0] - x * h[6]) / w * across, (h[1] - x * h[7]) / w * down
        yu, yv = (h[3] - y * h[6]) / w * across, (h[4] - y * h[7]) / w * down
        feet[0, d], feet[1, d] = x, y
        feet[2, d], feet[3, d], feet[4, d] = xu * xu + xv * xv, xu * yu + xv * yv, yu * yu + yv * yv
    return feet


@both_ways
def walk_on(floats, rows, dt, rate, push):
    """Moves the ground states of `rows` on by `dt` reference frames.

    `push`: variance of the acceleration, constant within a reference frame and independent between them.
    """
    frame, step = 1.0 / rate, dt / rate
    place = push * frame**4 * max(dt * dt * dt / 3 - dt / 12, 0.0)
    cross = push * frame**3 * dt * dt / 2
    speed = push * frame**2 * dt
    for t in rows:
        floats[X, t] += step * floats[VX, t]
        floats[Y, t] += step * floats[VY, t]
        floats[XX, t] += step * (2 * floats[XU, t] + step * floats[UU, t]) + place
        floats[XY, t] += step * (floats[XV, t] + floats[YU, t] + step * floats[UV, t])
        floats[YY, t] += step * (2 * floats[YV, t] + step * floats[VV_, t]) + place
        floats[XU, t] += step * floats[UU, t] + cross
        floats[XV, t] += step * floats[UV, t]
        floats[YU, t] += step * floats[UV, t]
        floats[YV, t] += step * floats[VV_, t] + cross
        floats[UU, t] += speed
        floats[VV_, t] += speed


@both_ways
def place_on_ground(floats, rows, feet, columns, speed):
    """Starts ground states at feet, at rest; `speed`: nobody is faster, metres a second."""
    for k in range(len(rows)):
        t, d = rows[k], columns[k]
        for i in range(GROUND):
            floats[EXTRA + i, t] = 0.0
        floats[X, t], floats[Y, t] = feet[0, d], feet[1, d]
        floats[XX, t], floats[XY, t], floats[YY, t] = feet[2, d], feet[3, d], feet[4, d]
        floats[UU, t] = floats[VV_, t] = speed * speed / 3


@both_ways
def settle_on_ground(floats, rows, feet, columns, speed):
    """Corrects the ground states of `rows` by the feet `columns`; a track that had no place gets one."""
    for k in range(len(rows)):
        t, d = rows[k], columns[k]
        if not np.isfinite(feet[0, d]):
            continue
        if not np.isfinite(floats[X, t]):
            place_on_ground(floats, rows[k : k + 1], feet, columns[k : k + 1], speed)
            continue
        xx, xy, yy = floats[XX, t], floats[XY, t], floats[YY, t]
        xu, xv, yu, yv = floats[XU, t], floats[XV, t], floats[YU, t], floats[YV, t]
        a, b, c = xx + feet[2, d], xy + feet[3, d], yy + feet[4, d]
        area = a * c - b * b
        ia, ib, ic = c / area, -b / area, a / area
        # The gains of x, y and of the speeds u, v for a surprise in x and in y.
        gxx, gxy, gyx, gyy = xx * ia + xy * ib, xx * ib + xy * ic, xy * ia + yy * ib, xy * ib + yy * ic
        gux, guy, gvx, gvy = xu * ia + yu * ib, xu * ib + yu * ic, xv * ia + yv * ib, xv * ib + yv * ic
        ex, ey = feet[0, d] - floats[X, t], feet[1, d] - floats[Y, t]
        floats[X, t] += gxx * ex + gxy * ey
        floats[Y, t] += gyx * ex + gyy * ey
        floats[VX, t] += gux * ex + guy * ey
        floats[VY, t] += gvx * ex + gvy * ey
        floats[XX, t] -= gxx * xx + gxy * xy
        floats[XY, t] -= gxx * xy + gxy * yy
        floats[YY, t] -= gyx * xy + gyy * yy
        floats[XU, t] -= gxx * xu + gxy * yu
        floats[XV, t] -= gxx * xv + gxy * yv
        floats[YU, t] -= gyx * xu + gyy * yu
        floats[YV, t] -= gyx * xv + gyy * yv
        floats[UU, t] -= gux * xu + guy * yu
        floats[UV, t] -= gux * xv + guy * yv
        floats[VV_, t] -= gvx * xv + gvy * yv


@both_ways
def ground_gains(floats, ints, rows, labels, feet, columns, most):
    """Pairs of tracks `rows` and detections `columns` of one group whose distance on the ground is below `most`.

    The distance is the squared Mahalanobis distance plus the logarithm of the covariance's determinant, so that of two
    equally surprised tracks the one that knew better where it is wins.

    Returns:
        Positions in `rows`, positions in `columns`, `most` less the distance.
    """
    size = len(rows) * len(columns)
    a, b, gain = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size)
    count = 0
    for i in range(len(rows)):
        t = rows[i]
        for j in range(len(columns)):
            d = columns[j]
            if ints[GROUP, t] != labels[DGROUP, d]:
                continue
            xx, xy, yy = floats[XX, t] + feet[2, d], floats[XY, t] + feet[3, d], floats[YY, t] + feet[4, d]
            ex, ey = feet[0, d] - floats[X, t], feet[1, d] - floats[Y, t]
            area = xx * yy - xy * xy
            distance = (ex * ex * yy - 2 * ex * ey * xy + ey * ey * xx) / area + np.log(area)
            if distance < most:  # not so where one of them has no place
                a[count], b[count], gain[count] = i, j, most - distance
                count += 1
    return a[:count], b[:count], gain[:count]
