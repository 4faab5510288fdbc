"""One object across the site, and what is said when it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mtmct.attributes import Tally
from mtmct.exemplars import Exemplars, Impression
from mtmct.past import Past

Terms = Mapping[str, float]
RunnerUp = tuple[int, float] | None  # the next best identity and its score


@dataclass(frozen=True, slots=True)
class Why:
    """What speaks for a correction: the sum of the log-likelihood ratios, what they were, and what was next best."""

    score: float
    terms: Terms
    runner_up: RunnerUp = None


@dataclass(frozen=True, slots=True)
class Moment:
    """The end of a track that is nobody's, see `mtmct.hand_over`.

    Attributes:
        camera, track: the local track.
        uid: of the track, 0 if it is no longer in memory.
        start_ns: event time at which the track (or the part of it that this is) began.
        since_ns: from this event time on.
        end_ns: its last point.
        ahead_ns: by how much its camera's clock is taken to be ahead.
    """

    camera: str
    track: int
    uid: int
    start_ns: int
    since_ns: int
    end_ns: int
    ahead_ns: int


@dataclass(slots=True)
class Identity:
    """One object across the site.

    Attributes:
        number: the number in its name, never reused.
        revision: counts the corrections that have touched it.
        created_ns: event time of the commit that created it.
        votes: points per class name, of the tracks that are no longer remembered.
        uids: its tracks in memory, ascending.
        past: its tracks that are no longer in memory.
        last_ns: when it was last seen, as far as `past` knows.
        looks: exemplars of the tracks in `past`; impression: the mean of their looks; attributes: their votes.
        version: counts the changes of all this.
    """

    number: int
    revision: int
    created_ns: int
    votes: dict[str, int] = field(default_factory=dict)
    uids: list[int] = field(default_factory=list)
    past: Past = field(default_factory=Past)
    last_ns: int = 0
    looks: Exemplars = field(default_factory=Exemplars)
    impression: Impression = field(default_factory=Impression)
    attributes: Tally = field(default_factory=dict)
    version: int = 0
