"""What it costs to send a commit's batches to fusion, and to put them together there.

    python tests/benchmarks/batch_transport.py [--cameras 1000] [--tracks 10] [--rounds 9]

Batches of tracklets of five points and one look are pickled, unpickled and put together as the columns of a commit:
once as single `Tracklet`s, once as the columns that cameras send. Prints JSON, milliseconds of CPU for all cameras, the
median of the rounds; nothing if what arrives is not what was sent.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from mtmct.records import CameraBatch
from mtmct.tracklets import Tracklet, Tracklets
from operators.records import SECOND_NS

POINTS, DIM = 5, 128


def batches(cameras: int, tracks: int) -> list[CameraBatch]:
    """One second of a site, every batch a tuple of tracklets."""
    random = np.random.default_rng(0)
    times = np.arange(POINTS) * (SECOND_NS // POINTS)
    made = []
    for camera in range(cameras):
        name = f"cam-{camera:04d}"
        pieces = [
            Tracklet(
                name, track, "person", np.arange(POINTS) + 1, times, random.random((POINTS, 4), np.float32),
                random.random(POINTS, np.float32), random.random((1, DIM), np.float32), np.ones(1, np.float32),
            )
            for track in range(tracks)
        ]  # fmt: skip
        made.append(CameraBatch(name, 1, 0, 0, SECOND_NS, tuple(pieces)))
    return made


def same(one: Tracklets, other: Tracklets) -> bool:
    return all(np.array_equal(getattr(one, part.name), getattr(other, part.name)) for part in fields(Tracklets))


def pickled(sent: Sequence[CameraBatch]) -> list[bytes]:
    return [pickle.dumps(batch, protocol=5) for batch in sent]


def unpickled(data: Sequence[bytes]) -> list[CameraBatch]:
    return [pickle.loads(each) for each in data]


def put_together(come: Sequence[CameraBatch]) -> Tracklets:
    return Tracklets.joined([Tracklets.of(batch.tracklets) for batch in come])


def measure(sent: list[CameraBatch], rounds: int, reference: Tracklets) -> dict[str, float]:
    spent, size = np.zeros((rounds, 3)), 0
    for number in range(rounds):
        clock = [time.process_time()]
        data = pickled(sent)
        clock.append(time.process_time())
        come = unpickled(data)
        clock.append(time.process_time())
        whole = put_together(come)
        clock.append(time.process_time())
        if not same(whole, reference):
            raise SystemExit("what has arrived is not what was sent")
        spent[number], size = 1e3 * np.diff(clock), sum(map(len, data))
    names = ("pickle_ms", "unpickle_ms", "put_together_ms")
    row = dict(zip(names, np.median(spent, axis=0).round(1).tolist(), strict=True))
    return {**row, "megabytes": round(size / 1e6, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--tracks", type=int, default=10, help="seen by each camera")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    single = batches(options.cameras, options.tracks)
    columns = [replace(batch, tracklets=Tracklets.of(batch.tracklets)) for batch in single]
    reference = Tracklets.of([tracklet for batch in single for tracklet in batch.tracklets])
    rows = {name: measure(sent, options.rounds, reference) for name, sent in (("single", single), ("columns", columns))}
    print(json.dumps({**vars(options), **rows}))


if __name__ == "__main__":
    main()
