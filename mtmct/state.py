"""Fusion's memory as keys and bytes: what a commit writes, and what a restart reads.

    fusion/meta                            counters
    fusion/camera/<camera>                 what changes with every point of the camera's tracks
    fusion/track/<camera>/<track>          what a track is, where it began, what it looks like
    fusion/held/<camera>/<track>           tracklets that wait for an identity
    fusion/identity/<number>               members and looks
    fusion/pairs/<camera>/<sequence>       one commit's simultaneous positions, by the camera of the lower uid
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
from mtmct.identities import Identity, Member
from mtmct.records import Tracklet
from mtmct.tracks import LocalTrack
from operators.records import Float32, Int64, StateError, pack, unpack

VERSION = 1
PREFIX = "fusion/"
META = "fusion/meta"
CAMERA = "fusion/camera/"
TRACK = "fusion/track/"
HELD = "fusion/held/"
IDENTITY = "fusion/identity/"
PAIRS = "fusion/pairs/"
GALLERY = "fusion/gallery/"
ATTRIBUTES = "fusion/attributes"
TRAVEL = "fusion/travel/"
GALLERY_CHUNK = 256  # vectors a key: well under a Kafka message of one megabyte


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
    part = f"@{track.uid}" if track.since_ns else ""
    return f"{TRACK}{track.camera}/{track.track}{part}"


def held_key(track: LocalTrack) -> str:
    """Where the tracklets of a waiting track are kept."""
    return f"{HELD}{track.camera}/{track.track}"


def identity_key(number: int) -> str:
    """Where an identity is kept."""
    return f"{IDENTITY}{number:06d}"


def pairs_key(camera: str, sequence: int) -> str:
    """Where one commit's pairs of a camera are kept."""
    return f"{PAIRS}{camera}/{sequence:012d}"


def gallery_key(shard: int, sequence: int, chunk: int) -> str:
    """Where one commit's vectors of a shard are kept."""
    return f"{GALLERY}{shard}/{sequence:012d}.{chunk}"


def gallery_order(key: str) -> tuple[int, int]:
    """Sequence and chunk of a gallery key: the order in which the vectors were filed."""
    sequence, _, chunk = key.rpartition("/")[2].partition(".")
    return int(sequence), int(chunk)


def packed(value: dict[str, Any]) -> bytes:
    """A value with the version in front."""
    return pack({"version": VERSION, **value})


def unpacked(key: str, data: bytes) -> dict[str, Any]:
    """What `packed` wrote.

    Raises:
        StateError: damaged, or written by another version.
    """
    value = unpack(data)
    if not isinstance(value, dict) or value.get("version") != VERSION:
        raise StateError(f"{key} was written by another version of fusion; use that build, or start a new ledger")
    return value


# --- tracks ----------------------------------------------------------------------------------------------------


def pack_camera(tracks: Sequence[LocalTrack]) -> bytes:
    """The fast-changing part of a camera's tracks, in order of uid."""
    return packed(
        {
            "uids": np.array([track.uid for track in tracks], np.int64),
            "times": np.array([track.last_ns for track in tracks], np.int64),
            "counts": np.array([[track.points, track.offered, track.ended] for track in tracks], np.int64),
            "sights": np.array([track.last for track in tracks]),
            "velocities": np.array([track.velocity for track in tracks]),
            "votes": [list(track.votes.items()) for track in tracks],
        }
    )


def unpack_camera(key: str, data: bytes, tracks: dict[int, LocalTrack]) -> None:
    """Bring a camera's tracks (by uid) up to date."""
    value = unpacked(key, data)
    for row, uid in enumerate(value["uids"].tolist()):
        track = tracks[uid]
        track.last_ns = int(value["times"][row])
        track.points, track.offered = (int(count) for count in value["counts"][row, :2])
        track.ended = bool(value["counts"][row, 2])
        track.last, track.velocity = value["sights"][row].copy(), value["velocities"][row].copy()
        track.votes = dict(value["votes"][row])


def pack_track(track: LocalTrack) -> bytes:
    """The slow part of a track."""
    return packed(
        {
            "uid": track.uid,
            "camera": track.camera,
            "track": track.track,
            "start": track.start_ns,
            "first": track.first,
            "border": track.at_border,
            "part": [track.since_ns, track.until_ns],
            "identity": track.identity,
            "linked": track.linked_ns,
            "announced": track.announced,
            "travelled": track.travelled,
            **({"ahead": track.ahead_ns} if track.ahead_ns else {}),
            **({"attributes": track.attributes} if track.attributes else {}),
            **({"strayed": [track.strayed_ns, track.strayed_looks]} if track.strayed_ns else {}),
            "filed": [track.filed_shard, track.filed_looks, track.looked_at],
            **pack_looks(track.looks),
        }
    )


def unpack_track(key: str, data: bytes) -> LocalTrack:
    """A track without its fast-changing part."""
    value = unpacked(key, data)
    return LocalTrack(
        uid=value["uid"],
        camera=value["camera"],
        track=value["track"],
        votes={},
        start_ns=value["start"],
        last_ns=value["start"],
        points=0,
        first=value["first"],
        last=value["first"].copy(),
        velocity=np.zeros(4),
        at_border=value["border"],
        identity=value["identity"],
        linked_ns=value["linked"],
        announced=value["announced"],
        travelled=value.get("travelled", False),
        ahead_ns=value.get("ahead", 0),
        attributes=value.get("attributes", {}),
        strayed_ns=value.get("strayed", [0, 0])[0],
        strayed_looks=value.get("strayed", [0, 0])[1],
        filed_shard=value["filed"][0],
        filed_looks=value["filed"][1],
        looked_at=value["filed"][2],
        since_ns=value["part"][0],
        until_ns=value["part"][1],
        looks=unpack_looks(value),
    )


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
            "past": [[member.camera, member.track, member.start_ns, member.end_ns] for member in identity.past],
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
        past=[Member(*member) for member in value["past"]],
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


def pack_pairs(commit: CommitPairs, of: Any) -> bytes:
    """Some rows (`of`, an index) of one commit's pairs."""
    rows = commit.rows
    return packed(
        {
            "sequence": commit.sequence,
            "since": commit.since_ns,
            "time": commit.time_ns,
            "pairs": rows.pairs[of],
            "slots": rows.slots[of],
            "llr": rows.llr[of],
            "distance": rows.distance[of],
        }
    )


def unpack_pairs(stored: Iterable[tuple[str, bytes]]) -> list[CommitPairs]:
    """All commits' pairs, oldest first, rows in their order."""
    commits: dict[int, list[dict[str, Any]]] = {}
    for key, data in stored:
        value = unpacked(key, data)
        commits.setdefault(value["sequence"], []).append(value)
    result = []
    for sequence in sorted(commits):
        parts = commits[sequence]
        columns = [np.concatenate([part[name] for part in parts]) for name in ("pairs", "slots", "llr", "distance")]
        order = np.lexsort((columns[0][:, 1], columns[0][:, 0]))
        rows = PairRows(*(column[order] for column in columns))
        result.append(CommitPairs(sequence, parts[0]["since"], parts[0]["time"], rows))
    return result


def pack_gallery(owners: Int64, vectors: Float32, shard: int) -> bytes:
    """Vectors filed together."""
    return packed({"shard": shard, "owners": owners, "vectors": vectors})


def unpack_gallery(key: str, data: bytes) -> tuple[int, Int64, Float32]:
    """Shard, owners and vectors."""
    value = unpacked(key, data)
    return value["shard"], value["owners"], value["vectors"]
