"""A live camera whose server dies, hangs and sends broken pictures: the site goes on, and its ledger tells the gap."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pytest
from streaming import Server, needed

sys.path.insert(0, str(Path(__file__).parent))
from in_thread import InThread

from operators.records import unpack
from pipeline.assembly import build_reader
from pipeline.config import Site
from pipeline.config_file import load

pytestmark = pytest.mark.faults
CLIP = Path(__file__).resolve().parents[2] / "configs" / "media" / "walkway.mp4"
CLIP_FRAMES, TIMES = 200, 30
SECOND = 1_000_000  # the ledger counts microseconds
# A stream's first picture is held until the second shows that it is current, and told after it.
HELD = SECOND


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People on a walkway, again and again, as a camera sends them: a keyframe a second, no picture out of order."""
    path = tmp_path_factory.mktemp("clip") / "walkway.mp4"
    with av.open(str(CLIP)) as whole, av.open(str(path), "w") as output:
        video = whole.streams.video[0]
        stream = output.add_stream("libx264", rate=10, options={"g": "10", "bf": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 10)
        stream.codec_context.thread_count = 1  # one slice a picture: GStreamer's payloader tears others apart
        packets = []
        for number, frame in enumerate(islice(whole.decode(video), CLIP_FRAMES)):
            frame.pts, frame.time_base = number, Fraction(1, 10)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for shift in range(0, CLIP_FRAMES * TIMES, CLIP_FRAMES):
            for number, packet in enumerate(packets):
                again = av.Packet(bytes(packet))
                again.stream, again.time_base, again.is_keyframe = stream, Fraction(1, 10), packet.is_keyframe
                again.pts = again.dts = shift + number
                output.mux(again)
    return path


@pytest.fixture
def servers(clip: Path) -> Iterator[tuple[Server, Server]]:
    """One that something happens to, and one that nothing does."""
    if missing := needed():
        pytest.skip(missing)
    started = Server(clip), Server(clip)
    yield started
    for one in started:
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGCONT)
            one.kill()


class Ledger:
    """What a running site has written so far."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def values(self, topic: str) -> list[dict[str, Any]]:
        with contextlib.closing(build_reader(self._site)) as reader:
            return [stored.value for stored in reader.read(topic)]

    def tracks(self, camera: str) -> list[dict[str, Any]]:
        return [value for value in self.values("tracks") if value["camera"] == camera]

    def sources(self, camera: str) -> list[dict[str, Any]]:
        """Where the camera was lost and restored."""
        return [v for v in self.values("events") if v["camera"] == camera and v["type"] == "source"]

    def counts(self, camera: str) -> dict[str, int]:
        with contextlib.closing(build_reader(self._site)) as reader:
            return dict(unpack(reader.state()[f"camera/{camera}"])["counts"])


def site(folder: Path, ports: tuple[int, int]) -> Site:
    """A camera of each server, a worker for both."""
    file = folder / "plaza.yaml"
    cameras = "".join(
        f"  - {{id: {name}, source: 'rtsp://127.0.0.1:{port}/live', fps: 2, "
        "live: {connect_timeout: 3s, read_timeout: 2s}}\n"
        for name, port in zip(("north", "south"), ports, strict=True)
    )
    file.write_text(
        f"site: plaza\nidle_timeout: 3s\ncameras:\n{cameras}ledger: {{sqlite: {{path: {folder / 'ledger.sqlite'}}}}}\n"
    )
    return load(file)


def until(condition: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: it does not come to that"
        time.sleep(0.2)


def test_a_camera_that_dies_hangs_and_sends_rubbish_goes_on_and_its_gaps_are_told(
    tmp_path: Path, servers: tuple[Server, Server], ray_in_place: None
) -> None:
    server, other = servers
    plaza = site(tmp_path, (server.port, other.port))
    ledger = Ledger(plaza)
    run = InThread(plaza)
    run.until(lambda: run.progress.commits >= 1, "a run that begins")

    def seen_since(since: int) -> bool:
        return any(point[0] > since for value in ledger.tracks("north") for point in value["points"])

    def lost_and_back(times: int, heal: Callable[[], None]) -> None:
        until(lambda: len(ledger.sources("north")) == 2 * times - 1, f"lost for the {times}. time")
        assert ledger.sources("north")[-1]["state"] == "lost"
        heal()
        until(lambda: len(ledger.sources("north")) == 2 * times, f"restored for the {times}. time")
        until(lambda: seen_since(ledger.sources("north")[-1]["time"] + HELD), "somebody is seen again")

    until(lambda: bool(ledger.tracks("north")), "somebody is seen")
    server.kill()
    lost_and_back(1, server.start)
    server.process.send_signal(signal.SIGSTOP)
    lost_and_back(2, lambda: server.process.send_signal(signal.SIGCONT))
    assert "dropped.damaged" not in ledger.counts("north")
    server.kill()
    lost_and_back(3, lambda: server.start(damaged=True))
    until(lambda: ledger.counts("north").get("dropped.damaged", 0) > 3, "damaged pictures are counted")
    run.stop()

    states = [value["state"] for value in ledger.sources("north")]
    assert states == ["lost", "restored"] * 3, "each gap is told, once"
    times = [value["time"] for value in ledger.sources("north")]
    points = sorted({point[0] for value in ledger.tracks("north") for point in value["points"]})
    for lost, back in zip(times[::2], times[1::2], strict=True):
        assert back - lost > SECOND
        assert not [t for t in points if lost < t < back - HELD], "nobody was seen while it was lost"
    rows = Counter((v["track"], frame) for v in ledger.tracks("north") for frame in v["frames"])
    assert max(rows.values()) == 1, "nothing is there twice"
    created = [v["identity"] for v in ledger.values("identities") if v["event"] == "created"]
    assert len(created) == len(set(created)), "no identity begins twice"
    known = {v["identity"] for v in ledger.tracks("north") if v["start"] > times[-1]}
    assert known, "who is seen in the end has an identity"
    for camera in ("north", "south"):
        counts = ledger.counts(camera)
        dropped = sum(n for name, n in counts.items() if name.startswith("dropped."))
        assert counts["decoded"] == counts["tracked"] + dropped
    assert not ledger.sources("south")
    steady = sorted({point[0] for value in ledger.tracks("south") for point in value["points"]})
    for lost, back in zip(times[::2], times[1::2], strict=True):
        assert any(lost < t < back for t in steady), "the other camera was written all the while"
