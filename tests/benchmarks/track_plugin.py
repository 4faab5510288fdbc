"""Our trackers as peers of the shared bench: `peers.py track|time --plugin tests/benchmarks/track_plugin.py`.

Start the bench with the interpreter that has this package. Each tracker takes the bench's (N, 5) float64 rows x1 y1 x2
y2 score; all conversion is inside the timed step. The plain ones go from array to array (`update_rows`), as the peers
do; the `-records` ones make the project's own records on both sides, and read ids, boxes, scores and classes. Lost
tracks live for 30 frames, as the peers' do. The bench loads this file in the peers' environments, too, so that nothing
is imported before a tracker is made.

Trackers that go by appearance get an embedding a box, made outside the timed step from where the box is: near boxes
look alike, so that associations succeed as they do with a good network. Their peers, beside those of the bench:

* DeepSORT: deep-sort-realtime 1.3.2 (`venv ds`), its embedder off. boxmot's StrongSORT and BoT-SORT are not timed:
  they install with PyTorch and CUDA only, some gigabytes.
* JDE and FairMOT: no package on PyPI has their tracker. Nearest is motpy 0.0.10, with IoU and embeddings in one cost.
* CenterTrack: no package has it. Nearest of kind are norfair 2.3.0 with distances of centres, greedy like CenterTrack,
  and motpy. norfair-rs 0.4.3 needs Python 3.12.
* UCMCTrack: no package has it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOOKS = 128  # numbers in an embedding


def looks_like_its_place(rows: Any) -> Any:
    """(N, 128) float32 unit vectors, waves over the box's centre: boxes a size apart are alike, others are not."""
    import numpy as np

    waves = np.random.default_rng(0).normal(0, 1 / 80, (2, LOOKS // 2))
    phase = (rows[:, :2] + rows[:, 2:4]) / 2 @ waves
    return (np.hstack([np.sin(phase), np.cos(phase)]) / np.sqrt(LOOKS / 2)).astype(np.float32)


def ours(
    name: str,
    *,
    one_stage: bool = False,
    records: bool = False,
    looks: bool = False,
    lost_frames: float | None = 30.0,
    **parameters: Any,
) -> Callable[..., Any]:
    """A factory in the bench's form; `one_stage` trackers get only detections from the bench's `hi` score."""

    def factory(fps: float, width: int, height: int, hi: float) -> tuple[Any, Any, Any]:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        import numpy as np

        from operators.records import SECOND_NS, Detections
        from operators.track import create

        life = {} if lost_frames is None else {"lost_seconds": lost_frames / fps}
        tracker = create(name, rate_hz=fps, **{**life, **parameters})
        step_ns, now = SECOND_NS / fps, 0.0
        box = slice(8, 12) if name == "ocsort" else slice(0, 4)  # its reference reports measured boxes

        def step(rows: Any) -> Any:
            nonlocal now
            now += step_ns
            return tracker.update_rows(rows, int(now))

        def step_records(given: Any) -> Any:
            nonlocal now
            now += step_ns
            rows, embeddings = given if looks else (given, None)
            narrow = rows.astype(np.float32)
            found = Detections(narrow[:, :4], narrow[:, 4], np.zeros(len(rows), np.int32), embeddings)
            tracks = tracker.update(found, int(now))
            return tracks.ids, tracks.measured if name == "ocsort" else tracks.boxes, tracks.scores, tracks.classes

        def out(told: Any, _: Any) -> list[tuple[float, ...]]:
            if records or looks:
                return [(i, *b, s) for i, b, s in zip(told[0], told[1].tolist(), told[2].tolist(), strict=True)]
            return [(row[4], *row[box], row[5]) for row in told]

        def prepare(rows: Any) -> Any:
            rows = rows[rows[:, 4] >= hi] if one_stage else rows
            return (rows, looks_like_its_place(rows)) if looks else rows

        return prepare, step_records if records or looks else step, out

    return factory


def deep_sort_realtime(fps: float, width: int, height: int, hi: float) -> tuple[Any, Any, Any]:
    """DeepSORT as deep-sort-realtime has it, with DeepSORT's own parameters."""
    from deep_sort_realtime.deepsort_tracker import DeepSort

    tracker = DeepSort(max_age=30, n_init=3, embedder=None, nn_budget=100, max_cosine_distance=0.2)

    def step(given: Any) -> Any:
        rows, embeddings = given
        found = [([x1, y1, x2 - x1, y2 - y1], score, 0) for x1, y1, x2, y2, score in rows.tolist()]
        return tracker.update_tracks(found, embeds=list(embeddings))

    def out(told: Any, _: Any) -> list[tuple[float, ...]]:
        shown = [t for t in told if t.is_confirmed() and t.time_since_update == 0]
        return [(int(t.track_id), *t.to_ltrb(), 1.0) for t in shown]

    return (lambda rows: (rows[rows[:, 4] >= hi], looks_like_its_place(rows[rows[:, 4] >= hi]))), step, out


def motpy_looks(fps: float, width: int, height: int, hi: float) -> tuple[Any, Any, Any]:
    """motpy's tracker with its embeddings in use."""
    import logging

    import motpy

    logging.disable(logging.CRITICAL)
    matching = {"feature_similarity_beta": 0.5}
    tracker = motpy.MultiObjectTracker(dt=1 / fps, matching_fn_kwargs=matching)
    ids: dict[str, int] = {}

    def step(given: Any) -> Any:
        rows, embeddings = given
        found = zip(rows[:, :4], rows[:, 4], embeddings, strict=True)
        return tracker.step([motpy.Detection(box=box, score=score, feature=look) for box, score, look in found])

    def out(told: Any, _: Any) -> list[tuple[float, ...]]:
        return [(ids.setdefault(t.id, len(ids) + 1), *t.box, 1.0) for t in told]

    return (lambda rows: (rows[rows[:, 4] >= hi], looks_like_its_place(rows[rows[:, 4] >= hi]))), step, out


PEERS = {
    "ours-sort": (sys.executable, ours("sort", one_stage=True, lost_frames=1.0)),
    "ours-bytetrack": (sys.executable, ours("bytetrack")),
    "ours-bytetrack-records": (sys.executable, ours("bytetrack", records=True)),
    "ours-ocsort": (sys.executable, ours("ocsort")),
    "ours-botsort": (sys.executable, ours("botsort")),
    "ours-deepsort": (sys.executable, ours("deepsort", one_stage=True, looks=True)),
    "ours-jde": (sys.executable, ours("jde", one_stage=True, looks=True)),
    "ours-fairmot": (sys.executable, ours("fairmot", one_stage=True, looks=True)),
    "ours-centertrack": (sys.executable, ours("centertrack", one_stage=True)),
    "ours-ucmctrack": (sys.executable, ours("ucmctrack")),
    "deep-sort-realtime": ("ds", deep_sort_realtime),
    "motpy-looks": ("motpy", motpy_looks),
    "ours-steady": (sys.executable, ours("steady", lost_frames=None)),
    "ours-steady-records": (sys.executable, ours("steady", lost_frames=None, records=True)),
}
