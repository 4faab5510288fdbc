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
from mtmct.spans import ROW, Asked, Gathered, Spans
from mtmct.topology import Float64
from operators.records import Float32, Int64

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
    (mine_at, own), (begun, seen) = _begun(tracks, people, mine), _begun(tracks, people, theirs)
    for subject in range(len(asked.slot)):
        low, high = asked.pairs_at[subject], asked.pairs_at[subject + 1]
        if not wanted[low:high].any():
            continue
        mean, length = _impression(tracks, people, mine, subject)
        if length < 0:
            continue
        occasions = own[mine_at[subject] : mine_at[subject + 1]]
        _fill(tracks, people, mine, subject, occasions)
        for pair in range(low, high):
            if not wanted[pair]:
                continue
            other = compared.whom[pair]
            if math.isnan(extents[other]):
                centres[other], extents[other] = _impression(tracks, people, theirs, other)
                _fill(tracks, people, theirs, other, seen[begun[other] : begun[other + 1]])
            if extents[other] >= 0:
                said[pair] = _appearance(
                    belief,
                    occasions,
                    mean,
                    length,
                    seen[begun[other] : begun[other + 1]],
                    centres[other],
                    extents[other],
                )
    return said


@_summing
def _dot(ones: Float32, one: int, others: Float32, other: int) -> float:
    summed = 0.0
    for column in range(ones.shape[1]):
        summed += np.float64(ones[one, column]) * np.float64(others[other, column])
    return summed


@_roughly
def _about(ones: Float32, one: int, others: Float32, other: int) -> float:
    """The same in single precision: faster, and off by far less than `_ROUGH`."""
    summed = np.float32(0.0)
    for column in range(ones.shape[1]):
        summed += ones[one, column] * others[other, column]
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
    for row in spans.tracks[spans.at[whose] : spans.at[whose + 1], ROW]:
        if tracks.told[row] > 0:
            weight += np.float64(tracks.told[row])
            _add(mean, tracks.middle[row], np.float64(tracks.told[row]))
    if weight <= 0:
        return mean, -1.0
    for column in range(len(mean)):
        mean[column] /= weight
    return mean, _dot_mean(mean, mean)


@_compiled
def _begun(tracks: TrackTable, people: PeopleTable, spans: Spans) -> tuple[Int64, Float32]:
    """(N + 1,) where the single occasions of each begin in an array of all, and room for that."""
    at = np.zeros(len(spans.slot) + 1, np.int64)
    for one, slot in enumerate(spans.slot):
        count = people.kept_count[slot] if slot >= 0 else 0
        for row in spans.tracks[spans.at[one] : spans.at[one + 1], ROW]:
            count += tracks.told[row] > 0
        at[one + 1] = at[one] + count
    return at, np.empty((at[-1], tracks.middle.shape[1]), np.float32)


@_compiled
def _fill(tracks: TrackTable, people: PeopleTable, spans: Spans, whose: int, occasions: Float32) -> None:
    """Put single occasions side by side: they are gone through again for each pair."""
    count = 0
    for row in spans.tracks[spans.at[whose] : spans.at[whose + 1], ROW]:
        if tracks.told[row] > 0:
            occasions[count] = tracks.middle[row]
            count += 1
    slot = spans.slot[whose]
    for look in range(people.kept_count[slot] if slot >= 0 else 0):
        occasions[count] = people.kept[slot, look]
        count += 1


@_compiled
def _appearance(
    belief: Belief, occasions: Float32, mean: Float64, length: float, seen: Float32, centre: Float64, extent: float
) -> float:
    """What the looks say, nats. See `mtmct.exemplars.alike` and `repeated`."""
    gain = 1 / min(max(extent * length, 1 / belief.most_gain), 1.0)
    together = (belief.slope * _dot_mean(centre, mean) + belief.offset) * gain
    together = min(max(together, -belief.clip), belief.clip)
    ratios = _repeated(belief, occasions, seen)
    if ratios == 0:
        return together
    once = math.log(ratios / (len(seen) * len(occasions)))
    more, less = max(together, once), min(together, once)
    return min(more + math.log1p(math.exp(less - more)) - _LN2, belief.clip)


@_compiled
def _repeated(belief: Belief, occasions: Float32, seen: Float32) -> float:
    """The sum of what single occasions say for one being the other, as ratios."""
    ratios = 0.0
    for other in range(len(seen)):
        for occasion in range(len(occasions)):
            # By number: to go through rows as arrays of their own takes thirty times as long as to compare them.
            if _about(occasions, occasion, seen, other) < belief.repeated - _ROUGH:
                continue
            cosine = _dot(occasions, occasion, seen, other)
            if cosine >= belief.repeated:
                ratios += math.exp(min(belief.slope * cosine + belief.offset, belief.most_said))
    return ratios
