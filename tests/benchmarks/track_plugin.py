"""Our trackers as peers of the shared bench: `peers.py track|time --plugin tests/benchmarks/track_plugin.py`.

Start the bench with the interpreter that has this package. Each tracker takes the bench's (N, 5) float64 rows x1 y1 x2
y2 score; all conversion is inside the timed step. Lost tracks live for 30 frames, as the peers' do. The bench loads
this file in the peers' environments, too, so that nothing is imported before a tracker is made.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def ours(
    name: str, *, one_stage: bool = False, measured: bool = False, lost_frames: float | None = 30.0, **parameters: Any
) -> Callable[..., Any]:
    """A factory in the bench's form; `one_stage` trackers get only detections from the bench's `hi` score."""

    def factory(fps: float, width: int, height: int, hi: float) -> tuple[Any, Any, Any]:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        import numpy as np

        from operators.records import SECOND_NS, Detections
        from operators.track import create

        life = {} if lost_frames is None else {"lost_seconds": lost_frames / fps}
        tracker = create(name, rate_hz=fps, **{**life, **parameters})
        frame = 0

        def step(rows: Any) -> Any:
            nonlocal frame
            frame += 1
            narrow = rows.astype(np.float32)
            detections = Detections(narrow[:, :4], narrow[:, 4], np.zeros(len(narrow), np.int32))
            return tracker.update(detections, round(frame * SECOND_NS / fps))

        def out(tracks: Any, _: Any) -> list[tuple[float, ...]]:
            boxes = tracks.measured if measured else tracks.boxes
            found = zip(tracks.ids.tolist(), boxes.tolist(), tracks.scores.tolist(), strict=True)
            return [(identity, *box, score) for identity, box, score in found]

        return (lambda rows: rows[rows[:, 4] >= hi]) if one_stage else (lambda rows: rows), step, out

    return factory


PEERS = {
    "ours-bytetrack": (sys.executable, ours("bytetrack")),
}
