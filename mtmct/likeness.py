"""What the looks say for many pairs of a subject and an identity in one pass, compiled.

The same as `mtmct.exemplars.alike` and `repeated` say of one subject, from columns. Cosines are summed in double
precision: what a pair says depends neither on the other pairs of the pass nor on the processor's width. Nothing
compiled here calls what is compiled elsewhere: the cache of compiled code would not notice a change there.
"""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mtmct.columns import PeopleTable, TrackTable
from mtmct.spans import Asked, Gathered, Spans
from mtmct.topology import Float64
from operators.records import Float32

_compiled = numba.njit(cache=True, nogil=True)
# The order of a sum is left to the compiler: in double precision no published digit depends on it.
_summing = numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
# Only says which sums need not be made.
_roughly = numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
_ROUGH = 1e-3
_LN2 = math.log(2)


class Belief(NamedTuple):
    """The calibration of cosines, and the bounds of `mtmct.exemplars`, as plain numbers."""

    slope: float
    offset: float
    clip: float
    most_gain: float
    most_said: float
    repeated: float


@_compiled
def likeness(
    tracks: TrackTable, people: PeopleTable, compared: Gathered, belief: Belief, asked: Asked, wanted: NDArray[np.bool_]
) -> Float64:
    """What the looks say for each pair that is wanted, (P,) nats; NaN where there are none to compare.

    Half of it is said by the mean looks, half by single occasions: who comes back to a camera in the same light looks
    more like that one time than like the mean of all.
    """
    said = np.full(len(asked.slots), np.nan)
    mine, theirs = compared.subjects, compared.people
    centres = np.empty((len(theirs.slot), tracks.middle.shape[1]))
    extents = np.full(len(theirs.slot), np.nan)
    for subject in range(len(asked.slot)):
        low, high = asked.pairs_at[subject], asked.pairs_at[subject + 1]
        if not wanted[low:high].any():
            continue
        occasions, mean, length = _looks_of_subject(tracks, people, mine, subject)
        if length < 0:
            continue
        for pair in range(low, high):
            if not wanted[pair]:
                continue
            other = compared.whom[pair]
            if math.isnan(extents[other]):
                centres[other], extents[other] = _impression(tracks, people, theirs, other)
            if extents[other] >= 0:
                said[pair] = _appearance(
                    tracks, people, belief, occasions, mean, length, theirs, other, centres[other], extents[other]
                )
    return said


@_summing
def _dot(one: Float32, other: Float32) -> float:
    summed = 0.0
    for column in range(len(one)):
        summed += np.float64(one[column]) * np.float64(other[column])
    return summed


@_roughly
def _about(one: Float32, other: Float32) -> float:
    """The same in single precision: four times as fast, and off by far less than `_ROUGH`."""
    summed = np.float32(0.0)
    for column in range(len(one)):
        summed += one[column] * other[column]
    return float(summed)


@_summing
def _add(to: Float64, vector: Float32, times: float) -> None:
    for column in range(len(to)):
        to[column] += np.float64(vector[column]) * times


@_summing
def _dot_mean(mean: Float64, other: Float64) -> float:
    summed = 0.0
    for column in range(len(mean)):
        summed += mean[column] * other[column]
    return summed


@_compiled
def _impression(tracks: TrackTable, people: PeopleTable, spans: Spans, whose: int) -> tuple[Float64, float]:
    """The mean look over all occasions, and its length squared, -1 where there are none."""
    mean = np.zeros(tracks.middle.shape[1])
    weight = 0.0
    slot = spans.slot[whose]
    if slot >= 0 and people.weight[slot] > 0:
        weight = people.weight[slot]
        _add(mean, people.total[slot], 1.0)
    for row in spans.row[spans.at[whose] : spans.at[whose + 1]]:
        if tracks.told[row] > 0:
            weight += np.float64(tracks.told[row])
            _add(mean, tracks.middle[row], np.float64(tracks.told[row]))
    if weight <= 0:
        return mean, -1.0
    for column in range(len(mean)):
        mean[column] /= weight
    return mean, _dot_mean(mean, mean)


@_compiled
def _looks_of_subject(
    tracks: TrackTable, people: PeopleTable, spans: Spans, whose: int
) -> tuple[Float32, Float64, float]:
    """Single occasions, (K, D); the mean look, and its length squared, -1 where there is none."""
    mean, length = _impression(tracks, people, spans, whose)
    own = spans.slot[whose]
    kept = people.kept_count[own] if own >= 0 else 0
    occasions = np.empty((spans.at[whose + 1] - spans.at[whose] + kept, tracks.middle.shape[1]), np.float32)
    count = 0
    for row in spans.row[spans.at[whose] : spans.at[whose + 1]]:
        if tracks.told[row] > 0:
            occasions[count] = tracks.middle[row]
            count += 1
    for look in range(kept):
        occasions[count] = people.kept[own, look]
        count += 1
    return occasions[:count], mean, length


@_compiled
def _appearance(
    tracks: TrackTable,
    people: PeopleTable,
    belief: Belief,
    occasions: Float32,
    mean: Float64,
    length: float,
    theirs: Spans,
    other: int,
    centre: Float64,
    extent: float,
) -> float:
    """What the looks say, nats. See `mtmct.exemplars.alike` and `repeated`."""
    gain = 1 / min(max(extent * length, 1 / belief.most_gain), 1.0)
    together = (belief.slope * _dot_mean(centre, mean) + belief.offset) * gain
    together = min(max(together, -belief.clip), belief.clip)
    ratios, count = 0.0, 0
    for row in theirs.row[theirs.at[other] : theirs.at[other + 1]]:
        if tracks.told[row] > 0:
            ratios += _repeated(belief, occasions, tracks.middle[row])
            count += 1
    slot = theirs.slot[other]
    for look in range(people.kept_count[slot]):
        ratios += _repeated(belief, occasions, people.kept[slot, look])
        count += 1
    if count == 0 or len(occasions) == 0 or ratios == 0:
        return together
    once = math.log(ratios / (count * len(occasions)))
    more, less = max(together, once), min(together, once)
    return min(more + math.log1p(math.exp(less - more)) - _LN2, belief.clip)


@_compiled
def _repeated(belief: Belief, occasions: Float32, other: Float32) -> float:
    """The sum of what single occasions say for one being the other, as ratios."""
    ratios = 0.0
    for occasion in occasions:
        if _about(occasion, other) < belief.repeated - _ROUGH:
            continue
        cosine = _dot(occasion, other)
        if cosine >= belief.repeated:
            ratios += math.exp(min(belief.slope * cosine + belief.offset, belief.most_said))
    return ratios
