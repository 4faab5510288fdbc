"""Live cameras: reconnecting, event time, and passwords that stay secret. The last tests use a real RTSP server."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from streaming import Server, needed
from tiny_videos import FakeClock, next_of, number_in, write_video

from operators.records import Frame
from pipeline.sources.base import Interrupted, Restored, SourceError, SystemClock
from pipeline.sources.factory import open_source
from pipeline.sources.live import Address, LiveVideo, device, network
from pipeline.sources.staying_connected import LONGEST_WAIT_S, LiveOptions


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_nobody_answers_it_is_tried_again_ever_more_slowly_and_counted() -> None:
    clock = FakeClock()
    url = f"rtsp://ann:s3cret@127.0.0.1:{closed_port()}/live"
    assert open_source("north", url).live
    source = LiveVideo("north", network(url), clock=clock, jitter=lambda: 0.0)
    source.check()
    source.open(None)
    failures = [next_of(source, Interrupted) for _ in range(7)]
    assert [f.attempt for f in failures] == list(range(1, 8))
    assert [f.retry_in_s for f in failures] == [1, 2, 4, 8, 16, LONGEST_WAIT_S, LONGEST_WAIT_S]
    waited = [b.time_ns - a.time_ns for a, b in pairwise(failures)]
    assert [round(ns / 1e9, 3) for ns in waited] == [1, 2, 4, 8, 16, 30]
    assert source.counts == {"decoded": 0, "interruptions": 7}
    for failure in failures:
        assert "s3cret" not in failure.detail and "ann" not in failure.detail
        assert "connection refused; trying again in" in failure.detail


def test_waits_differ_by_up_to_half_so_that_cameras_lost_together_do_not_come_back_at_once() -> None:
    url = f"rtsp://127.0.0.1:{closed_port()}/live"
    source = LiveVideo("north", network(url), clock=FakeClock(), jitter=iter((0.0, 0.5, 0.99)).__next__)
    source.open(None)
    assert [next_of(source, Interrupted).retry_in_s for _ in range(3)] == [1, 1.5, pytest.approx(2.02)]


def test_a_camera_is_given_up_after_as_many_tries_as_its_file_allows() -> None:
    url = f"rtsp://ann:s3cret@127.0.0.1:{closed_port()}/live"
    source = LiveVideo("north", network(url), clock=FakeClock(), options=LiveOptions(max_reconnects=2))
    source.open(None)
    assert [next_of(source, Interrupted).attempt for _ in range(2)] == [1, 2]
    with pytest.raises(
        SourceError, match=r"camera 'north': .*connection refused; given up after 2 reconnects"
    ) as error:
        next_of(source, Interrupted)
    assert "s3cret" not in str(error.value)


def test_somebody_who_listens_but_says_nothing_is_given_up_after_the_time_out() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"rtsp://127.0.0.1:{mute.getsockname()[1]}/live"
        source = LiveVideo("cam", network(url), clock=SystemClock(), options=LiveOptions(connect_timeout_s=0.3))
        source.open(None)
        began = time.monotonic()
        failure = next_of(source, Interrupted)
        assert time.monotonic() - began < 3
        assert "no answer within 0.3 s" in failure.detail


def test_waiting_stops_soon_when_it_is_told_to() -> None:
    source = open_source("cam", f"rtsp://127.0.0.1:{closed_port()}/live")
    source.open(None)
    next_of(source, Interrupted)
    source.interrupt()
    began = time.monotonic()
    assert [source.read() for _ in range(50)] == [None] * 50
    assert time.monotonic() - began < 0.5
    source.close()
    source.close()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", 30, gop=10, options={"bf": "0"})


def ticking() -> FakeClock:
    """A clock on which about a tenth of a second passes with every frame that is read: a camera's pace."""
    return FakeClock(step=1 / 50)


