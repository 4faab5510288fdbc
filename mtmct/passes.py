"""One pass over many pairs of a subject and an identity: all that is said of them, in one call of compiled code.

To hand a table of a dozen columns over to compiled code takes longer than to look at a few pairs, and most passes look
at few. What is called here is compiled in other files, and the cache of compiled code notices a change of those only
because it is kept by the values that a function closes over: so each closes over what these files contain. What they
have compiled for themselves is kept by their own files alone; see `mtmct.columns.TrackTable` for what that leaves open.
"""

# mypy: disable-error-code="untyped-decorator, unused-ignore, no-any-return"

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

from mtmct import columns, exclusion, likeness, long_ago, scoring, spans, terms
from mtmct.columns import PeopleTable, TrackTable
from mtmct.exclusion import Allowance, shared
from mtmct.likeness import Belief
from mtmct.likeness import likeness as alike
from mtmct.long_ago import were_apart
from mtmct.scoring import Beliefs, Pairs, score
from mtmct.spans import Asked, gather
from mtmct.terms import SCORED, TIMED, concluded
from mtmct.topology import Float64
from operators.records import Int64

_compiled = numba.njit(cache=True, nogil=True)
Judged = tuple[Float64, Int64, Float64, Float64, bool]


def _contents() -> str:
    files = [str(module.__file__) for module in (columns, exclusion, likeness, long_ago, scoring, spans, terms)]
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()


# What a function closes over is part of the key under which it is kept only if it uses it.


def _judging(contents: str) -> Callable[..., Judged]:
    @_compiled
    def judged(
        tracks: TrackTable,
        people: PeopleTable,
        beside: Pairs,
        beliefs: Beliefs,
        allowed: Allowance,
        belief: Belief,
        asked: Asked,
        everybody: bool,
    ) -> Judged:
        """All that speaks for each pair, but for times between views and attributes.

        What the looks say is worked out for all pairs (`everybody`), or only for those that are not ruled out.

        Returns:
            Totals, status, terms and steps of the pairs, see `mtmct.scoring.score` and `mtmct.terms.concluded`;
            whether times between views count.
        """
        contents  # noqa: B018
        compared = gather(tracks, people, asked)
        together = shared(people, compared, beliefs.llr, allowed, asked)
        horizon_ns, least_ns = beliefs.now_ns - beliefs.window_ns, 2 * beliefs.slot_ns
        apart = were_apart(tracks, people, compared, asked, together, beliefs.calibrated, horizon_ns, least_ns)
        status, said, steps = score(tracks, people, compared, beside, beliefs, asked, together, apart)
        looks = alike(tracks, people, compared, belief, asked, everybody | (status == SCORED) | (status == TIMED))
        totals = concluded(status, said, steps, looks, asked.pairs_at, asked.rivals, beliefs.area)
        return totals, status, said, steps, bool(np.any(status == TIMED))

    return judged  # type: ignore[no-any-return]


def _resembling(contents: str) -> Callable[..., Float64]:
    @_compiled
    def resembling(tracks: TrackTable, people: PeopleTable, belief: Belief, asked: Asked) -> Float64:
        """What the looks alone say for each pair, (P,) nats; NaN where there are none to compare."""
        contents  # noqa: B018
        everybody = np.ones(len(asked.slots), np.bool_)
        return alike(tracks, people, gather(tracks, people, asked), belief, asked, everybody)

    return resembling  # type: ignore[no-any-return]


judged, resembling = _judging(_contents()), _resembling(_contents())
