"""A simulated site for the benchmarks: through the chain of `crosscam run`, without Ray, to batches and truth."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from fusion_support import CameraTable, as_boxes
from scipy.optimize import linear_sum_assignment

from mtmct.corrections import IdentityResolver
from mtmct.evaluation import box_ious
from mtmct.mot_text import Boxes
from mtmct.records import CameraBatch, Commit
from mtmct.settings import AppearanceCalibration, FusionSettings
from mtmct.topology import CameraGeometry, Topology
from operators.records import SECOND_NS, Frame
from operators.track import create
from pipeline.camera import CameraChain, Delivery
from pipeline.simulate import camera_names
from pipeline.sources.simulation.camera import SimulatedCamera
from pipeline.sources.simulation.settings import Settings, parse_settings
from pipeline.sources.simulation.site import site_of

EMBED_EVERY = 3
Key = tuple[str, int]  # camera, track


@dataclass(frozen=True)
class Recorded:
    """What the cameras of a site said, and the truth beside it.

    Attributes:
        fps: frames a second.
        batches: of each camera, in order.
        truth: boxes of people by camera.
    """

    settings: Settings
    fps: float
    batches: Mapping[str, Sequence[CameraBatch]]
    truth: Mapping[str, Boxes]

    def topology(self, calibrated: bool) -> Topology:
        site = site_of(self.settings)
        size = self.settings.width, self.settings.height
        return Topology(
            [
                CameraGeometry(name, site.camera(number).homography if calibrated else None, size)
                for number, name in enumerate(self.batches, start=1)
            ]
        )

    def beliefs(self) -> FusionSettings:
        """The usual ones, with the calibration that travels with the source."""
        calibration = site_of(self.settings).calibration
        usual = FusionSettings()
        return usual if calibration is None else replace(usual, appearance=AppearanceCalibration(*calibration))

    def intervals(self) -> Iterator[tuple[int, list[CameraBatch]]]:
        """Watermark and batches of every commit interval."""
        by_interval: dict[int, list[CameraBatch]] = {}
        for batches in self.batches.values():
            for batch in batches:
                by_interval.setdefault(batch.interval, []).append(batch)
        for interval in sorted(by_interval):
            yield (interval + 1) * SECOND_NS, by_interval[interval]

    def tables(self) -> dict[str, CameraTable]:
        """The same as tables, for the offline baseline; a tracklet's boxes have the mean of its embeddings."""
        return {name: self._table(batches) for name, batches in self.batches.items()}

    def _table(self, batches: Sequence[CameraBatch]) -> CameraTable:
        pieces = [tracklet for batch in batches for tracklet in batch.tracklets if len(tracklet)]
        if not pieces:
            nothing = np.zeros(0, np.int64)
            return CameraTable(nothing, nothing, nothing, np.zeros((0, 4), np.float32), self.fps)
        frames = np.concatenate([piece.frames for piece in pieces])
        tracks = np.concatenate([np.full(len(piece), piece.track) for piece in pieces])
        boxes = np.concatenate([piece.boxes for piece in pieces])
        looks = None
        if any(piece.embeddings is not None for piece in pieces):
            known: dict[int, np.ndarray] = {}
            for piece in pieces:
                if piece.embeddings is not None:
                    known.setdefault(piece.track, piece.embeddings.mean(axis=0))
            looks = [
                np.tile(
                    known[piece.track] if piece.embeddings is None else piece.embeddings.mean(axis=0), (len(piece), 1)
                )
                for piece in pieces
            ]
            looks = np.concatenate(looks)
        order = np.argsort(frames, kind="stable")
        return CameraTable(
            frames[order], tracks[order], tracks[order], boxes[order], self.fps, None if looks is None else looks[order]
        )


def record(settings: Settings, fps: float, tracker: str | None) -> Recorded:
    """Run every camera's chain over the whole recording.

    Args:
        settings: of the site; `tracks` is set as the tracker asks.
        fps: frames a second.
        tracker: makes local tracks of the boxes; None: the simulation gives them.
    """
    settings = replace(settings, tracks=tracker is None)
    site = site_of(settings)
    batches, truth = {}, {}
    for number, name in enumerate(camera_names(settings.cameras), start=1):
        source = SimulatedCamera(name, replace(settings, camera=number), fps=fps, classes=site.classes)
        chain = CameraChain(
            site="simulated",
            camera=name,
            classes=site.classes,
            interval_ns=SECOND_NS,
            tracker=None if tracker is None else create(tracker, rate_hz=fps),
            embedder=None,
            embed_every=EMBED_EVERY,
            epoch=1,
            sequence=0,
        )
        source.open(None)
        made: list[CameraBatch] = []
        while isinstance(frame := source.read(), Frame):
            assert frame.given is not None
            made += chain.add(Delivery(frame, b"", source.counts), frame.given)
        # Of no use here, and gigabytes in an hour: a tracker's state after every interval.
        batches[name] = [replace(batch, state=b"") for batch in made + chain.finish()]
        truth[name] = _truth(settings, number, fps)
    return Recorded(settings, fps, batches, truth)


def _truth(settings: Settings, number: int, fps: float) -> Boxes:
    site = site_of(settings)
    frames, people, boxes = [], [], []
    for first in range(0, round(settings.seconds * fps), 50):
        seconds = np.arange(first, min(first + 50, round(settings.seconds * fps))) / fps
        seen = site.truth(number, seconds)
        given = ~site.away(number, seconds)[seen.sight.frames]
        frames.append(first + 1 + seen.sight.frames[given])
        people.append(seen.people[given])
        boxes.append(seen.sight.boxes[given])
    return as_boxes(np.concatenate(frames), np.concatenate(people), np.concatenate(boxes))


