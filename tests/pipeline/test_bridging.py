"""Gaps in an exported identity, filled by straight lines."""

from __future__ import annotations

import numpy as np
from test_export import LedgerInMemory, correction, tracklet

from pipeline.bridging import fill_gaps
from pipeline.export import export


def rows(path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


def test_a_gap_is_filled_between_the_tracks_that_a_correction_has_joined(tmp_path):
    """Three frames are missing between tracks 1 and 2, which turned out to be one; a long gap stays."""
    ledger = LedgerInMemory(
        tracklet("north", 1, 1, [1, 2], score=0.8),
        tracklet("north", 2, 2, [6, 7]),
        tracklet("north", 2, 2, [20]),
        correction("merged", 2, 1, [["north", 2]]),
    )
    summary = export(ledger, "mot", tmp_path, bridge=3)
    written = rows(tmp_path / "north.txt")
    assert [int(row[0]) for row in written] == [1, 2, 3, 4, 5, 6, 7, 20]
    assert {row[1] for row in written} == {"1"}
    assert [float(row[2]) for row in written] == [10.5 + frame for frame in (1, 2, 3, 4, 5, 6, 7, 20)]
    assert float(written[3][6]) == 0.8, "no surer than the less sure of the two"
    assert (summary.points, summary.filled) == (8, 3)


def test_nothing_is_filled_unasked_nor_across_cameras_and_identities(tmp_path):
    ledger = LedgerInMemory(
        tracklet("north", 1, 1, [1, 2]), tracklet("south", 1, 1, [4, 5]), tracklet("north", 2, 2, [4, 6])
    )
    assert export(ledger, "mot", tmp_path / "plain").filled == 0
    assert export(ledger, "mot", tmp_path / "bridged", bridge=10).filled == 1
    assert [row[:2] for row in rows(tmp_path / "bridged" / "north.txt")] == [
        ["1", "1"], ["2", "1"], ["4", "2"], ["5", "2"], ["6", "2"],
    ]  # fmt: skip


def test_rows_come_in_any_order_and_the_longest_gap_counts():
    frames, numbers = np.array([9, 1, 5, 3]), np.array([4, 4, 7, 4])
    filled = fill_gaps(frames, numbers, 1)
    assert filled.frames.tolist() == [2] and (filled.before.tolist(), filled.after.tolist()) == ([1], [3])
    filled = fill_gaps(frames, numbers, 5)
    assert filled.frames.tolist() == [2, 4, 5, 6, 7, 8]
    assert np.allclose(filled.between(frames.astype(float)), filled.frames)
    assert not len(fill_gaps(frames[:0], numbers[:0], 5).frames)
