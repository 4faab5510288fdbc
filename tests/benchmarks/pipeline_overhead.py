"""What the pipeline costs beside decoding and detecting: frames a second of a whole run over those of the bare loop.

    python tests/benchmarks/pipeline_overhead.py [--rounds 3]

The bare loop: one process a camera, decoding and detecting the demo's pictures with one predictor thread, nothing else.
The whole run: `crosscam demo` without its pictures, on Ray, with tracking, embedding, fusion and the ledger. Both take
the same frames on the same cores, in turn; starting up is left out of both and stated. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2

from operators.records import Frame
from pipeline.assembly import build_detector, build_source
from pipeline.config import Ledger, Site, Sqlite
from pipeline.config_file import load
from pipeline.launch import Supervisor
from pipeline.progress import Progress
from pipeline.resources import configs


def bare_loop(site: Site, camera: str, start: Any, results: Any) -> None:
    """Decode and detect every frame of one camera; report frames and seconds."""
    cv2.setNumThreads(1)
    detector = build_detector(site)
    source = build_source(site, site.camera(camera))
    source.open(None)
    first = source.read()
    assert isinstance(first, Frame) and first.image is not None
    detector.detect([first.image])
    start.wait()
    began, frames = time.perf_counter(), 1
    while isinstance(frame := source.read(), Frame):
        assert frame.image is not None
        detector.detect([frame.image])
        frames += 1
    results.put((frames, time.perf_counter() - began))


def bare_rate(site: Site) -> float:
    """Frames a second of all cameras together, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(len(site.cameras)), context.Queue()
    workers = [context.Process(target=bare_loop, args=(site, camera.id, start, results)) for camera in site.cameras]
    for worker in workers:
        worker.start()
    measured = [results.get(timeout=600) for _ in workers]
    for worker in workers:
        worker.join()
    return float(sum(frames for frames, _ in measured) / max(seconds for _, seconds in measured))


def whole_rate(site: Site, folder: Path) -> tuple[float, float]:
    """Frames a second from the first frame to the last commit, and seconds until that first frame."""
    path = folder / "ledger.sqlite"
    path.unlink(missing_ok=True)
    site = site.model_copy(update={"ledger": Ledger(sqlite=Sqlite(path=path))})
    began = time.perf_counter()
    seen: list[tuple[float, int]] = []

    def note(progress: Progress) -> None:
        frames = sum(counts.get("decoded", 0) for counts in progress.counts.values())
        if frames and len(progress.counts) == len(site.cameras):
            seen.append((time.perf_counter(), frames))

    supervisor = Supervisor(site, note)
    ended: list[float] = []
    stop = supervisor._stop  # the run is over when the last commit is made, not when Ray has gone home

    def stop_and_note() -> None:
        ended.append(time.perf_counter())
        stop()

    supervisor._stop = stop_and_note  # type: ignore[method-assign]
    supervisor.run()
    first_at, first_frames = seen[0]
    total = sum(build_source(site, camera).length() or 0 for camera in site.cameras)
    return (total - first_frames) / (ended[0] - first_at), first_at - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    site = load(configs() / "demo.yaml")
    bare, whole, start_up = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.rounds):
            bare.append(bare_rate(site))
            rate, seconds = whole_rate(site, Path(folder))
            whole.append(rate)
            start_up.append(seconds)
    print(
        json.dumps(
            {
                "bare_fps": [round(value, 2) for value in bare],
                "whole_fps": [round(value, 2) for value in whole],
                "ratio_of_medians": round(statistics.median(whole) / statistics.median(bare), 3),
                "start_up_s": round(statistics.median(start_up), 1),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
