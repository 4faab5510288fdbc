"""Our trackers as peers of the shared bench: `peers.py track|time --plugin tests/benchmarks/track_plugin.py`.

Start the bench with the interpreter that has this package. Each tracker takes the bench's (N, 5) float64 rows x1 y1 x2
y2 score; all conversion is inside the timed step. The plain ones go from array to array (`update_rows`), as the peers
do; the `-records` ones make the project's own records on both sides. Lost tracks live for 30 frames, as the peers' do.
The bench loads this file in the peers' environments, too, so that nothing is imported before a tracker is made.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def ours(
    name: str, *, one_stage: bool = False, records: bool = False, lost_frames: float | None = 30.0, **parameters: Any
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

        def step_records(rows: Any) -> Any:
            nonlocal now
            now += step_ns
            boxes, scores = rows[:, :4].astype(np.float32), rows[:, 4].astype(np.float32)
            return tracker.update(Detections(boxes, scores, np.zeros(len(rows), np.int32)), int(now))

        def out(told: Any, _: Any) -> list[tuple[float, ...]]:
            if records:
                boxes = told.measured if name == "ocsort" else told.boxes
                return [(i, *b, s) for i, b, s in zip(told.ids, boxes.tolist(), told.scores.tolist(), strict=True)]
            return [(row[4], *row[box], row[5]) for row in told]

        prepare = (lambda rows: rows[rows[:, 4] >= hi]) if one_stage else (lambda rows: rows)
        return prepare, step_records if records else step, out

    return factory


PEERS = {
    "ours-sort": (sys.executable, ours("sort", one_stage=True, lost_frames=1.0)),
    "ours-bytetrack": (sys.executable, ours("bytetrack")),
    "ours-bytetrack-records": (sys.executable, ours("bytetrack", records=True)),
    "ours-ocsort": (sys.executable, ours("ocsort")),
    "ours-botsort": (sys.executable, ours("botsort")),
    "ours-steady": (sys.executable, ours("steady", lost_frames=None)),
    "ours-steady-records": (sys.executable, ours("steady", lost_frames=None, records=True)),
}
