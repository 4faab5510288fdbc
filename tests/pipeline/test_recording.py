"""What was recorded, frame by frame, and when it was."""

from __future__ import annotations

import pytest
from still_tracks import NOON, SECOND

from operators.records import Frame
from pipeline.clock import clock_text
from pipeline.recording import RecordingError, recording
from pipeline.sources.base import End, Item, Source


class _Scripted(Source):
    def __init__(self, live: bool = False) -> None:
        super().__init__("a")
        self.live = live
        self.open_now = False
        self._left = 3

    def open(self, position: bytes | None) -> None:
        self.open_now = True

    def read(self) -> Item | None:
        self._left -= 1
        return Frame("a", 3 - self._left, NOON) if self._left >= 0 else End()

    def position(self) -> bytes:
        return b""

    def close(self) -> None:
        self.open_now = False


def test_gives_all_frames_and_closes():
    source = _Scripted()
    assert [frame.index for frame in recording(source)] == [1, 2, 3]
    assert not source.open_now


def test_a_live_source_has_no_recording():
    with pytest.raises(RecordingError, match="'a' is a live source"):
        list(recording(_Scripted(live=True)))


@pytest.mark.parametrize(
    ("time_ns", "tenths", "text"),
    [
        (NOON + 31 * SECOND + 450_000_000, True, "2009-06-11 12:00:31.4"),
        (79 * SECOND, False, "00:01:19"),
        (26 * 3600 * SECOND, False, "26:00:00"),
        (None, False, "?"),
    ],
)
def test_clock_reads_as_people_write_it(time_ns, tenths, text):
    assert clock_text(time_ns, tenths=tenths) == text
