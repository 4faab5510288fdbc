"""What tracklets say of the tracks that they are of, learned of thousands at once, in the columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtmct.attributes import Population, add
from mtmct.columns import TrackColumns
from mtmct.fits import Fits, halfway
from mtmct.leaders import are_others
from mtmct.settings import FusionSettings
from mtmct.tracklets import Tracklets
from operators.records import Int64

_KNOWN_LOOKS = 4  # embeddings after which it is known what a track looks like


def extend(
    columns: TrackColumns,
    population: Population,
    rows: Int64,
    arrivals: Tracklets,
    fits: Fits,
    of: Int64,
    settings: FusionSettings,
) -> NDArray[np.bool_]:
    """Take in one tracklet for each of some tracks.

    Args:
        columns: of the tracks. population: counts attributes.
        rows: (T,) of the tracks, each once. of: (T,) the places of their tracklets in `arrivals` and `fits`.
        settings: beliefs and bounds.

    Returns:
        (T,) of which more has changed than changes with every point.
    """
    lengths, last_ns = fits.lengths[of], fits.last_ns[of]
    number = np.zeros(len(arrivals.classes), np.int64)
    for cls in np.flatnonzero(np.bincount(arrivals.cls[of])).tolist():
        number[cls] = columns.number_of(arrivals.classes[cls])
    columns.vote(rows, number[arrivals.cls[of]], lengths)
    columns.velocity[rows] = halfway(columns.velocity[rows], fits.velocities[of], columns.points[rows] > 0)
    columns.heard_ns[rows] += last_ns - columns.last_ns[rows]
    columns.last_ns[rows], columns.last[rows] = last_ns, fits.ends[of]
    columns.ended[rows], columns.settled[rows] = arrivals.ended[of], False
    columns.points[rows] += lengths
    changed = np.zeros(len(rows), bool)
    for place, tracklet in enumerate(of.tolist() if arrivals.attributes else ()):
        if votes := arrivals.attributes.get(tracklet):
            add(columns.attributes.setdefault(int(rows[place]), {}), votes)
            population.add(votes)
            changed[place] = True
    seen = np.flatnonzero(np.diff(arrivals.look_bounds)[of] > 0)
    if len(seen):
        changed[seen] |= look(columns, rows[seen], arrivals, fits.start_ns[of[seen]], of[seen], settings)
    return changed


def look(
    columns: TrackColumns, rows: Int64, arrivals: Tracklets, starts: Int64, of: Int64, settings: FusionSettings
) -> NDArray[np.bool_]:
    """Learn what tracks look like, unless they no longer look like themselves: then note since when (`starts`).

    Returns:
        (T,) of which anything but the number of looks has changed.
    """
    looks, calibration = columns.looks, settings.appearance
    columns.widen(arrivals.looks.shape[1])
    looks.settle()
    lows, highs = arrivals.look_bounds[of], arrivals.look_bounds[of + 1]
    pictures = np.where(columns.offered[rows] >= _KNOWN_LOOKS, looks.pictures[rows], 0)
    strange = are_others(
        looks.totals, pictures, rows, arrivals.looks, arrivals.worths, lows, highs, calibration.slope,
        calibration.offset, settings.unlike,
    )  # fmt: skip
    strayed_ns = columns.strayed_ns[rows]
    lost, theirs = rows[strange], rows[~strange]
    columns.strayed_ns[lost] = np.where(strayed_ns != 0, strayed_ns, starts)[strange]
    columns.strayed_looks[lost] += (highs - lows)[strange]
    columns.strayed_ns[theirs], columns.strayed_looks[theirs] = 0, 0
    changed: NDArray[np.bool_] = strange | (strayed_ns != 0)
    vectors = arrivals.looks, arrivals.worths, lows[~strange], highs[~strange]
    changed[~strange] |= looks.learn(theirs, columns.offered, *vectors, settings.track_exemplars)
    columns.offered[theirs] += (highs - lows)[~strange]
    return changed
