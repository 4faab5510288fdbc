"""Video files: true timestamps, cap, crop, and what is said of files that cannot be used."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from tiny_videos import frames_of, number_in, write_video

from operators.records import StateError, pack
from pipeline.sources.base import SourceError
from pipeline.sources.factory import open_source
from pipeline.sources.pictures import PictureMaker, WrongSizeError

WALKWAY = Path(__file__).resolve().parents[3] / "configs" / "media" / "walkway.mp4"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("b_frames.mp4", {"options": {"bf": "3", "b_strategy": "0"}}),
        ("hevc.mkv", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}),
        ("transport.ts", {"format": "mpegts"}),
        ("old.avi", {"codec": "mpeg4"}),
    ],
)
def test_every_picture_once_in_order_at_its_time(tmp_path: Path, name: str, options: dict) -> None:
    source = open_source("cam", write_video(tmp_path / name, 30, **options).name, base=tmp_path)
    frames = frames_of(source)
    assert [number_in(f.image) for f in frames] == list(range(30))
    assert [f.index for f in frames] == list(range(1, 31))
    assert [f.time_ns for f in frames] == [n * 100_000_000 for n in range(30)]
    assert source.counts == {"decoded": 30}
    assert source.size == (128, 64)
    assert source.take_rejected() == []


def test_uneven_timestamps_are_kept_as_they_are(tmp_path: Path) -> None:
    shown = [0, 100, 101, 900, 5000, 5040]
    write_video(tmp_path / "clip.mkv", 6, timestamps=shown)
    assert [f.time_ns // 1_000_000 for f in frames_of(open_source("cam", "clip.mkv", base=tmp_path))] == shown


def test_start_and_clock_offset_shift_event_time(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", 3)
    start = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    source = open_source("cam", "clip.mp4", base=tmp_path, start=start, clock_offset_ms=-120)
    first = round(start.timestamp() * 1000) - 120
    assert [f.time_ns // 1_000_000 for f in frames_of(source)] == [first, first + 100, first + 200]
    naive = open_source("cam", "clip.mp4", base=tmp_path, start=start.replace(tzinfo=None), clock_offset_ms=-120)
    assert frames_of(naive)[0].time_ns == first * 1_000_000


def test_joined_recordings_go_on_where_the_first_one_ends(tmp_path: Path) -> None:
    once = write_video(tmp_path / "once.ts", 10, format="mpegts").read_bytes()
    (tmp_path / "twice.ts").write_bytes(once + once)
    frames = frames_of(open_source("cam", "twice.ts", base=tmp_path))
    assert [number_in(f.image) for f in frames] == [*range(10), *range(10)]
    assert [f.time_ns for f in frames] == [n * 100_000_000 for n in range(20)]


def test_the_cap_drops_frames_and_counts_them(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", 60, fps=25)
    source = open_source("cam", "clip.mp4", base=tmp_path, fps=10)
    frames = frames_of(source)
    assert source.counts == {"decoded": 60, "dropped.fps_cap": 60 - len(frames)}
    assert len(frames) == 24
    assert [number_in(f.image) for f in frames] == [f.index - 1 for f in frames]
    assert frames_of(open_source("cam", "clip.mp4", base=tmp_path, fps=10))[7].index == frames[7].index


@pytest.mark.parametrize("crop", [(0, 0, 64, 64), (5, 3, 77, 41), (127, 63, 128, 64), (0, 0, 128, 64)])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "nv12", "gray", "bgr24"])
def test_cutting_before_converting_colours_gives_the_same_picture(crop: tuple[int, int, int, int], pixels: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 128, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format="bgr24").reformat(format=pixels)
    x1, y1, x2, y2 = crop
    whole = PictureMaker(None).make(frame)
    cut = PictureMaker(crop).make(frame)
    assert cut.shape == (y2 - y1, x2 - x1, 3)
    assert cut.flags.c_contiguous and cut.flags.writeable
    assert np.array_equal(cut, whole[y1:y2, x1:x2])


def test_a_phone_video_is_turned_upright_before_it_is_cropped(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", 5, rotation=90)
    shown = cv2.VideoCapture(str(tmp_path / "clip.mp4"))  # OpenCV turns it too
    _, upright = shown.read()
    source = open_source("cam", "clip.mp4", base=tmp_path)
    image = frames_of(source)[0].image
    assert image.shape == upright.shape == (128, 64, 3)
    assert np.abs(image.astype(int) - upright).max() < 24
    cropped = open_source("cam", "clip.mp4", base=tmp_path, crop=(10, 20, 50, 120))
    assert np.array_equal(frames_of(cropped)[0].image, image[20:120, 10:50])
    assert cropped.size == (40, 100)


def test_damaged_frames_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", 30, options={"bf": "0"})
    with av.open(str(clip)) as video:
        places = {n: (p.pos, p.size) for n, p in enumerate(video.demux(video=0)) if p.size}
    data = bytearray(clip.read_bytes())
    for n in (5, 20):
        data[places[n][0] : sum(places[n])] = b"\xff" * places[n][1]
    clip.write_bytes(data)
    source = open_source("cam", "clip.mp4", base=tmp_path)
    frames = frames_of(source)
    assert source.counts == {"decoded": 30, "dropped.damaged": 30 - len(frames)}
    assert 2 <= 30 - len(frames) < 10
    assert number_in(frames[-1].image) == 29
    assert frames[-1].index == 30


def test_a_file_that_was_cut_off_says_so(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mkv", 60, gop=5)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    source = open_source("cam", "clip.mkv", base=tmp_path)
    assert 0 < len(frames_of(source)) < 60
    (rejected,) = source.take_rejected()
    assert rejected.reason == "cut_short"
    assert "of 6.0 seconds" in rejected.detail


def test_a_picture_of_another_size_is_dropped(tmp_path: Path) -> None:
    maker = PictureMaker(None)
    maker.make(av.VideoFrame(64, 48, "yuv420p"))
    with pytest.raises(WrongSizeError, match="from 64x48 to 32x48"):
        maker.make(av.VideoFrame(32, 48, "yuv420p"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such file; check the path"),
        (b"", "the file is empty"),
        (b"this is no video " * 100, "this is no video that can be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_in_one_sentence(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "clip.mp4").write_bytes(content)
    source = open_source("north", "clip.mp4", base=tmp_path)
    for use in (source.check, lambda: source.open(None)):
        with pytest.raises(SourceError, match=says) as raised:
            use()
        assert "camera 'north'" in str(raised.value)
        assert "clip.mp4" in str(raised.value)
        assert "\n" not in str(raised.value)


def test_sound_without_video_is_said(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.wav"), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
    with pytest.raises(SourceError, match="no video"):
        open_source("cam", "song.wav", base=tmp_path).open(None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_one_may_not_read_is_said(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", 2).chmod(0)
    with pytest.raises(SourceError, match="permissions"):
        open_source("cam", "clip.mp4", base=tmp_path).open(None)


def test_a_crop_beyond_the_picture_is_said_with_its_size(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", 2)
    with pytest.raises(SourceError, match="beyond its 128x64 picture"):
        open_source("cam", "clip.mp4", base=tmp_path, crop=(0, 0, 129, 64)).open(None)


def test_a_file_that_has_become_shorter_is_not_resumed(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", 30)
    source = open_source("cam", "clip.mp4", base=tmp_path)
    frames_of(source)
    after = source.position()
    write_video(tmp_path / "clip.mp4", 10)
    with pytest.raises(SourceError, match="shorter than the 30 frames"):
        source.open(after)


def test_a_position_of_a_later_version_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", 2)
    with pytest.raises(StateError, match="version"):
        open_source("cam", "clip.mp4", base=tmp_path).open(pack({"version": 99, "kind": "video"}))


def test_the_demo_clip_is_whole() -> None:
    assert WALKWAY.stat().st_size < 3_000_000
    with av.open(str(WALKWAY)) as video:
        stream = video.streams.video[0]
        packets = [p for p in video.demux(stream) if p.size]
        assert (stream.width, stream.height, stream.average_rate) == (768, 576, 10)
    assert len(packets) == 795
    assert [n for n, p in enumerate(packets) if p.is_keyframe] == list(range(0, 795, 50))
    data = WALKWAY.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")
    source = open_source("west", str(WALKWAY), crop=(0, 0, 448, 576))
    source.open(None)
    frame = source.read()
    assert frame.image.shape == (576, 448, 3)
    assert frame.image.std() > 20
