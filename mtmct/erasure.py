"""Forgetting somebody on request: an identity's embeddings go from all that is stored, and it is never found again.

An erasure is worked out on the stored state, not in the engine's memory: what is stored is what has to be free of the
embeddings, and an engine that goes on from a state goes on as if it had never known anything else.

    fusion/erased/<number>    the local tracks of an erased identity that go on, and when they were last seen
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmct import state as stored
from mtmct.album import closed_key
from mtmct.coincidence import PairWindow
from mtmct.gallery import Gallery
from mtmct.identity import Identity
from mtmct.positions import fill
from mtmct.provisional import GUESSES, pack_guesses, read_guesses
from mtmct.records import IDENTITIES, CameraBatch, Record
from mtmct.settings import FusionSettings
from mtmct.stored_tracks import has_ended, unpack_track
from mtmct.track_state import NOT_FILED, TrackState, most_voted
from mtmct.tracklets import names_of, those_at
from operators.records import SECOND_NS, CrosscamError, Float32, Int64

ERASED = stored.PREFIX + "erased/"

Name = tuple[str, int]


class ErasureError(CrosscamError):
    """What is to be erased has never been there."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure comes to: the tombstone, if there is one, and the changed state keys (None: deleted)."""

    records: tuple[Record, ...]
    changes: dict[str, bytes | None]


def erase(
    state: Mapping[str, bytes],
    number: int,
    site: str,
    settings: FusionSettings,
    now_ns: int,
    last_said: Mapping[str, Any] | None = None,
) -> Erasure:
    """Take an identity out of a state.

    Its record, its tracks and their positions go. The gallery is filed anew from what is remembered of the others:
    that also removes what lay there under the numbers of identities that have been merged or closed since, and what
    a track had taught an identity that it was split from later. Of an identity that is not open any more the state
    does not know enough for a tombstone: it needs `last_said`.

    Args:
        state: all keys of fusion.
        number: the identity's number.
        site: site name.
        settings: of the engine to which the state belongs.
        now_ns: event time of the request, for the tombstone.
        last_said: the identity's latest `identities` record.

    Raises:
        ErasureError: no identity ever had this number.
        StateError: the state is damaged or of another version.
    """
    meta = stored.unpacked(stored.META, state[stored.META]) if stored.META in state else {"number": 1, "sequence": 0}
    if not 1 <= number < meta["number"]:
        raise ErasureError(f"site {site} has no identity number {number}: numbers run from 1 to {meta['number'] - 1}")
    changes: dict[str, bytes | None] = {}
    tracks = {key: unpack_track(key, data) for key, data in _of(state, stored.TRACK)}
    identities = {key: stored.unpack_identity(key, data) for key, data in _of(state, stored.IDENTITY)}
    guesses = read_guesses(state)
    mine = {key: track for key, track in tracks.items() if number in (track.identity, guesses.get(track.uid))}
    uids = np.array(sorted(track.uid for track in mine.values()), np.int64)
    records: tuple[Record, ...] = ()
    key = stored.identity_key(number)
    if key in identities or mine:
        # Published as a guess only, it has no key yet.
        identity = identities.pop(key, Identity(number, 0, now_ns))
        family = sorted(mine.values(), key=lambda track: track.uid)
        _count_points(state, family)
        records = (_tombstone(identity, family, site, now_ns),)
        held = [stored.held_key(track) for track in family]
        for gone in (key, *mine, *held):
            if gone in state:
                changes[gone] = None
        left = {uid: guess for uid, guess in guesses.items() if guess != number}
        if len(left) < len(guesses):
            changes[GUESSES] = pack_guesses(left) if left else None
        going_on = {track.name: track.last_ns for track in family if not track.ended}
        if going_on:
            changes[ERASED + f"{number:06d}"] = _pack_going_on(going_on)
    elif last_said is not None:
        records = (_tombstone_after(last_said, now_ns),)
    if closed_key(number) in state:
        changes[closed_key(number)] = None
    changes |= _without_uids(state, uids)
    for old, _ in _of(state, stored.GALLERY):
        changes[old] = None
    others = [track for held, track in tracks.items() if held not in mine]
    changes |= _filed_anew(others, list(identities.values()), settings, meta["sequence"] + 1)
    changes[stored.META] = _with_value(meta, sequence=meta["sequence"] + 1)
    return Erasure(records, {name: changes[name] for name in sorted(changes)})


