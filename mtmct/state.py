"""Fusion's memory as keys and bytes: what a commit writes, and what a restart reads.

    fusion/meta                            counters
    fusion/camera/<camera>                 what changes with every point of the camera's tracks that go on
    fusion/track/<camera>/<track>          what a track is, where it began, what it looks like; all of one that is over
    fusion/held/<camera>/<track>           tracklets that wait for an identity
    fusion/identity/<number>               members and looks
    fusion/pairs/<sequence>.<n>            one commit's simultaneous positions
    fusion/cuts/<sequence>                 whose they are from some time on, as far as a commit has cut tracks
    fusion/travel/<camera>                 how people come into the camera's view, and leave it
    fusion/attributes                      how common attributes are in the site
    fusion/told                            what events have said of these times, see `mtmct.travel_news`
    fusion/clock/...                       how far the cameras' clocks are off, see `mtmct.clocks`
    fusion/gallery/<shard>/<sequence>.<n>  vectors filed in one commit

Keys are small and most are written once, so a commit writes what it changed and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mtmct.coincidence import CommitPairs, PairRows
from mtmct.exemplars import Exemplars, Impression
from mtmct.identity import Identity
from mtmct.past import Past
from mtmct.track_state import TrackState
from mtmct.tracklets import Tracklet
from mtmct.tracks import LocalTrack
from operators.records import Float32, Int64, StateError, pack, unpack

VERSION = 3
READABLE = (2, VERSION)  # 2: a past as a list of members; a track that is over among those of its camera
PREFIX = "fusion/"
META = "fusion/meta"
CAMERA = "fusion/camera/"
TRACK = "fusion/track/"
HELD = "fusion/held/"
IDENTITY = "fusion/identity/"
PAIRS = "fusion/pairs/"
CUTS = "fusion/cuts/"
GALLERY = "fusion/gallery/"
ATTRIBUTES = "fusion/attributes"
TRAVEL = "fusion/travel/"
# Vectors and pairs a key: well under a Kafka message of one megabyte.
GALLERY_CHUNK = 256
PAIRS_CHUNK = 8192


class Journal:
    """The whole state as last written, and what this commit has changed of it."""

    def __init__(self, state: Mapping[str, bytes] | None = None) -> None:
        self.state: dict[str, bytes] = dict(state or {})
        self._changes: dict[str, bytes | None] = {}

    def put(self, key: str, data: bytes) -> None:
        """Set a key; nothing happens if it holds these bytes already."""
        if self.state.get(key) != data:
            self.state[key] = data
            self._changes[key] = data

    def drop(self, key: str) -> None:
        """Delete a key, if there is one."""
        if self.state.pop(key, None) is not None:
            self._changes[key] = None

    def changes(self) -> dict[str, bytes | None]:
        """What has changed since the last call, in order of the keys."""
        changes, self._changes = self._changes, {}
        return {key: changes[key] for key in sorted(changes)}


def camera_key(camera: str) -> str:
    """Where the fast-changing part of a camera's tracks is kept."""
    return CAMERA + camera


def track_key(track: LocalTrack) -> str:
    """Where the slow part of a track is kept; a track that was cut has a key for each of its parts."""
    return key_of_track(track.uid, track.camera, track.track, track.since_ns)


def key_of_track(uid: int, camera: str, track: int, since_ns: int) -> str:
    """The same of a track of which these are known."""
    part = f"@{uid}" if since_ns else ""
    return f"{TRACK}{camera}/{track}{part}"


def held_key(track: LocalTrack | TrackState) -> str:
    """Where the tracklets of a waiting track are kept."""
    return f"{HELD}{track.camera}/{track.track}"


def identity_key(number: int) -> str:
    """Where an identity is kept."""
    return f"{IDENTITY}{number:06d}"


def pairs_key(sequence: int, chunk: int) -> str:
    """Where one commit's pairs are kept."""
    return f"{PAIRS}{sequence:012d}.{chunk}"


def cuts_key(sequence: int) -> str:
    """Where the cuts of one commit are kept."""
    return f"{CUTS}{sequence:012d}"


def gallery_key(shard: int, sequence: int, chunk: int) -> str:
    """Where one commit's vectors of a shard are kept."""
    return f"{GALLERY}{shard}/{sequence:012d}.{chunk}"


def order_of(key: str) -> tuple[int, int]:
    """Sequence and chunk of a key of the gallery, of pairs or of cuts: the order in which they were written."""
    sequence, _, chunk = key.rpartition("/")[2].partition(".")
    return int(sequence), int(chunk or 0)


def packed(value: dict[str, Any]) -> bytes:
    """A value with the version in front."""
    return pack({"version": VERSION, **value})


def unpacked(key: str, data: bytes) -> dict[str, Any]:
    """What `packed` wrote.

    Raises:
        StateError: damaged, or written by another version.
    """
    value = unpack(data)
    if not isinstance(value, dict) or value.get("version") not in READABLE:
        raise of_another_version(key)
    return value