def stream(clip: Path, clock: FakeClock, **options: object) -> LiveVideo:
    """The file as a stream that breaks off at its end."""
    source = LiveVideo("cam", Address(str(clip)), clock=clock, **options)  # type: ignore[arg-type]
    source.open(None)
    return source


def test_event_time_is_the_clock_at_the_first_picture_then_the_streams_own_spacing(clip: Path) -> None:
    clock = ticking()
    began = clock.now_ns()
    source = stream(clip, clock, offset_ns=-120_000_000)
    times = []
    for n in range(30):
        times.append(next_of(source, Frame).time_ns)
        clock.seconds += (0.05, -0.03, -0.02)[n % 3]  # jitter of the network
    assert -120_000_000 < times[0] - began < 300_000_000
    assert all(abs(b - a - 100_000_000) <= 10_000_000 for a, b in pairwise(times))


@pytest.mark.parametrize(("codec", "format"), [("mjpeg", "mjpeg"), ("mjpeg", "mpjpeg"), ("libx264", "h264")])
def test_a_stream_of_pictures_without_timestamps_has_the_times_at_which_they_came(
    tmp_path: Path, codec: str, format: str
) -> None:
    options = {"strict": "unofficial"} if codec == "mjpeg" else {"bf": "0"}
    clip = write_video(tmp_path / "clip", 30, fps=25, gop=10, codec=codec, format=format, options=options)
    clock = ticking()  # ten a second, whatever 25 FFmpeg makes up
    came = []
    source = stream(clip, clock)
    for _ in range(25):
        time_ns = next_of(source, Frame).time_ns
        came.append((time_ns, round(clock.seconds * 1e9)))
    passed = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(came)]
    assert all(abs(event - arrival) <= 40_000_000 for event, arrival in passed[2:])


def test_of_what_a_server_had_buffered_only_the_newest_picture_counts(clip: Path) -> None:
    clock = FakeClock()
    source = stream(clip, clock)
    while source.counts["decoded"] < 20:  # the first 21 pictures come at once
        assert source.read() is None
    clock.seconds += 0.1
    frame = next_of(source, Frame)
    assert (frame.index, number_in(frame.image)) == (21, 20)
    assert frame.time_ns == 1_700_000_000 * 10**9
    assert source.counts == {"decoded": 21, "dropped.late": 20}


def test_a_stream_that_breaks_off_is_opened_again_and_counting_goes_on(clip: Path) -> None:
    clock = ticking()
    source = stream(clip, clock)
    frames = [next_of(source, Frame) for _ in range(30)]
    lost = next_of(source, Interrupted, Frame)
    assert isinstance(lost, Interrupted)
    assert lost.attempt == 1 and 0.5 < lost.retry_in_s <= 1
    assert "the stream has ended" in lost.detail
    back = next_of(source, Restored, Interrupted, Frame)
    assert isinstance(back, Restored)
    assert back.attempts == 1
    again = next_of(source, Frame)
    assert again.index == 31
    assert number_in(again.image) == 0
    assert again.time_ns > frames[-1].time_ns
    assert again.time_ns - back.time_ns <= 5_000_000_000
    assert source.counts == {"decoded": 31, "interruptions": 1}
    assert source.size == (128, 64)


def test_after_a_restart_numbers_counts_and_time_go_on(clip: Path) -> None:
    clock = ticking()
    source = stream(clip, clock)
    last = [next_of(source, Frame) for _ in range(5)][-1]
    after = source.position()
    source.close()
    clock.seconds -= 3600  # the new machine's clock is behind
    source.open(after)
    frame = next_of(source, Frame)
    assert frame.index == 6
    assert frame.time_ns > last.time_ns
    assert source.counts["decoded"] == 6


def test_the_cap_holds_for_streams(clip: Path) -> None:
    source = stream(clip, ticking(), fps=5)
    kept = [next_of(source, Frame).index for _ in range(10)]
    assert kept == list(range(1, 20, 2))
    assert source.counts == {"decoded": 19, "dropped.fps_cap": 9}


