"""What keeping a thumbnail of everybody costs a live camera's worker, in CPU time, beside what its frames cost anyway.

    python tests/benchmarks/thumbnail_cost.py [--frames 200] [--repeats 5] [--people 0]

The bundled walkway clip at 10 frames a second: detected once by the bundled detector, then tracked and embedded again
and again, with thumbnails and without, in turn, so that a busy machine slows both alike; CPU seconds of the process are
counted, threads that write files included. `--people` puts so many boxes beside the detected ones, for a crowd. Prints
JSON, unless the camera's batches differ, or fewer pictures than tracks were kept.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from operators.detect import open_detector
from operators.embed import open_embedder
from operators.records import Detections, Frame, pack
from operators.track import create
from pipeline.camera import CameraChain, Delivery
from pipeline.resources import configs
from pipeline.thumbnail_files import CameraThumbnails
from pipeline.thumbnails import Thumbnails

FPS = 10
SECOND = 1_000_000_000
Told = list[tuple[int, bytes, int]]


def pictures(frames: int) -> list[Frame]:
    with av.open(str(configs() / "media" / "walkway.mp4")) as source:
        decoded = itertools.islice(
            itertools.cycle([f.to_ndarray(format="bgr24") for f in source.decode(video=0)]), frames
        )
    return [Frame("north", n, n * SECOND // FPS, image) for n, image in enumerate(decoded)]


def crowded(found: Detections, people: int, size: tuple[int, int]) -> Detections:
    """So many more, who stand where they stood in the frame before."""
    random = np.random.default_rng(1)
    feet = random.uniform((40, 150), (size[0] - 40, size[1] - 5), (people, 2))
    boxes = np.column_stack([feet[:, 0] - 20, feet[:, 1] - 110, feet[:, 0] + 20, feet[:, 1]]).astype(np.float32)
    return replace(
        found,
        boxes=np.concatenate([found.boxes, boxes]),
        scores=np.concatenate([found.scores, np.full(people, 0.8, np.float32)]),
        classes=np.concatenate([found.classes, np.zeros(people, found.classes.dtype)]),
    )


def run(frames: list[Frame], found: list[Detections], thumbnails: Thumbnails | None) -> tuple[float, Told]:
    """CPU seconds, and what the camera said."""
    chain = CameraChain(
        site="plaza",
        camera="north",
        classes=("person",),
        interval_ns=SECOND,
        tracker=create("steady", rate_hz=FPS),
        embedder=open_embedder("default"),
        embed_every=3,
        thumbnails=thumbnails,
        epoch=1,
        sequence=0,
    )
    told: Told = []
    began = time.process_time()
    for frame, detections in zip(frames, found, strict=True):
        for batch in chain.add(Delivery(frame, pack(frame.index), {"decoded": frame.index + 1}), detections):
            told.append((batch.sequence, batch.state, len(batch.tracklets)))
            if thumbnails is not None:
                thumbnails.committed(batch.sequence)
    if thumbnails is not None:
        thumbnails.flush(30)
    return time.process_time() - began, told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--people", type=int, default=0)
    args = parser.parse_args()
    frames = pictures(args.frames)
    detector = open_detector("default", classes=("person",))
    detector.detect([frame.image for frame in frames[:1] if frame.image is not None])
    began = time.process_time()
    found = [detector.detect([frame.image])[0] for frame in frames if frame.image is not None]
    detecting = time.process_time() - began
    assert frames[0].image is not None
    found = [crowded(one, args.people, frames[0].image.shape[1::-1]) for one in found]
    spent: dict[bool, list[float]] = {False: [], True: []}
    run(frames, found, None)  # compiled, and in the caches
    with tempfile.TemporaryDirectory(prefix="crosscam-thumbnails-") as name:
        for number in range(args.repeats):
            folder = Path(name) / str(number)
            without, said = run(frames, found, None)
            with_them, said_too = run(frames, found, Thumbnails(CameraThumbnails(folder, "north", 10**18, 10**12)))
            spent[False].append(without)
            spent[True].append(with_them)
            if said != said_too:
                raise SystemExit("the camera says something else with thumbnails than without")
        kept = [path.stat().st_size for path in folder.rglob("*.jpg")]
    tracked = sum(tracks for _, _, tracks in said)
    if not kept or not tracked:
        raise SystemExit("nobody was tracked, or no picture was kept")
    extra = statistics.median(more - less for more, less in zip(spent[True], spent[False], strict=True))
    rest = statistics.median(spent[False])
    print(
        json.dumps(
            {
                "frames": args.frames,
                "boxes_a_frame": round(sum(len(one) for one in found) / len(found), 1),
                "cpu_us_a_frame": {
                    "detect": round(1e6 * detecting / args.frames),
                    "track_and_embed": round(1e6 * rest / args.frames),
                    "thumbnails": round(1e6 * extra / args.frames),
                },
                "share_of_a_frame": round(extra / (detecting + rest), 4),
                "pictures": len(kept),
                "bytes_a_picture": round(statistics.mean(kept)),
                "load_average": [round(one, 1) for one in os.getloadavg()],
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