def of_another_version(key: str) -> StateError:
    """What to say of a key that is not as this build writes it."""
    return StateError(f"{key} was written by another version of fusion; use that build, or start a new ledger")


# --- tracks ----------------------------------------------------------------------------------------------------


def pack_held(track: LocalTrack) -> bytes:
    """The tracklets that wait, without their embeddings: those are in the track's looks already."""
    return packed(
        {
            "camera": track.camera,
            "track": track.track,
            "tracklets": [
                [held.cls, held.frames, held.times_ns, held.boxes, held.scores, held.ended] for held in track.held
            ],
        }
    )


def unpack_held(key: str, data: bytes) -> tuple[str, int, list[Tracklet]]:
    """Camera, track and the tracklets that wait."""
    value = unpacked(key, data)
    camera, track = value["camera"], value["track"]
    tracklets = [
        Tracklet(camera, track, cls, frames, times, boxes, scores, ended=ended)
        for cls, frames, times, boxes, scores, ended in value["tracklets"]
    ]
    return camera, track, tracklets


# --- identities ------------------------------------------------------------------------------------------------


def pack_identity(identity: Identity) -> bytes:
    """An identity; its tracks in memory name it themselves."""
    return packed(
        {
            "number": identity.number,
            "revision": identity.revision,
            "created": identity.created_ns,
            "votes": list(identity.votes.items()),
            "past": identity.past.stored(),
            "last": identity.last_ns,
            **pack_looks(identity.looks),
            "impression": identity.impression.total,
            "told": identity.impression.weight,
            **({"attributes": identity.attributes} if identity.attributes else {}),
        }
    )


def unpack_identity(key: str, data: bytes) -> Identity:
    """An identity without its tracks in memory."""
    value = unpacked(key, data)
    looks = unpack_looks(value)
    # Ledgers of builds before impressions were kept: what was seen counts as one occasion.
    told = "impression" in value
    return Identity(
        number=value["number"],
        revision=value["revision"],
        created_ns=value["created"],
        votes=dict(value["votes"]),
        past=Past.restored(value["past"]),
        last_ns=value["last"],
        looks=looks,
        impression=Impression(value["impression"], value["told"]) if told else Impression().with_looks([looks]),
        attributes=value.get("attributes", {}),
    )


def pack_looks(looks: Exemplars) -> dict[str, Any]:
    """Looks as part of a value."""
    return {"sums": looks.sums, "weights": looks.weights}


def unpack_looks(value: dict[str, Any]) -> Exemplars:
    """The looks in a value."""
    return Exemplars(value["sums"], value["weights"])


# --- what is appended ------------------------------------------------------------------------------------------


def pack_pairs(commit: CommitPairs) -> list[bytes]:
    """One commit's pairs, a value a chunk."""
    rows = commit.rows
    return [
        packed(
            {
                "sequence": commit.sequence,
                "since": commit.since_ns,
                "time": commit.time_ns,
                "pairs": rows.pairs[low : low + PAIRS_CHUNK],
                "slots": rows.slots[low : low + PAIRS_CHUNK],
                "llr": rows.llr[low : low + PAIRS_CHUNK],
                "distance": rows.distance[low : low + PAIRS_CHUNK],
            }
        )
        for low in range(0, len(rows), PAIRS_CHUNK)
    ]


def unpack_pairs(kept: Iterable[tuple[str, bytes]]) -> list[CommitPairs]:
    """All commits' pairs, oldest first, rows in their order."""
    commits: dict[int, list[dict[str, Any]]] = {}
    for key, data in sorted(kept, key=lambda item: order_of(item[0])):
        value = unpacked(key, data)
        commits.setdefault(value["sequence"], []).append(value)
    result = []
    for sequence, parts in commits.items():
        columns = (np.concatenate([part[name] for part in parts]) for name in ("pairs", "slots", "llr", "distance"))
        result.append(CommitPairs(sequence, parts[0]["since"], parts[0]["time"], PairRows(*columns)))
    return result


def pack_cuts(time_ns: int, cuts: Sequence[tuple[int, int, int]]) -> bytes:
    """The event time of a commit, and its cuts: the one and the other uid, and the event time of the cut."""
    return packed({"time": time_ns, "cuts": [list(cut) for cut in cuts]})


def unpack_cuts(key: str, data: bytes) -> tuple[int, list[tuple[int, int, int]]]:
    """What `pack_cuts` wrote."""
    value = unpacked(key, data)
    return value["time"], [(old, new, since_ns) for old, new, since_ns in value["cuts"]]


def pack_gallery(owners: Int64, vectors: Float32, shard: int) -> bytes:
    """Vectors filed together."""
    return packed({"shard": shard, "owners": owners, "vectors": vectors})


def unpack_gallery(key: str, data: bytes) -> tuple[int, Int64, Float32]:
    """Shard, owners and vectors."""
    value = unpacked(key, data)
    return value["shard"], value["owners"], value["vectors"]
