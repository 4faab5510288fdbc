"""deploy/cpp: tracks and counts from given boxes, held to what the Python side says, byte for byte."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cpp_programs import run

from operators.analyse import Anchor, Line, Rules
from operators.analyse.analyser import Analyser
from operators.track.mot_text import read_mot, track_frames, track_mot_text
from operators.track.registry import create
from pipeline.assembly import build_reader, build_service, build_shard
from pipeline.config_file import load
from pipeline.flow_statistic import _lines, write_flow_statistics
from pipeline.testing import LocalFusion, LocalLink

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
LINES = {
    "door": ((60.0, 150.0), (400.0, 160.0)),
    "way": ((200.0, 0.0), (210.0, 240.0), (190.0, 480.0)),
    "fork": ((160.0, 100.0), (200.0, 400.0), (240.0, 100.0)),  # whoever was hidden may be through both of its arms
}
FPS = 12.5

pytestmark = pytest.mark.timeout(900)  # the build takes its time where there is little of it


def write_detections(path: Path, frames: int = 250, raw: bool = False) -> Path:
    """Nine walkers who meet and hide one another, seen with noise, misses and false alarms; some rows are unusable."""
    random = np.random.default_rng(5)
    rows = ["3,-1,10,10,0,40,0.9", "5,-1,nan,10,30,40,0.9"] + ([] if raw else ["4,-1,10,10,30,40,nan"])
    for frame in range(1, frames + 1):
        if 120 <= frame < 128:
            continue  # nobody is seen, for longer than doubtful tracks live
        for person in range(9):
            phase = frame / (25 + 4 * person) + person
            x, y = 200 + 180 * np.sin(phase), 90 + 25 * person + 40 * np.cos(1.7 * phase)
            hidden = random.random() < 0.12
            score = random.uniform(0.05, 0.55) if hidden else random.uniform(0.55, 0.99)
            box = np.array([x, y, 38 + person, 95 + 3 * person]) + random.normal(0, 1.5, 4)
            values = ",".join(f"{v:.3f}" for v in box)
            given = np.log(score / (1 - score)) * 2 if raw else score
            rows.append(f"{frame},-1,{values},{given:.4f},{person % 2}")
        x, y = random.uniform(0, 400, 2)
        rows.append(f"{frame},-1,{x:.2f},{y:.2f},30,80,{-3 if raw else random.uniform(0, 0.4):.3f},0")
    path.write_text("\n".join(rows) + "\n")
    return path


def expected(
    detections: Path, fps: float, parameters: dict[str, Any], interval: float, **line: Any
) -> tuple[str, str, dict[str, dict[str, int]]]:
    """What Python says: flow statistic by track, crossings as rows, totals."""
    rules = Rules(tuple(Line(name, points, **line) for name, points in LINES.items()))
    analyser = Analyser(rules, [str(number) for number in range(100)])
    tracker = create("bytetrack", **{"rate_hz": fps, **parameters})
    events, seen, k = [], [], -1
    for k, tracks in enumerate(track_frames(tracker, read_mot(detections), fps)):
        time_ns = round(k * 1e9 / fps)
        events += analyser.update(tracks.ids, tracks.boxes, tracks.classes, time_ns, ended=tracks.ended.tolist())
        seen += [(k + 1, time_ns // 1000, str(track)) for track in tracks.ids.tolist()]
    events += analyser.finish()
    crossed = [(e.time_ns // 1000, e.fields["direction"] == "in") for e in events if e.fields["counted"]]
    rows = "time_ns,line,direction,track,passage,counted,x,y\n"
    for event in events:
        of = event.fields
        rows += f"{event.time_ns},{of['line']},{of['direction']},{of['track']},{of['passage']},{int(of['counted'])}"
        rows += ",{:.2f},{:.2f}\n".format(*of["at"])
    flow = "".join(f"{text}\n" for text in _lines(seen, k + 1, crossed if events else None, None, interval))
    return flow, rows, analyser.totals


def drawn(points: Sequence[tuple[float, float]]) -> str:
    return ",".join(f"{x:g},{y:g}" for x, y in points)


def compare(
    programs: Path, folder: Path, detections: Path, fps: float, parameters: dict[str, Any], **line: Any
) -> dict[str, dict[str, int]]:
    """Runs both on one file and holds the bytes of all three results together."""
    ours, theirs = folder / "python.txt", folder / "cpp.txt"
    report = track_mot_text(detections, ours, fps, "bytetrack", parameters)
    flow, crossings, totals = expected(detections, fps, parameters, 4.0, **line)
    options: list[object] = ["--detections", detections, "--fps", fps, "--output", theirs, "--interval", 4]
    options += ["--flow", folder / "flow.txt", "--crossings", folder / "crossings.csv"]
    for name, value in parameters.items():
        options += ["--set", f"{name}={str(value).lower()}"]
    for name, points in LINES.items():
        options += ["--line", f"{name}={drawn(points)}"]
    names = {"settle_s": "settle", "cool_down_s": "cool-down"}
    for name, value in line.items():
        options += [f"--{names.get(name, name)}", value]
    done = run(programs / "crosscam_track", *options)
    assert done.stderr == ""
    assert theirs.read_bytes() == ours.read_bytes()
    assert (folder / "flow.txt").read_text() == flow
    assert (folder / "crossings.csv").read_text() == crossings
    counted = "".join(f"{name}: in {total['in']}, out {total['out']}\n" for name, total in totals.items())
    left_out = sum(report.rejected.values())
    rejected = f", {left_out} detections rejected" if left_out else ""
    said = f"{theirs}: {report.rows} rows, {report.tracks} tracks in {report.frames} frames{rejected}\n"
    assert done.stdout == said + counted
    assert report.rows > 500
    return totals


@pytest.mark.parametrize(
    ("parameters", "line", "raw"),
    [
        ({}, {}, False),
        ({"lost_seconds": 0.3, "match": 0.7, "new": 0.6, "fuse_score": False}, {"anchor": Anchor.CENTRE}, False),
        ({"rate_hz": 30.0, "position_noise": 0.1}, {"band": 0.4, "settle_s": 0.5, "cool_down_s": 6.0}, True),
    ],
    ids=["defaults", "other parameters", "raw scores at another rate"],
)
def test_tracks_counts_and_crossings_are_pythons_byte_for_byte(
    programs: Path, tmp_path: Path, parameters: dict[str, Any], line: dict[str, Any], raw: bool
) -> None:
    detections = write_detections(tmp_path / "det.txt", raw=raw)
    totals = compare(programs, tmp_path, detections, FPS, parameters, **line)
    assert min(min(total.values()) for total in totals.values()) > 1, "every line is crossed both ways"


@pytest.mark.parametrize(
    ("name", "fps"), [("pets_s2l1/det.txt", 10.0), ("mot/MOT17-val/MOT17-04-FRCNN/det/det.txt", 30.0)]
)
def test_real_sequences_give_the_same_bytes(programs: Path, tmp_path: Path, name: str, fps: float) -> None:
    if not (SHARED / name).is_file():
        pytest.skip(f"needs shared/data/{name}")
    compare(programs, tmp_path, SHARED / name, fps, {})


def test_the_flow_statistic_is_the_one_that_a_site_exports(programs: Path, tmp_path: Path) -> None:
    """Where nobody is lost and found again, tracks are identities."""
    rows = []
    for frame in range(1, 121):
        if 40 <= frame < 43:
            continue  # nobody is there for a moment
        for person, x in enumerate((60, 200, 340)):
            y = 20 + (2 + person) * min(frame, 100) * 0.9
            rows.append(f"{frame},-1,{x + 4 * np.sin(frame / 9):.2f},{y:.2f},40,90,0.9")
    (tmp_path / "det.txt").write_text("\n".join(rows) + "\n")
    file = tmp_path / "plaza.yaml"
    file.write_text(
        f"site: plaza\ntracker: bytetrack\nledger: {{sqlite: {{path: {tmp_path / 'ledger.sqlite'}}}}}\n"
        "cameras: [{id: a, source: 'detections:det.txt', fps: 10, lines: {door: [[60, 150], [400, 160]]}}]\n"
    )
    site = load(file)
    fusion = LocalFusion(lambda: build_service(site))
    assert not build_shard(site, ("a",), LocalLink(fusion)).run()
    fusion.call(lambda service: service.finished()).result(30)
    fusion.close()
    reader = build_reader(site)
    (exported,) = write_flow_statistics(reader, tmp_path / "python", interval_s=5)
    reader.close()
    options = ["--detections", tmp_path / "det.txt", "--fps", 10, "--output", tmp_path / "cpp.txt", "--interval", 5]
    done = run(
        programs / "crosscam_track", *options, "--line", f"door={drawn(LINES['door'])}", "--flow", tmp_path / "flow"
    )
    assert done.stdout.endswith("door: in 3, out 0\n")
    assert (tmp_path / "flow").read_bytes() == exported.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fps", "10"], "--detections is missing"),
        (["--detections", "none.txt", "--fps", "10"], "none.txt cannot be read: check the path"),
        (["--detections", "bad.txt", "--fps", "10"], "bad.txt, line 2: 'x' is no number; rows are frame,id,x,y,w,h,"),
        (["--detections", "short.txt", "--fps", "10"], "short.txt, line 1: rows are frame,id,x,y,w,h,score[,class], "),
        (["--detections", "det.txt", "--fps", "0"], "--fps is '0', but must be a number from 0.01 to 9999"),
        (["--detections", "det.txt", "--fps"], "--fps needs a value"),
        (["--wings", "2"], "there is no option '--wings': there are --output"),
        (["--detections", "det.txt", "--fps", "9", "--set", "high=7"], "bytetrack: high is 7.0"),
        (["--detections", "det.txt", "--fps", "9", "--set", "height=7"], "bytetrack has no parameter 'height'"),
        (["--detections", "det.txt", "--fps", "9", "--line", "door=1,2"], "line 'door': it needs two points"),
        (["--detections", "det.txt", "--fps", "9", "--line", "door=1,2,1,2"], "two points in a row are the same"),
        (["--detections", "det.txt", "--fps", "9", "--line", "door=horizontal"], "the picture's size is not known"),
        (
            ["--detections", "det.txt", "--fps", "9", "--size", "64x48", "--line", "door=70,0,90,40"],
            "line 'door': it lies outside of the picture of 64 x 48",
        ),
        (["--detections", "det.txt", "--fps", "9", "--output", "det.txt/t"], "det.txt/t cannot be written"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_one_sentence(programs: Path, tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "det.txt").write_text("1,-1,1,1,9,9,0.9\n")
    (tmp_path / "bad.txt").write_text("1,-1,1,1,9,9,0.9\n1,-1,x,1,9,9,0.9\n")
    (tmp_path / "short.txt").write_text("1,-1,1,1,9,9\n")
    output = [] if "--output" in options else ["--output", "tracks.txt"]
    done = subprocess.run(
        [programs / "crosscam_track", *output, *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