def _of(state: Mapping[str, bytes], prefix: str) -> list[tuple[str, bytes]]:
    return [(key, state[key]) for key in sorted(state) if key.startswith(prefix)]


def _with_value(value: Mapping[str, Any], **changed: Any) -> bytes:
    return stored.packed({**{name: kept for name, kept in value.items() if name != "version"}, **changed})


def _count_points(state: Mapping[str, bytes], family: Sequence[TrackState]) -> None:
    """Give tracks that go on the fast-changing part of theirs: class votes, last point, that they have not ended."""
    wanted = {track.uid: track for track in family}
    for key, data in _of(state, stored.CAMERA):
        value = stored.unpacked(key, data)
        for row, uid in enumerate(value["uids"].tolist()):
            if uid in wanted:
                wanted[uid].votes = dict(value["votes"][row])
                wanted[uid].last_ns = int(value["times"][row])
                wanted[uid].ended = has_ended(value, row)


def _tombstone(identity: Identity, family: Sequence[TrackState], site: str, now_ns: int) -> Record:
    votes = dict(identity.votes)
    for track in family:
        for cls, count in track.votes.items():
            votes[cls] = votes.get(cls, 0) + count
    names = dict.fromkeys([*((past.camera, past.track) for past in identity.past), *(track.name for track in family)])
    name = f"{site}-{identity.number:06d}"
    value = {
        "schema": "crosscam.identities/1",
        "site": site,
        "identity": name,
        "number": identity.number,
        "revision": identity.revision + 1,
        "event": "retracted",
        "class": most_voted(votes),
        "time": now_ns // 1000,
        "cameras": sorted({camera for camera, _ in names}),
        "tracks": [list(track) for track in names],
        "since": None,
        "until": None,
        "into": None,
        "evidence": None,
        "runner_up": None,
    }
    return Record(IDENTITIES, name, value, now_ns)


