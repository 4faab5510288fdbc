"""The annotated video of a camera of which there is no recording: made while its site runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.serve.live_shots import Shot
from pipeline.serve.live_video import write
from pipeline.serve.problems import NoPictureError


def shots(number: int, every_ms: int, size: tuple[int, int]) -> Iterator[Shot]:
    for n in range(number):
        image = np.full((size[1], size[0], 3), 10 * n, np.uint8)
        yield Shot(cv2.imencode(".jpg", image)[1].tobytes(), 1_000_000 + n * every_ms * 1000)


def written(file: Path, there: list[Shot | None], most: int = 10**9) -> int:
    """Give these one after the other, None for none, and then say that it is over."""
    over = threading.Event()
    left = iter(there)

    def newest() -> Shot:
        shot = next(left, "end")
        if shot == "end":
            over.set()
            raise NoPictureError("it has ended")
        if not isinstance(shot, Shot):
            raise NoPictureError("there is none yet")
        return shot

    return write(newest, file, over, most)


def frames(file: Path) -> list[tuple[int, int]]:
    """Milliseconds and brightness of each."""
    with av.open(str(file)) as video:
        return [
            (round(float(frame.pts * frame.time_base) * 1000), int(frame.to_ndarray(format="gray").mean()))
            for frame in video.decode(video=0)
        ]


def test_every_picture_stands_at_its_event_time_once(tmp_path: Path) -> None:
    one, two, three = shots(3, 250, (65, 47))
    assert written(tmp_path / "results" / "a.mp4", [None, one, two, two, one, three]) == 3
    told = frames(tmp_path / "results" / "a.mp4")
    assert [at for at, _ in told] == [0, 250, 500]
    assert [grey for _, grey in told] == pytest.approx([0, 10, 20], abs=4)


def test_of_a_camera_that_gives_nothing_there_is_no_video(tmp_path: Path) -> None:
    assert written(tmp_path / "a.mp4", [None]) == 0
    assert list(tmp_path.iterdir()) == []


def test_it_does_not_grow_for_ever(tmp_path: Path) -> None:
    assert written(tmp_path / "a.mp4", list(shots(5, 100, (64, 48))), most=1) == 1
    assert len(frames(tmp_path / "a.mp4")) == 1


def test_a_camera_whose_pictures_change_in_size_is_one_video(tmp_path: Path) -> None:
    small, large = next(shots(1, 100, (64, 48))), list(shots(2, 100, (128, 96)))[1]
    assert written(tmp_path / "a.mp4", [small, large]) == 2
    assert len(frames(tmp_path / "a.mp4")) == 2