def test_who_falls_behind_skips_to_a_keyframe_and_counts_what_is_missed(tmp_path: Path) -> None:
    clock = ticking()
    source = stream(write_video(tmp_path / "clip.mp4", 200, gop=10, options={"bf": "0", "sc_threshold": "0"}), clock)
    for n in range(5):
        assert number_in(next_of(source, Frame).image) == n
    clock.seconds += 4  # the worker was busy; forty pictures wait
    clock.step = 0.0  # and come as fast as they are read
    frames = [next_of(source, Frame) for _ in range(10)]
    assert [number_in(f.image) for f in frames] == list(range(40, 50))
    assert [f.index for f in frames] == list(range(41, 51))
    assert source.counts == {"decoded": 50, "dropped.late": 35}


def test_a_crop_that_does_not_fit_is_an_interruption_that_says_so(clip: Path) -> None:
    source = stream(clip, FakeClock(), crop=(0, 0, 640, 480))
    assert "beyond its 128x64 picture" in next_of(source, Interrupted).detail
    assert next_of(source, Interrupted).attempt == 2


def test_something_that_is_no_video_is_an_interruption(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>log in first</html>" * 50)
    source = stream(tmp_path / "page.html", FakeClock())
    assert "invalid data" in next_of(source, Interrupted).detail


def test_a_device_that_is_not_there_is_tried_again() -> None:
    source = open_source("cam", 97, clock=FakeClock())
    source.open(None)
    failure = next_of(source, Interrupted)
    assert failure.detail.startswith("/dev/video97: ")


def test_devices_have_numbers_where_the_system_numbers_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert device("cam", 1).format == "avfoundation"
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(SourceError, match="give a stream address"):
        device("cam", 1)


def write_frozen(path: Path, moving: int, still: int) -> Path:
    """A stream that moves, then repeats one picture, each time encoded anew."""
    numbers = [*range(moving), *([moving] * still), *range(moving + 1, 2 * moving)]
    return write_video(path, numbers=numbers, gop=10, options={"bf": "0"})


def test_a_camera_whose_picture_is_frozen_is_lost_and_back_once_something_moves(tmp_path: Path) -> None:
    clip = write_frozen(tmp_path / "clip.mp4", moving=20, still=40)
    source = stream(clip, ticking(), options=LiveOptions(frozen_after_s=2))
    before: list[Frame] = []
    while not isinstance(item := next_of(source, Frame, Interrupted), Interrupted):
        before.append(item)  # type: ignore[arg-type]
    assert "the same picture for 2 s" in item.detail
    assert 38 <= len(before) <= 45, "what stands still for a while is not frozen"
    assert number_in(before[-1].image) == 20
    assert next_of(source, Restored).attempts == 1  # type: ignore[union-attr]
    assert number_in(next_of(source, Frame).image) == 0  # type: ignore[union-attr, arg-type]
    assert source.counts == {"decoded": len(before) + 2, "dropped.frozen": 1, "interruptions": 1}


def test_a_picture_that_is_still_frozen_after_reconnecting_is_not_given_nor_reconnected_for_ever(
    tmp_path: Path,
) -> None:
    clip = write_video(tmp_path / "clip.mp4", numbers=[7] * 100, gop=10, options={"bf": "0"})
    source = stream(clip, ticking(), options=LiveOptions(frozen_after_s=2))
    assert "the same picture" in next_of(source, Interrupted).detail
    ended = next_of(source, Interrupted)
    assert "the stream has ended" in ended.detail, "it stayed connected, and gave nothing"
    assert source.counts["dropped.frozen"] == 101


def test_a_still_picture_may_be_what_the_camera_is_for(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", numbers=[7] * 100, gop=10, options={"bf": "0"})
    source = stream(clip, ticking(), options=LiveOptions(frozen_after_s=0))
    assert len([next_of(source, Frame) for _ in range(99)]) == 99


@pytest.fixture(scope="session")
def rtsp_available() -> None:
    if missing := needed():
        pytest.skip(missing)


@pytest.fixture
def serve(rtsp_available: None, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    clip = write_video(tmp_path / "live.mp4", 200, gop=10, options={"bf": "0"})
    servers: list[Server] = []

    def start(*user: str) -> Server:
        servers.append(Server(clip, *user))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.kill()


def within(seconds: float, source: LiveVideo, *kinds: type) -> Frame | Interrupted | Restored:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        item = source.read()
        if isinstance(item, kinds):
            return item  # type: ignore[return-value]
    raise AssertionError(f"no {kinds} within {seconds} s")


@pytest.mark.usefixtures("rtsp_available")
class TestRealServer:
    def test_a_camera_that_dies_and_comes_back(self, serve: Callable[..., Server]) -> None:
        server = serve("ann", "s3cret")
        url = f"rtsp://ann:s3cret@127.0.0.1:{server.port}/live"
        source = LiveVideo("north", network(url), clock=SystemClock(), options=LiveOptions(read_timeout_s=2))
        source.open(None)
        before = [within(20, source, Frame) for _ in range(5)]
        assert before[-1].index == source.counts["decoded"]
        assert all(number_in(b.image) == number_in(a.image) + 1 for a, b in pairwise(before))
        assert all(80e6 < b.time_ns - a.time_ns < 120e6 for a, b in pairwise(before))
        assert abs(before[-1].time_ns - time.time_ns()) < 2e9
        server.kill()
        lost = within(10, source, Interrupted)
        assert lost.attempt == 1 and 0.5 < lost.retry_in_s <= 1
        assert "s3cret" not in lost.detail
        server.start()
        back = within(20, source, Restored)
        assert back.attempts >= 1
        after = within(5, source, Frame)
        assert after.time_ns > before[-1].time_ns
        assert abs(after.time_ns - time.time_ns()) < 2e9
        assert after.index == source.counts["decoded"]
        source.close()

    def test_a_camera_that_hangs_is_noticed(self, serve: Callable[..., Server]) -> None:
        server = serve()
        url = f"rtsp://127.0.0.1:{server.port}/live"
        source = LiveVideo("north", network(url), clock=SystemClock(), options=LiveOptions(read_timeout_s=0.5))
        source.open(None)
        within(20, source, Frame)
        server.process.send_signal(signal.SIGSTOP)
        assert "no answer within 0.5 s" in within(10, source, Interrupted).detail
        source.close()

    def test_of_a_stream_that_is_damaged_whole_pictures_are_given_and_the_rest_counted(
        self, serve: Callable[..., Server]
    ) -> None:
        server = serve()
        source = LiveVideo("north", network(f"rtsp://127.0.0.1:{server.port}/damaged"), clock=SystemClock())
        source.open(None)
        frames = [within(20, source, Frame) for _ in range(20)]
        counts = source.counts
        assert counts["dropped.damaged"] > 0
        # One more may have been decoded, which is held until it is known to be current.
        given = counts["decoded"] - sum(n for name, n in counts.items() if name.startswith("dropped."))
        assert given == len(frames)
        assert all(a.time_ns < b.time_ns for a, b in pairwise(frames))
        source.close()

    def test_a_wrong_password_or_path_is_said_without_it(self, serve: Callable[..., Server]) -> None:
        server = serve("ann", "s3cret")
        for address, says in (("ann:wr0ng@", "does not accept this user and password"), ("ann:s3cret@", "404")):
            path = "live" if "wr0ng" in address else "nowhere"
            source = LiveVideo("cam", network(f"rtsp://{address}127.0.0.1:{server.port}/{path}"), clock=SystemClock())
            source.open(None)
            detail = within(10, source, Interrupted).detail
            assert says in detail
            assert detail.startswith(f"rtsp://***@127.0.0.1:{server.port}/{path}: ")
            source.close()
