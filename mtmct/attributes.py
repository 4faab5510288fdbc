"""What objects are like, in words (a car's colour, a bag, an age): gathered, and what it says of who is who.

Votes are kept by facet and value: how many looks said so, a look counting as far as it can be trusted. Of a track, of
an identity, and of everybody in the site, since what nearly all have in common tells nobody apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from operators.records import NO_VALUE

Votes: TypeAlias = Mapping[str, Mapping[str, float]]
Tally: TypeAlias = dict[str, dict[str, float]]

_ENOUGH = 10_000.0  # votes of one facet in the whole site, after which the older count half
_BEFORE = 10.0  # votes that stand for everything being equally common, before anybody was seen


@dataclass(frozen=True, slots=True)
class AttributeBeliefs:
    """How far attributes are trusted.

    Attributes:
        error: how often a facet of a whole track is taken for something else, as a share.
        weight: what counts of what the facets say; they are read from the same pictures as the looks and from one
            another's, so that their sum says too much.
        clip: the most that they may say for or against, nats.
    """

    error: float = 0.15
    weight: float = 0.5
    clip: float = 3.0


def add(tally: Tally, votes: Votes) -> None:
    """Count votes in; rounded, so that a stored tally is the same as one in memory."""
    for facet, values in votes.items():
        mine = tally.setdefault(facet, {})
        for value, weight in values.items():
            mine[value] = round(mine.get(value, 0.0) + weight, 6)


def together(parts: Iterable[Votes]) -> Tally:
    """The sum of votes."""
    total: Tally = {}
    for part in parts:
        add(total, part)
    return total


def held(votes: Votes) -> dict[str, str]:
    """The value of each facet for which more than half of the votes are; without those where that is none."""
    found = {}
    for facet in sorted(votes):
        values = votes[facet]
        best = min(values, key=lambda value: (-values[value], value))
        if best != NO_VALUE and 2 * values[best] > sum(values.values()):
            found[facet] = best
    return found


def fault(votes: Any) -> str | None:
    """What is wrong with votes, as a part of a sentence; None if they can be used."""
    if not isinstance(votes, Mapping) or not all(isinstance(values, Mapping) for values in votes.values()):
        return "are no table of facet, value and weight"
    for facet, values in votes.items():
        weights = list(values.values())
        if not all(isinstance(weight, (int, float)) and math.isfinite(weight) and weight >= 0 for weight in weights):
            return f"have a weight of {facet!r} that is no number from 0 on"
        if not sum(weights) > 0:
            return f"have no weight for any value of {facet!r}"
    return None


class Population:
    """How common each value is in the site, among all that were looked at."""

    def __init__(self, votes: Tally | None = None) -> None:
        self.votes: Tally = {} if votes is None else votes
        self.changed = False

    def add(self, votes: Votes) -> None:
        """Count somebody's votes."""
        if not votes:
            return
        add(self.votes, votes)
        for facet in votes:
            values = self.votes[facet]
            if sum(values.values()) > _ENOUGH:
                self.votes[facet] = {value: round(weight / 2, 6) for value, weight in values.items()}
        self.changed = True

    def shares(self, facet: str, values: Iterable[str]) -> dict[str, float]:
        """How common values of a facet are, those among them that nobody had included. Sum: 1."""
        known = self.votes.get(facet, {})
        names = sorted({*known, *values})
        total = sum(known.values()) + _BEFORE
        return {name: (known.get(name, 0.0) + _BEFORE / len(names)) / total for name in names}


def agreement(one: Votes, other: Votes, population: Population, beliefs: AttributeBeliefs) -> float | None:
    """What the attributes of two say for their being the same, nats; None if they have no facet in common.

    Of a facet whose values have the shares s in the population, and the chances p by what was seen of the one and q of
    the other, each on its own: log sum(p q / s), which is the likelihood ratio of one object seen twice against two
    objects. Chances are the shares of the votes, mixed with the population's as far as a whole track may be misread.
    """
    common = sorted(one.keys() & other.keys())
    if not common:
        return None
    total = 0.0
    for facet in common:
        shares = population.shares(facet, {*one[facet], *other[facet]})
        mine, theirs = (_chances(votes[facet], shares, beliefs.error) for votes in (one, other))
        total += math.log(sum(mine[value] * theirs[value] / share for value, share in shares.items()))
    return min(max(beliefs.weight * total, -beliefs.clip), beliefs.clip)


def _chances(votes: Mapping[str, float], shares: Mapping[str, float], error: float) -> dict[str, float]:
    total = sum(votes.values())
    return {value: (1 - error) * votes.get(value, 0.0) / total + error * share for value, share in shares.items()}