def _tombstone_after(said: Mapping[str, Any], now_ns: int) -> Record:
    nothing = {"since": None, "until": None, "into": None, "evidence": None, "runner_up": None}
    new = {"revision": said["revision"] + 1, "event": "retracted", "time": now_ns // 1000}
    kept = {name: value for name, value in said.items() if name != "attributes"}
    return Record(IDENTITIES, said["identity"], {**kept, **new, **nothing}, now_ns)


def _without_uids(state: Mapping[str, bytes], uids: Int64) -> dict[str, bytes | None]:
    """The cameras' and the pairs' keys without these tracks."""
    changes: dict[str, bytes | None] = {}
    for key, data in _of(state, stored.CAMERA):
        value = stored.unpacked(key, data)
        changes |= _rows_kept(key, value, np.isin(value["uids"], uids))
    return changes | _pairs_without(state, uids)


def _pairs_without(state: Mapping[str, bytes], uids: Int64) -> dict[str, bytes | None]:
    """The pairs as they are after all cuts, so that no cut has to be kept beside them."""
    kept, cuts = _of(state, stored.PAIRS), _of(state, stored.CUTS)
    window = PairWindow(FusionSettings())
    fill(window, kept, cuts)
    changes: dict[str, bytes | None] = {key: None for key, _ in (*kept, *cuts)}
    for commit in window.commits:
        rows = np.flatnonzero(~np.isin(commit.rows.pairs, uids).any(axis=1))
        commit.rows = commit.rows.at(rows)
        for chunk, data in enumerate(stored.pack_pairs(commit)):
            changes[stored.pairs_key(commit.sequence, chunk)] = data
    return {key: data for key, data in changes.items() if state.get(key) != data}


def _rows_kept(key: str, value: dict[str, Any], leave_out: NDArray[np.bool_]) -> dict[str, bytes | None]:
    if not leave_out.any():
        return {}
    if leave_out.all():
        return {key: None}
    rows = np.flatnonzero(~leave_out)
    kept: dict[str, Any] = {}
    for name, column in value.items():
        if isinstance(column, np.ndarray):
            kept[name] = column[rows]
        elif isinstance(column, list):
            kept[name] = [column[row] for row in rows.tolist()]
    return {key: _with_value(value, **kept)}


def _filed_anew(
    tracks: Sequence[TrackState], identities: Sequence[Identity], settings: FusionSettings, sequence: int
) -> dict[str, bytes | None]:
    shard_of = Gallery(round(settings.shard_s * SECOND_NS), settings.max_gap_ns).shard_of
    filed: dict[int, list[tuple[int, Float32]]] = {}
    for identity in identities:
        for vector in identity.looks.vectors:
            filed.setdefault(shard_of(identity.last_ns), []).append((identity.number, vector))
    for track in tracks:
        if track.identity and track.filed_shard != NOT_FILED:
            filed.setdefault(track.filed_shard, []).append((track.identity, track.looks.heaviest))
    changes: dict[str, bytes | None] = {}
    for shard, entries in sorted(filed.items()):
        for chunk, low in enumerate(range(0, len(entries), stored.GALLERY_CHUNK)):
            part = entries[low : low + stored.GALLERY_CHUNK]
            owners = np.array([owner for owner, _ in part], np.int64)
            vectors = np.stack([vector for _, vector in part])
            changes[stored.gallery_key(shard, sequence, chunk)] = stored.pack_gallery(owners, vectors, shard)
    return changes


def _pack_going_on(tracks: Mapping[Name, int]) -> bytes:
    return stored.packed({"tracks": [[camera, track, seen] for (camera, track), seen in sorted(tracks.items())]})


class ErasedTracks:
    """Local tracks of erased identities that their cameras still see: nothing more of them is taken in or published.

    A track is remembered until its camera lets it go or has said nothing of it for `silence_s`: by the site's time, as
    a camera's clock may be minutes behind. Whoever is seen again later, as another local track, is somebody new.
    """

    def __init__(self, state: Mapping[str, bytes] | None = None) -> None:
        self._tracks: dict[str, dict[Name, int]] = {}
        for key, data in _of(state or {}, ERASED):
            tracks = stored.unpacked(key, data)["tracks"]
            self._tracks[key] = {(camera, track): seen for camera, track, seen in tracks}

    def without(self, batches: Sequence[CameraBatch], now_ns: int, journal: stored.Journal) -> Sequence[CameraBatch]:
        """The batches that come at a site's event time, without the tracklets of erased tracks."""
        if not self._tracks:
            return batches
        key_of = {name: key for key, tracks in self._tracks.items() for name in tracks}
        passed, stale = [], set()
        for batch in batches:
            names = names_of(batch.tracklets)
            mine = [batch.tracklets[row] for row, name in enumerate(names) if name in key_of]
            if not mine:
                passed.append(batch)
                continue
            others = [row for row, name in enumerate(names) if name not in key_of]
            passed.append(replace(batch, tracklets=those_at(batch.tracklets, others)))
            for tracklet in mine:
                name = (tracklet.camera, tracklet.track)
                stale.add(key_of[name])
                seen = self._tracks[key_of[name]]
                latest = int(tracklet.times_ns[-1]) if len(tracklet.times_ns) else 0
                seen[name] = max(seen.get(name, 0), latest, now_ns)
            ended = {(tracklet.camera, tracklet.track) for tracklet in mine if tracklet.ended}
            for name in sorted(ended):
                self._tracks[key_of[name]].pop(name, None)
        self._write(stale, journal)
        return passed

    def forget(self, before_ns: int, journal: stored.Journal) -> None:
        """Forget tracks that have not been seen since."""
        stale = set()
        for key, tracks in self._tracks.items():
            for name in [name for name, seen in tracks.items() if seen < before_ns]:
                del tracks[name]
                stale.add(key)
        self._write(stale, journal)

    def _write(self, keys: Iterable[str], journal: stored.Journal) -> None:
        for key in sorted(keys):
            if self._tracks[key]:
                journal.put(key, _pack_going_on(self._tracks[key]))
            else:
                del self._tracks[key]
                journal.drop(key)