@dataclass(frozen=True)
class Waits:
    """How long a consumer waits for the right identity of a local track, in seconds of event time.

    From the first frame of a track to the watermark of the commit with which its identity, published or corrected,
    is the one that its person has at the end. Tracks on nobody do not count.
    """

    tracks: int
    never: int
    median: float
    p90: float


def waits(recorded: Recorded, commits: Sequence[Commit]) -> Waits:
    owners, begun, last = owners_of(recorded)
    resolver = IdentityResolver()
    first: dict[tuple[str, int], int] = {}
    history: dict[tuple[str, int], list[tuple[int, int | None]]] = {track: [] for track in owners}
    end = max(batches[-1].interval for batches in recorded.batches.values()) * SECOND_NS + SECOND_NS
    for commit in commits:
        moved = False
        for record_ in commit.records:
            if record_.topic == "identities":
                resolver.apply(record_.value)
                moved = True
            elif record_.topic == "tracks":
                resolver.published(record_.value)
                first.setdefault((record_.value["camera"], record_.value["track"]), record_.value["start"])
        for track, start in first.items():
            if track in history and (moved or not history[track]):
                known = resolver.identity_of(*track, start)
                if not history[track] or history[track][-1][1] != known:
                    history[track].append((min(commit.watermark_ns, end), known))
    right = _right(owners, {track: said[-1][1] for track, said in history.items() if said}, last)
    seconds, never = [], 0
    for track, said in history.items():
        times = [at for at, identity in said if identity == right.get(owners[track])]
        if times:
            seconds.append((times[0] - begun[track]) / SECOND_NS)
        else:
            never += 1
    return Waits(len(owners), never, round(float(np.median(seconds)), 2), round(float(np.percentile(seconds, 90)), 2))


def owners_of(recorded: Recorded) -> tuple[dict[Key, int], dict[Key, int], dict[Key, int]]:
    """By (camera, track): whose it is by most of its boxes, when it begins, and how many boxes it has."""
    owners: dict[Key, int] = {}
    begun: dict[Key, int] = {}
    sizes: dict[Key, int] = {}
    for name, batches in recorded.batches.items():
        truth = recorded.truth[name]
        order = np.argsort(truth.frames, kind="stable")
        frames, ids, xywh = truth.frames[order], truth.ids[order], truth.xywh[order]
        votes: dict[int, dict[int, int]] = {}
        for batch in batches:
            for piece in batch.tracklets:
                if not len(piece):
                    continue
                key = (name, piece.track)
                begun.setdefault(key, int(piece.times_ns[0]))
                sizes[key] = sizes.get(key, 0) + len(piece)
                for frame, box in zip(piece.frames.tolist(), piece.boxes.astype(np.float64), strict=True):
                    rows = slice(*np.searchsorted(frames, [frame, frame + 1]))
                    mine = np.concatenate([box[:2], box[2:] - box[:2]])[None]
                    ious = box_ious(mine, xywh[rows])[0]
                    if len(ious) and ious.max() >= 0.5:
                        count = votes.setdefault(piece.track, {})
                        person = int(ids[rows][ious.argmax()])
                        count[person] = count.get(person, 0) + 1
        for track, count in votes.items():
            owners[name, track] = max(count, key=lambda person: (count[person], -person))
    return owners, begun, sizes


def _right(owners: Mapping[Key, int], final: Mapping[Key, int | None], sizes: Mapping[Key, int]) -> dict[int, int]:
    """For each person the identity that most of the boxes have in the end, one to one."""
    people = sorted(set(owners.values()))
    identities = sorted({identity for identity in final.values() if identity is not None})
    table = np.zeros((len(people), len(identities)))
    for track, identity in final.items():
        if identity is not None:
            table[people.index(owners[track]), identities.index(identity)] += sizes[track]
    rows, columns = linear_sum_assignment(table, maximize=True)
    return {people[r]: identities[c] for r, c in zip(rows, columns, strict=True) if table[r, c] > 0}


def site_options(description: str | None, *, rank1: float) -> argparse.Namespace:
    """The command line of a benchmark on simulated sites, read: a site a seed."""
    return site_arguments(description, rank1=rank1).parse_args()


def site_arguments(description: str | None, *, rank1: float) -> argparse.ArgumentParser:
    """The command line of a benchmark on simulated sites: a site a seed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", default="mall")
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--fps", type=float, default=10)
    parser.add_argument("--rank1", type=float, default=rank1)
    parser.add_argument("--tracker", default="steady", help="none: local tracks come with the simulation")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=("calibrated", "uncalibrated"))
    parser.add_argument("--bridge", type=int, default=0, help="fill gaps of so many frames, as crosscam export does")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of the simulation")
    return parser


def recordings(options: argparse.Namespace) -> Iterator[Recorded]:
    """The sites that the command line asks for."""
    tracker = None if options.tracker == "none" else options.tracker
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        said = [f"place={options.place}", f"cameras={options.cameras}", f"people={options.people}", f"seed={seed}"]
        said += [f"seconds={60 * options.minutes:g}", "embedding=128", f"rank1={options.rank1:g}"]
        yield record(parse_settings([*said, *options.set]), options.fps, tracker)
