"""From what stands under `source:` to a source, and addresses without their secrets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_videos import FakeClock, frames_of, number_in, numbered_picture

from operators.records import Frame
from pipeline.sources.base import End, SourceError
from pipeline.sources.factory import open_source
from pipeline.sources.masking import mask


@pytest.mark.parametrize(
    ("source", "kind", "live"),
    [
        ("rtsp://10.0.0.1/main", "LiveVideo", True),
        ("RTSPS://10.0.0.1/main", "LiveVideo", True),
        ("https://camera.example/stream.m3u8", "LiveVideo", True),
        ("0", "LiveVideo", True),
        (2, "LiveVideo", True),
        ("clip.mp4", "VideoFile", False),
        ("2.mp4", "VideoFile", False),
        ("shots", "ImageFolder", False),
        ("detections:det.txt", "MotTextFile", False),
        ("detections: det.jsonl", "RowFile", False),
        ("detections:det.parquet", "RowFile", False),
        ("simulated:people=2", "SimulatedCamera", False),
        ("simulated:people=2,paced=1", "Paced", True),
    ],
)
def test_what_a_name_means(tmp_path: Path, source: str | int, kind: str, live: bool) -> None:
    (tmp_path / "shots").mkdir()
    found = open_source("cam", source, base=tmp_path)
    assert (type(found).__name__, found.live, found.camera) == (kind, live, "cam")


def test_paths_are_relative_to_the_base_unless_absolute(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,-1,1,1,5,5,1\n")
    for source, base in (("detections:det.txt", tmp_path), (f"detections:{tmp_path}/det.txt", Path("elsewhere"))):
        assert len(frames_of(open_source("cam", source, base=base, fps=10))) == 1


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "empty"),
        ("gopher://ann:s3cret@host/x", r"gopher://\*\*\*@host/x: no stream can be read by gopher"),
        ("simulated:folk=3", "unknown setting 'folk'; known are place"),
        ("simulated:people=many", "people cannot be 'many'; write a whole number from 0 on"),
        ("simulated:people=-1", "people cannot be '-1'"),
        ("simulated:people=2.5", "people cannot be '2.5'"),
        ("simulated:picture=2", "picture cannot be '2'; write 0 or 1"),
        ("simulated:missed=2", "missed must be at most 1"),
        ("simulated:place=moon", "no place 'moon'; known are hall, mall, streets"),
        ("simulated:cameras=8,camera=9", "camera=9 is none of cameras=8"),
        ("simulated:embedding=8,rank1=1", "rank1=1 must lie between 0 and 1"),
    ],
)
def test_a_name_that_means_nothing_is_said(source: str, says: str) -> None:
    with pytest.raises(SourceError, match=says) as raised:
        open_source("north", source)
    assert "camera 'north'" in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("rtsp://ann:s3cret@10.0.0.1:554/main", "rtsp://***@10.0.0.1:554/main"),
        ("rtsp://ann@host/x", "rtsp://***@host/x"),
        ("rtsp://ann:p@ss@host/x", "rtsp://***@host/x"),
        ("rtsp://ann:pa/ss@host/x", "rtsp://***@host/x"),
        ("rtsp://host:554/cam@2", "rtsp://host:554/cam@2"),
        ("rtsp://[fe80::1]:554/x", "rtsp://[fe80::1]:554/x"),
        ("rtsp://host/cam@2?channel=1", "rtsp://host/cam@2?channel=1"),
        ("http://host/v?user=ann&password=s3cret&n=1", "http://host/v?user=ann&password=***&n=1"),
        ("rtsp://host/user=ann_password=s3cret_channel=1", "rtsp://host/user=ann_password=***"),
        ("lost 'rtsp://a:b@h/1' and rtsp://c:d@h/2.", "lost 'rtsp://***@h/1' and rtsp://***@h/2."),
        ("write to ann@host", "write to ann@host"),
    ],
)
def test_secrets_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


class TestImageFolder:
    def test_pictures_come_in_natural_order_at_their_rate(self, tmp_path: Path) -> None:
        for n in range(12):
            cv2.imwrite(str(tmp_path / f"shot{n}.png"), numbered_picture(n))
        (tmp_path / "notes.txt").write_text("no picture")
        source = open_source("cam", str(tmp_path), fps=4, crop=(0, 10, 128, 64))
        frames = frames_of(source)
        assert [number_in(np.pad(f.image, ((10, 0), (0, 0), (0, 0)))) for f in frames] == list(range(12))
        assert [f.time_ns for f in frames] == [n * 250_000_000 for n in range(12)]
        assert frames[0].image.shape == (54, 128, 3)
        assert source.size == (128, 54)

    def test_pictures_that_cannot_be_used_are_counted_and_kept_by_name(self, tmp_path: Path) -> None:
        for n in range(4):
            cv2.imwrite(str(tmp_path / f"shot{n}.jpg"), numbered_picture(n))
        (tmp_path / "shot1.jpg").write_bytes(b"")
        cv2.imwrite(str(tmp_path / "shot2.jpg"), numbered_picture(2)[:20])
        source = open_source("cam", str(tmp_path), fps=4)
        assert [f.index for f in frames_of(source)] == [1, 4]
        assert source.counts == {"decoded": 4, "dropped.damaged": 1, "dropped.wrong_size": 1}
        damaged, wrong = source.take_rejected()
        assert (damaged.reason, damaged.payload, damaged.time_ns) == ("damaged", "shot1.jpg", 250_000_000)
        assert "(128, 20), the first one (128, 64)" in wrong.detail

    @pytest.mark.parametrize(
        ("files", "options", "says"),
        [
            ({}, {"fps": 5}, "there is no picture in it"),
            ({"a.png": b"x"}, {"fps": 5}, "none of its pictures can be decoded"),
            ({"a.png": None}, {}, "give the camera's `fps`"),
            ({"a.png": None}, {"fps": 5, "crop": (0, 0, 500, 10)}, "beyond its 128x64 pictures"),
        ],
    )
    def test_a_folder_that_cannot_be_used_is_said(
        self, tmp_path: Path, files: dict[str, bytes | None], options: dict, says: str
    ) -> None:
        for name, content in files.items():
            (tmp_path / name).write_bytes(content or cv2.imencode(".png", numbered_picture(1))[1].tobytes())
        with pytest.raises(SourceError, match=says):
            open_source("cam", str(tmp_path), **options).check()


class TestPaced:
    def test_frames_come_when_they_are_due_and_it_ends(self) -> None:
        clock = FakeClock()
        source = open_source("cam", "simulated:people=1,seconds=2", fps=5, paced=True, clock=clock)
        assert source.live
        assert source.brings == "boxes"
        assert source.length() == 10
        assert source.now_ns() is None
        source.open(None)
        began, arrivals = clock.seconds, []
        while not isinstance(item := source.read(), End):
            if isinstance(item, Frame):
                arrivals.append(round(clock.seconds - began, 6))
                assert source.counts == {"decoded": len(arrivals)}
        assert arrivals == [n / 5 for n in range(10)]

    def test_a_slow_reader_gets_late_frames_at_once_and_a_position_is_that_of_the_last_frame(self) -> None:
        clock = FakeClock()
        source = open_source("cam", "simulated:people=1,seconds=2", fps=5, paced=True, clock=clock)
        source.open(None)
        assert source.read().index == 1
        assert source.read() is None  # the second is waiting to be due
        after = source.position()
        clock.seconds += 1
        slept = len(clock.slept)
        assert [source.read().index for _ in range(5)] == [2, 3, 4, 5, 6]
        assert len(clock.slept) == slept
        source.open(after)
        assert source.read().index == 2
        source.interrupt()
        source.close()

    def test_a_start_that_is_yet_to_come_is_waited_for_and_then_event_time_is_the_wall_clocks(self) -> None:
        clock = FakeClock()
        start = datetime.fromtimestamp(clock.seconds + 3, UTC)
        text = "simulated:people=1,seconds=2"
        cameras = [open_source(f"cam{n}", text, fps=5, paced=True, clock=clock, start=start) for n in range(2)]
        seen: list[tuple[int, int]] = []
        for camera in cameras:
            camera.open(None)
            clock.seconds += 0.7  # one begins later than the other
            while not isinstance(item := camera.read(), Frame):
                pass
            seen.append((item.time_ns, clock.now_ns()))
        assert seen[0] == (round(start.timestamp()) * 10**9, round(start.timestamp()) * 10**9)
        assert seen[1][1] - seen[1][0] == pytest.approx(0.7e9)  # past by then: at once, as any late frame
