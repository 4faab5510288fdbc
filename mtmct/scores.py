"""Scores as they are handed on: totals at once, the terms of those that somebody asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mtmct.movement import NEVER
from mtmct.terms import GROUND, SCORED, TERMS
from mtmct.topology import Float64
from operators.records import Int64


class Score:
    """What speaks for a pair.

    Args:
        total: the sum of the terms, nats; minus infinity where a hard rule forbids it.
        terms: by name, or in the order of `mtmct.terms.TERMS` with NaN where there is none: most are never asked for.
    """

    __slots__ = ("_terms", "total")

    def __init__(self, total: float, terms: dict[str, float] | Float64) -> None:
        self.total = total
        self._terms = terms

    @property
    def terms(self) -> dict[str, float]:
        """The terms by name."""
        if not isinstance(self._terms, dict):
            said = zip(TERMS, self._terms.tolist(), strict=True)
            self._terms = {name: term for name, term in said if not math.isnan(term)}
        return self._terms


FORBIDDEN = Score(NEVER, {})


@dataclass(slots=True)
class Scored:
    """What pairs of a subject and an identity come to.

    Attributes:
        totals: (P,) float64, the scores, nats; minus infinity where a hard rule forbids one.
        status, terms, steps: (P,), (P, 8) and (P, 6), see `mtmct.scoring.score`.
        others: by pair the scores that have other terms besides, or in their place.
    """

    totals: Float64
    status: Int64
    terms: Float64
    steps: Float64
    others: dict[int, Score] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.totals)

    def __getitem__(self, pair: int) -> Score:
        """A score, with its terms."""
        if pair in self.others:
            return self.others[pair]
        total = self.totals[pair].item()
        return FORBIDDEN if total == NEVER else Score(total, self.terms[pair].copy())

    def replace(self, pair: int, score: Score) -> None:
        """Another score in the place of one."""
        self.others[pair] = score
        self.totals[pair] = score.total

    def put(self, pairs: Int64, other: Scored) -> None:
        """Other scores in the place of some."""
        if self.others:
            for pair in pairs.tolist():
                self.others.pop(pair, None)
        self.totals[pairs], self.status[pairs] = other.totals, other.status
        self.terms[pairs], self.steps[pairs] = other.terms, other.steps
        self.others.update({int(pairs[pair]): score for pair, score in other.others.items()})

    def longer(self, by: int) -> Scored:
        """The same with room for more."""
        return Scored(
            np.concatenate([self.totals, np.zeros(by)]),
            np.concatenate([self.status, np.zeros(by, np.int64)]),
            np.concatenate([self.terms, np.zeros((by, self.terms.shape[1]))]),
            np.concatenate([self.steps, np.zeros((by, self.steps.shape[1]))]),
            self.others,
        )

    def depends_on_rivals(self) -> NDArray[np.bool_]:
        """(P,) which of them depend on how many the subject could be."""
        varies: NDArray[np.bool_] = (self.status == SCORED) & np.isnan(self.terms[:, GROUND])
        return varies


def nothing_scored() -> Scored:
    """No pairs at all."""
    return Scored(np.zeros(0), np.zeros(0, np.int64), np.zeros((0, len(TERMS))), np.zeros((0, 6)))
