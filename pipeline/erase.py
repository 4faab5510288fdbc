"""Erasing an identity on request: through the site's FusionActor while it runs, else in its ledger.

What goes at once: everything from which the person could be recognised, that is every embedding and position that the
state holds of the identity (`mtmct.erasure`), and its thumbnails. What is published: a `retracted` record, which takes
the identity's tracks out of every export, summary and consumer that follows corrections; and the site's counts and
journeys that held the identity, again, without it, as far back as they are restated at all. What stays, and why:

- the records in `tracks` and `events`: a log that others have read is not rewritten. They hold boxes, times and the
  identity's number, never an embedding. In Kafka they go with the topic's retention, in SQLite with the file.
- recordings, and pictures of incidents (`snapshots`): whoever keeps them has to see to them.
- looks in the state of a camera's tracker, if it is one that uses them, until it lets the local track go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mtmct.corrections import IdentityResolver, number_of
from mtmct.counting import restate
from mtmct.erasure import ErasureError, erase
from mtmct.records import IDENTITIES, TRACKS
from mtmct.settings import FusionSettings
from operators.records import CrosscamError, unpack
from pipeline import detached, running, thumbnail_files
from pipeline.address import Place
from pipeline.commit_order import SITE_KEY
from pipeline.ledger.base import LedgerReader, LedgerWriter
from pipeline.schema.codec import open_codec


@dataclass(frozen=True, slots=True)
class Erased:
    """What came of it.

    Attributes:
        identity: its name.
        tracks: local tracks that consumers now drop.
        records: `tracks` records that stay in the log.
        running: it was done by a running site.
        left: what is left of embeddings or pictures where, as a sentence; None if nothing is.
    """

    identity: str
    tracks: int
    records: int
    running: bool
    left: str | None


def erase_identity(place: Place, identity: str, *, take_over: bool = False) -> Erased:
    """Erase an identity of the site whose ledger is at `place`.

    Args:
        place: the ledger.
        identity: such as plaza-000017.
        take_over: write to the ledger of a site that has not ended even if it may be running somewhere else; a run
            that does is fenced off and stops.

    Raises:
        ErasureError: there is no such identity, it has been merged into another or erased before, or the site may be
            running out of reach.
        CrosscamError: the ledger or the running site cannot be used.
    """
    number = number_of(identity)
    reader = place.reader()
    try:
        last, seen = _look_up(reader, identity)
        finished = _finished(reader)
    finally:
        reader.close()
    running_site = True
    try:
        left = detached.ask(place, "erase", number, last)
    except running.NotRunningError:
        if not (finished or take_over):
            raise ErasureError(
                f"{identity} was not erased: its site has not ended, and no run of it can be reached from here. If it "
                "runs on another machine, do this there; if it does not run, repeat with --take-over"
            ) from None
        running_site = False
        site = identity.rpartition("-")[0]
        left = _in_ledger(place.writer(site), site, number, last)
    pictures = _pictures(place, seen)
    said = " ".join(one for one in (left, pictures) if one is not None)
    return Erased(identity, len(seen.tracks), seen.records, running_site, said or None)


@dataclass(slots=True)
class _Seen:
    """Local tracks that are the identity's, those of them that had not ended, and how many records tell of them."""

    tracks: set[thumbnail_files.Track]
    going_on: set[thumbnail_files.Track]
    records: int


def _look_up(reader: LedgerReader, identity: str) -> tuple[dict[str, Any] | None, _Seen]:
    """What was said of the identity last, and where it was seen."""
    resolver = IdentityResolver()
    last = None
    for stored in reader.read(IDENTITIES):
        resolver.apply(stored.value)
        if stored.value["identity"] == identity:
            last = stored.value
    told: list[tuple[str, int, int]] = []
    ended: set[thumbnail_files.Track] = set()
    for stored in reader.read(TRACKS):
        value = stored.value
        resolver.published(value)
        told.append((value["camera"], value["track"], value["start"]))
        if value["ended"]:
            ended.add((value["camera"], value["track"]))
    mine = [track[:2] for track in told if resolver.name_of(*track) == identity]
    now = resolver.current(identity)
    if last is None and not mine:
        raise ErasureError(f"there is no {identity} in this ledger; `crosscam tail identities` shows who is")
    if now is None:
        raise ErasureError(f"{identity} has been retracted already: nothing more is kept of it")
    if now != identity:
        raise ErasureError(f"{identity} has turned out to be {now}: erase that one")
    return last, _Seen({*mine}, {*mine} - ended, len(mine))


def _pictures(place: Place, seen: _Seen) -> str | None:
    """Remove its thumbnails; what is left of them, as a sentence."""
    folder = thumbnail_files.folder_of(place)
    if place.site is None and place.kafka is not None and not folder.is_dir():
        return "whether its site keeps thumbnails is not known here: name the site by its file to remove them, too"
    return thumbnail_files.erase(folder, sorted(seen.tracks), seen.going_on)


def _finished(reader: LedgerReader) -> bool:
    state = reader.state()
    return SITE_KEY in state and bool(unpack(state[SITE_KEY])["finished"])


def _in_ledger(writer: LedgerWriter, site: str, number: int, last: Mapping[str, Any] | None) -> str | None:
    try:
        state = writer.open()
        if SITE_KEY not in state:
            raise CrosscamError(f"the ledger of site {site!r} holds no state: nothing has been run")
        kept = unpack(state[SITE_KEY])
        now_ns = 0 if kept["interval"] is None else (kept["interval"] + 1) * kept["interval_ns"]
        erasure = erase(state, number, site, FusionSettings(), now_ns, last)
        figures, changes = restate(state, site, erasure, now_ns)
        records = [open_codec().encode(record) for record in (*erasure.records, *figures)]
        writer.commit(records, {**erasure.changes, **changes})
        return writer.scrub()
    finally:
        writer.close()
