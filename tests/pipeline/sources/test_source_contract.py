"""What holds for every file source: exact resume, accounting, order, an end that stays the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_videos import numbered_picture, write_video

from operators.records import Frame, StateError
from pipeline.sources.base import End, Rejected, Source
from pipeline.sources.factory import open_source


def walking_rows(count: int = 12) -> list[dict[str, Any]]:
    """Rows of JSONL and Parquet: two people, an empty frame, and everything that can be wrong with a row."""
    rows: list[dict[str, Any]] = []
    for n in range(1, count + 1):
        time = n / 10
        look = [1.0, n / 10, 0.0]
        row = {"time": time, "frame": n, "score": 0.9, "cls": "person"}
        if n == 5:
            rows.append({**row, "box": None, "embedding": None})
            continue
        rows.append({**row, "box": [10.0 + n, 20.0, 40.0 + n, 90.0], "embedding": look})
        rows.append({**row, "box": [110.0 - n, 20.0, 140.0 - n, 90.0], "embedding": look})
        if n in {3, 7, count}:
            rows.append({**row, "box": [5.0, 5.0, 5.0, 9.0], "embedding": look})  # no width
            rows.append(
                {**row, "time": 0.01, "frame": 1, "box": [1.0, 1.0, 2.0, 2.0], "embedding": look}
            )  # back in time
        if n == 6:
            rows.append({**row, "box": [60.0, 20.0, 80.0, 90.0], "embedding": [float("nan")] * 3})
            rows.append({**row, "cls": "aeroplane", "box": [60.0, 20.0, 80.0, 90.0], "embedding": look})
    return rows


def an_mp4(folder: Path) -> str:
    return write_video(folder / "clip.mp4", 40, options={"bf": "2"}).name


def joined_recordings(folder: Path) -> str:
    once = write_video(folder / "once.ts", 15, format="mpegts").read_bytes()
    (folder / "clip.ts").write_bytes(once + once)
    return "clip.ts"


def a_raw_stream(folder: Path) -> str:
    return write_video(folder / "clip.h264", 20, format="h264").name


def an_avi_with_damage(folder: Path) -> str:
    data = bytearray(write_video(folder / "clip.avi", 40, codec="libx264", options={"bf": "0"}).read_bytes())
    at = len(data) // 2
    data[at : at + 60] = b"\xff" * 60
    (folder / "bad.avi").write_bytes(data)
    return "bad.avi"


def pictures(folder: Path) -> str:
    (folder / "shots").mkdir()
    for n in range(12):
        cv2.imwrite(str(folder / "shots" / f"shot{n}.png"), numbered_picture(n))
    (folder / "shots" / "shot3.png").write_bytes(b"not a picture")
    cv2.imwrite(str(folder / "shots" / "shot7.png"), numbered_picture(7)[:32])
    return "shots"


def mot_text(folder: Path) -> str:
    lines = [
        "3,-1,10,10,20,40,0.9,1",
        "3,-1,50,10,-20,40,0.9,1",
        "1,-1,5,5,20,40,0.8,1",
        "hello",
        "7,-1,9,9,20,40,0.7,1",
    ]
    lines += ["7,-1,9,9,20,40,0.7,3", "9,-1,30,9,20,40,7.5,1", "9,-1,30,9,20,40,0.5,1", "12,-1,30,9,20,40,nan,1"]
    (folder / "det.txt").write_text("\n".join(lines))
    return "detections:det.txt"


def json_lines(folder: Path) -> str:
    lines = [json.dumps(row) for row in walking_rows()]
    lines[4:4] = ["", "{broken"]
    (folder / "det.jsonl").write_text("\n".join(lines) + "\n")
    return "detections:det.jsonl"


def parquet(folder: Path) -> str:
    pq.write_table(pa.Table.from_pylist(walking_rows()), folder / "det.parquet", row_group_size=7)
    return "detections:det.parquet"


def walkers(folder: Path) -> str:
    return "simulated:people=3,seconds=2,seed=4,embedding=8,missed=0.1"


def walkers_tracked(folder: Path) -> str:
    return "simulated:people=9,seconds=12,seed=4,tracks=1,missed=0.2,breaks=0.8,swaps=0.8,false=2"


def walkers_whose_camera_drops_out(folder: Path) -> str:
    return "simulated:place=mall,cameras=3,camera=2,people=9,seconds=22,seed=348,outages=100,skew=300"


def walkers_drawn(folder: Path) -> str:
    return "simulated:people=3,seconds=2,seed=4,picture=1"


FILES = [
    an_mp4,
    joined_recordings,
    a_raw_stream,
    an_avi_with_damage,
    pictures,
    mot_text,
    json_lines,
    parquet,
    walkers,
    walkers_tracked,
    walkers_whose_camera_drops_out,
    walkers_drawn,
]

Said = tuple[Frame, bytes, dict[str, int], list[Rejected]]


def everything(source: Source, position: bytes | None = None) -> tuple[list[Said], dict[str, int], list[Rejected]]:
    """Every frame with what the source knew after it, and what it said at the end."""
    source.open(position)
    said = []
    while isinstance(item := source.read(), Frame):
        said.append((item, source.position(), source.counts, source.take_rejected()))
    assert isinstance(item, End)
    assert isinstance(source.read(), End)
    end = source.counts, source.take_rejected()
    source.close()
    source.close()
    return said, *end


def same(a: Frame, b: Frame) -> bool:
    if (a.camera, a.index, a.time_ns) != (b.camera, b.index, b.time_ns):
        return False
    if a.image is not None and b.image is not None:
        return np.array_equal(a.image, b.image)
    assert a.given is not None and b.given is not None
    fields = ("boxes", "scores", "classes", "embeddings", "ids")
    pairs = [(getattr(a.given, name), getattr(b.given, name)) for name in fields]
    return all((x is None and y is None) or np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in pairs)


@pytest.fixture(params=FILES, ids=lambda make: make.__name__)
def source_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Source]:
    text = request.param(tmp_path)
    return lambda **options: open_source("cam", text, base=tmp_path, **{"fps": 10.0, **options})


@pytest.mark.parametrize("crop", [None, (16, 4, 96, 60)], ids=["whole", "crop"])
def test_resumed_after_any_frame_it_goes_on_as_though_it_had_never_stopped(
    source_of: Callable[..., Source], crop: tuple[int, int, int, int] | None
) -> None:
    whole, counts, rejected = everything(source_of(crop=crop))
    assert len(whole) >= 8
    for n, (_, position, _, _) in enumerate(whole):
        rest, counts_then, rejected_then = everything(source_of(crop=crop), position)
        assert len(rest) == len(whole) - n - 1
        for (frame, *said), (frame_then, *said_then) in zip(whole[n + 1 :], rest, strict=True):
            assert same(frame, frame_then)
            assert said == said_then
        assert (counts_then, rejected_then) == (counts, rejected)


def test_decoded_is_given_plus_dropped_after_every_frame(source_of: Callable[..., Source]) -> None:
    whole, counts, _ = everything(source_of())
    for given, (_, _, then, _) in enumerate(whole, start=1):
        assert then["decoded"] == given + sum(n for name, n in then.items() if name.startswith("dropped."))
    assert counts["decoded"] == len(whole) + sum(n for name, n in counts.items() if name.startswith("dropped."))


def test_times_and_numbers_increase(source_of: Callable[..., Source]) -> None:
    frames = [said[0] for said in everything(source_of())[0]]
    assert frames[0].index >= 1
    for before, after in pairwise(frames):
        assert after.index > before.index
        assert after.time_ns > before.time_ns


def test_its_length_is_known_beforehand_roughly_or_not_said(source_of: Callable[..., Source]) -> None:
    source = source_of()
    length = source.length()
    decoded = everything(source)[1]["decoded"]
    # Damage takes frames away, and joined recordings know only of the first one.
    assert length is None or decoded / 2 <= length <= decoded + 3


def test_it_is_a_file_and_finds_nothing_wrong_with_itself(source_of: Callable[..., Source]) -> None:
    source = source_of()
    assert not source.live
    source.check()
    assert source.take_rejected() == [] or source.brings != "frames"


def test_a_position_of_another_kind_of_source_is_refused(source_of: Callable[..., Source]) -> None:
    source = source_of()
    with pytest.raises(StateError, match="source of another kind"):
        source.open(open_stranger())
    with pytest.raises(StateError):
        source.open(b"\x00damaged")


def open_stranger() -> bytes:
    stranger = open_source("cam", "rtsp://127.0.0.1/x")
    stranger.open(None)
    return stranger.position()
