"""Scores as they are handed on: totals at once, the terms of those that somebody asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mtmct.movement import NEVER
from mtmct.terms import RULED_OUT, TERMS, among_rivals, sum_of
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
        if isinstance(self._terms, dict):
            return self._terms
        said = zip(TERMS, self._terms.tolist(), strict=True)
        return {name: term for name, term in said if not math.isnan(term)}


FORBIDDEN = Score(NEVER, {})


class Scored:
    """What the candidates of one subject come to.

    Attributes:
        totals: (C,) float64, the scores, nats; minus infinity where a hard rule forbids one.
        rivals: how many the subject could be.
        varies: whether any of the scores depends on that.
    """

    __slots__ = ("_others", "_status", "_steps", "_terms", "rivals", "totals", "varies")

    def __init__(
        self,
        totals: Float64,
        status: Int64,
        terms: Float64,
        steps: Float64,
        rivals: int = 1,
        *,
        varies: bool = False,
        others: dict[int, Score] | None = None,
    ) -> None:
        self.totals, self.rivals, self.varies = totals, rivals, varies
        self._status, self._terms, self._steps = status, terms, steps
        self._others = others or {}  # by place: scores that have other terms besides, or in their place
        for place, score in self._others.items():
            totals[place] = score.total

    def __len__(self) -> int:
        return len(self.totals)

    def __getitem__(self, place: int) -> Score:
        """The score of a candidate, with its terms."""
        if place in self._others:
            return self._others[place]
        total = self.totals[place].item()
        return FORBIDDEN if total == NEVER else Score(total, self._terms[place])

    def said(self, place: int) -> list[float]:
        """All terms of a candidate, in the order of `mtmct.terms.TERMS`, NaN where there is none."""
        said: list[float] = self._terms[place].tolist()
        return said

    def ruled_out(self) -> list[int]:
        """The places of those who are ruled out by something that stays when they gain tracks."""
        return [place for place, status in enumerate(self._status.tolist()) if status == RULED_OUT]

    @property
    def plain(self) -> bool:
        """Whether nothing but the terms of `mtmct.scoring` counted."""
        return not self._others

    def among(self, rivals: int, area: float) -> Scored:
        """The same if the subject could be one of so many: only where `plain`."""
        terms = self._terms.copy()
        bounds = np.array([0, len(terms)], np.int64)
        among_rivals(self._status, terms, self._steps, bounds, np.array([rivals], np.int64), area)
        totals = np.round(sum_of(self._status, terms), 6)
        return Scored(totals, self._status, terms, self._steps, rivals, varies=True)

    @classmethod
    def joined(cls, parts: Sequence[tuple[Scored, int]]) -> Scored:
        """One candidate of each of some scores of one subject."""
        return cls(
            np.array([scored.totals[place] for scored, place in parts]),
            np.array([scored._status[place] for scored, place in parts]),
            np.array([scored._terms[place] for scored, place in parts]),
            np.array([scored._steps[place] for scored, place in parts]),
            parts[0][0].rivals,
            varies=any(scored.varies for scored, _ in parts),
            others={at: scored._others[place] for at, (scored, place) in enumerate(parts) if place in scored._others},
        )


class Picked(Scored):
    """The same as `Scored.joined` where nothing depends on the rivals: the terms stay where they are."""

    __slots__ = ("_parts",)

    def __init__(self, totals: Float64, parts: Sequence[tuple[Scored, int]]) -> None:
        super().__init__(totals, NOTHING._status, NOTHING._terms, NOTHING._steps)
        self._parts = parts

    def __getitem__(self, place: int) -> Score:
        """See `Scored`."""
        scored, at = self._parts[place]
        return scored[at]


NOTHING = Scored(np.zeros(0), np.zeros(0, np.int64), np.zeros((0, len(TERMS))), np.zeros((0, 6)))
