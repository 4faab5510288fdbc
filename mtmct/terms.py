"""The terms of a score by their columns: what is said of one among so many, and the sum; compiled."""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

import math

import numba
import numpy as np

from mtmct.topology import Float64
from operators.records import Int64

_compiled = numba.njit(cache=True, nogil=True)
_NEVER = -math.inf
_NONE = math.nan
# What a pair comes to. `RULED_OUT` by something that stays when the identity gains tracks, `UNREACHED` is not.
RULED_OUT, SCORED, TIMED, UNREACHED = 0, 1, 2, 3
# Columns of the terms; NaN where there is none.
GROUND, OVERLAP, MOTION, CROWD, CLASS, ARRIVAL, APPEARANCE, HAND_OVER = range(8)
TERMS = ("ground", "overlap", "motion", "crowd", "class", "arrival", "appearance", "hand_over")


@_compiled
def among_rivals(status: Int64, terms: Float64, steps: Float64, pairs_at: Int64, rivals: Int64, area: float) -> None:
    """Put into the terms what is said of pairs whose positions were not compared: they are one of so many.

    Apart from `mtmct.scoring.score`, so that one identity more is no reason to score anew what was scored ahead.

    Args:
        status, terms, steps: see `mtmct.scoring.score`; a step is how near it ends to where it should, the extent of
            that, and what is not trusted of it, NaN if there is none.
        pairs_at: (S + 1,), as in `Asked`. rivals: (S,) how many each subject could be.
        area: square metres a person.
    """
    for subject in range(len(rivals)):
        for pair in range(pairs_at[subject], pairs_at[subject + 1]):
            # What positions seen at the same time say leaves nothing to add for where it came from.
            if status[pair] == SCORED and math.isnan(terms[pair, GROUND]):
                _among(terms, steps, pair, rivals[subject], area)


@_compiled
def concluded(
    status: Int64, terms: Float64, steps: Float64, looks: Float64, pairs_at: Int64, rivals: Int64, area: float
) -> Float64:
    """Put into the terms what the `looks` say ((P,) nats, NaN for nothing), and what is said of one among so many.

    Returns:
        (P,) float64, the sum of the terms of each pair, rounded so that a last bit never decides.
    """
    totals = np.full(len(status), _NEVER)
    for subject in range(len(rivals)):
        for pair in range(pairs_at[subject], pairs_at[subject + 1]):
            terms[pair, APPEARANCE] = looks[pair]
            if status[pair] != SCORED:
                continue
            if math.isnan(terms[pair, GROUND]):
                _among(terms, steps, pair, rivals[subject], area)
            totals[pair] = np.rint(_total(terms, pair) * 1e6) / 1e6
    return totals


@_compiled
def sum_of(status: Int64, terms: Float64) -> Float64:
    """(P,) float64, the sum of the terms of each pair, in their order; minus infinity where nothing is scored."""
    summed = np.full(len(terms), _NEVER)
    for pair in range(len(terms)):
        if status[pair] == SCORED:
            summed[pair] = _total(terms, pair)
    return summed


@_compiled
def _total(terms: Float64, pair: int) -> float:
    total = 0.0
    for term in range(terms.shape[1]):
        if not math.isnan(terms[pair, term]):
            total += terms[pair, term]
    return total


@_compiled
def _among(terms: Float64, steps: Float64, pair: int, rivals: int, area: float) -> None:
    said = _NONE
    for step in (0, 3):
        near, extent, doubt = steps[pair, step], steps[pair, step + 1], steps[pair, step + 2]
        if math.isnan(near):
            continue
        llr = math.log(near / min(extent, rivals * area) + doubt / rivals)
        said = llr if math.isnan(said) else said + llr
    if math.isnan(said):
        terms[pair, CROWD] = -math.log(rivals)
    else:
        terms[pair, MOTION] = said
