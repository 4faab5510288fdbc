"""How long the demo's mosaic and plan view take: two cameras, 795 frames each, real ground truth as tracks.

    taskset -c 0 python tests/benchmarks/render_demo.py FOLDER

Writes mosaic.mp4 and plan.png to FOLDER and prints JSON: wall and CPU seconds of each, frames and boxes drawn, peak
memory of the process in MiB. Needs ../shared/data/pets_s2l1 for the boxes; the pictures are the bundled demo's.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from operators.records import Frame
from pipeline.assembly import build_source
from pipeline.config import Camera, Site
from pipeline.config_file import load
from pipeline.plan_view import PlanCamera, write_plan_view
from pipeline.recording import RecordedCamera, recording
from pipeline.render import render_mosaic

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".." / "shared" / "data" / "pets_s2l1"
FRAME_US = 100_000


def ground_truth(camera: str, left: int, right: int, homography: np.ndarray) -> list[dict[str, Any]]:
    """`tracks` values of one camera, a second each; a person is there if half of the box is inside the crop."""
    rows = np.loadtxt(DATA / "gt.txt", delimiter=",")
    rows = rows[rows[:, 6] == 1]
    lines = [line.split() for line in (DATA / "people.txt").read_text().splitlines() if line[:1] not in {"", "#"}]
    person = {int(number): int(line[0]) for line in lines for number in line}
    x1, x2 = np.clip(rows[:, 2], left, right), np.clip(rows[:, 2] + rows[:, 4], left, right)
    inside = x2 - x1 >= rows[:, 4] / 2
    values = []
    for track in np.unique(rows[:, 1]).astype(int):
        for second in range(80):
            mine = np.flatnonzero(inside & (rows[:, 1] == track) & ((rows[:, 0] - 1) // 10 == second))
            points = []
            for row in mine:
                box = [x1[row] - left, rows[row, 3], x2[row] - left, rows[row, 3] + rows[row, 5]]
                ground = homography @ [(box[0] + box[2]) / 2, box[3], 1]
                points.append([int(rows[row, 0] - 1) * FRAME_US, *box, 0.9, *(ground[:2] / ground[2]).tolist()])
            if points:
                value = {"camera": camera, "track": int(track), "class": "person", "number": person[int(track)]}
                values.append({**value, "start": points[0][0], "end": points[-1][0], "points": points})
    return values


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, {
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
    }


def _opened(site: Site, camera: Camera) -> Iterator[Frame]:
    return recording(build_source(site, camera))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    site = load(ROOT / "configs" / "demo.yaml")
    values, plans, cameras = [], [], []
    for camera in site.cameras:
        assert camera.crop is not None
        left, _, right, bottom = camera.crop
        homography = np.array(camera.homography, float)
        values += ground_truth(camera.id, left, right, homography)
        plans.append(PlanCamera(camera.id, homography, (right - left, bottom)))
        cameras.append(RecordedCamera(camera.id, partial(_opened, site, camera)))
    values.sort(key=lambda value: value["end"] // 1_000_000)
    report, mosaic = timed(lambda: render_mosaic(values, cameras, folder / "mosaic.mp4", title=site.site))
    paths, plan = timed(lambda: write_plan_view(values, folder / "plan.png", site=site.site, cameras=plans))
    mosaic |= {"frames": report.frames, "boxes": report.boxes, "identities": report.identities, "late": report.late}
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps({"mosaic": mosaic, "plan": {**plan, "paths": len(paths)}, "peak_mib": peak}))


if __name__ == "__main__":
    main()
