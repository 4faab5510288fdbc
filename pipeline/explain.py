"""Why an identity is what it is: every link with its evidence, every correction, the journey over the cameras.

Read from a ledger's `tracks` and `identities`, so what it says is what consumers could know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mtmct.corrections import CorrectionError, IdentityResolver
from mtmct.records import IDENTITIES, TRACKS
from pipeline.ledger.base import LedgerReader


class ExplanationError(CorrectionError):
    """The ledger knows no such identity."""


@dataclass(slots=True)
class Visit:
    """One local track, as far as it is the identity's.

    Attributes:
        start, end: first and last event time, microseconds.
        points: how many there are.
        first: the identity that it was first published with.
        provisional: tracklets that were published as a guess.
        links: why it was linked as it was: the link of the first tracklet; after a guess also that of the decision.
    """

    camera: str
    track: int
    start: int
    end: int
    points: int = 0
    first: str = ""
    provisional: int = 0
    links: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that a ledger says of an identity.

    Attributes:
        identity: its name.
        current: who it is now: itself, the one it was merged into, or None if it was retracted.
        cls: class name, "" if nothing has been said of it yet.
        open: it has not been closed.
        visits: its tracks in order of first sight; of one that was merged away none are left.
        said: the `identities` records that name it, in order, those of others that were merged into it included.
    """

    identity: str
    current: str | None
    cls: str
    open: bool
    visits: list[Visit]
    said: list[Mapping[str, Any]]


def explain(reader: LedgerReader, identity: str) -> Explanation:
    """Read the ledger once for one identity.

    Raises:
        ExplanationError: neither topic names the identity.
        LedgerError: the ledger cannot be read.
    """
    resolver = IdentityResolver()
    said: list[Mapping[str, Any]] = []
    for stored in reader.read(IDENTITIES):
        resolver.apply(stored.value)
        if identity in (stored.value["identity"], stored.value["into"]):
            said.append(stored.value)
    visits: dict[tuple[str, int], Visit] = {}
    cls = said[-1]["class"] if said else ""
    named = bool(said)
    for stored in reader.read(TRACKS):
        value = stored.value
        resolver.published(value)
        named = named or value["identity"] == identity
        if resolver.name_of(value["camera"], value["track"], value["start"]) != identity:
            continue
        name = (value["camera"], value["track"])
        visit = visits.setdefault(name, Visit(*name, value["start"], value["end"], first=value["identity"]))
        visit.end = max(visit.end, value["end"])
        visit.points += len(value["points"])
        visit.provisional += value.get("provisional", False)
        visit.links += [value["link"]] * (value["link"] is not None)
        cls = cls or value["class"]
    if not named:
        raise ExplanationError(f"there is no {identity} in this ledger; `crosscam tail identities` shows who is")
    closed = any(value["event"] == "closed" and value["identity"] == identity for value in said)
    ordered = sorted(visits.values(), key=lambda visit: (visit.start, visit.camera, visit.track))
    return Explanation(identity, resolver.current(identity), cls, not closed, ordered, said)


def evidence(score: float, terms: Mapping[str, float], runner_up: Mapping[str, Any] | None) -> str:
    """`+5.30 (appearance +4.10, motion +1.20); next best plaza-000003 at -1.20`."""
    parts = ", ".join(f"{name} {value:+.2f}" for name, value in sorted(terms.items(), key=lambda item: -abs(item[1])))
    rival = "" if runner_up is None else f"; next best {runner_up['identity']} at {runner_up['score']:+.2f}"
    return f"{score:+.2f}" + (f" ({parts})" if parts else "") + rival


def reason(link: Mapping[str, Any]) -> str:
    """A link in words."""
    if link["previous"] is None and not link["terms"]:
        rival = link["runner_up"]
        return "somebody new" + ("" if rival is None else f"; next best {rival['identity']} at {rival['score']:+.2f}")
    before = "" if link["previous"] is None else f"after {link['previous']['camera']}/{link['previous']['track']}, "
    return f"linked {before}{evidence(link['score'], link['terms'], link['runner_up'])}"


def correction(value: Mapping[str, Any], identity: str) -> str:
    """One `identities` record in words, from the point of view of `identity`."""
    tracks = ", ".join(f"{camera}/{track}" for camera, track in value["tracks"])
    match value["event"]:
        case "merged" if value["into"] == identity:
            what = f"{value['identity']} turned out to be the same"
        case "merged":
            what = f"turned out to be {value['into']}"
        case "split" if value["into"] == identity:
            what = f"took {tracks} over from {value['identity']}"
        case "split":
            what = f"lost {tracks} to {value['into']}"
        case event:
            what = event
    why = value["evidence"]
    what += f" (revision {value['revision']} of {value['identity']})"
    return what + (f": {evidence(why['score'], why['terms'], value.get('runner_up'))}" if why is not None else "")
