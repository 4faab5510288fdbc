"""What a log says of a run, and what its table shows."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from operators.records import pack
from pipeline.cli.progress import PlainProgress
from pipeline.cli.tables import print_summary
from pipeline.progress import Progress
from pipeline.summary import summarise
from pipeline.testing import MemoryLedger, MemoryReader


def test_a_log_gets_a_line_a_change_and_one_a_minute() -> None:
    out, times = StringIO(), [0.0]
    plain = PlainProgress(Console(file=out, soft_wrap=True), "plaza", clock=lambda: times[-1])
    state = Progress()
    with plain:
        plain.update(state)
        state.pids["fusion"] = 7
        state.waiting_for = "Kafka at k:9092 does not answer [1]"
        for _ in range(3):
            plain.update(state)
        state.waiting_for, state.restarts = None, 1
        plain.update(state)
        state.commits, state.counts = 55, {"a": {"decoded": 550}, "b": {"decoded": 50}}
        for seconds in (59.0, 61.0, 100.0, 122.0):
            times.append(seconds)
            plain.update(state)
    assert out.getvalue().splitlines() == [
        "plaza: starting Ray",
        "plaza: started",
        "plaza: Kafka at k:9092 does not answer [1]",
        "plaza: an actor died and was restarted (1 so far)",
        "plaza: the ledger is there again",
        "plaza: 55 commits, 600 frames",
        "plaza: 55 commits, 600 frames",
    ]


def test_the_table_shows_interruptions_rejected_rows_and_cameras_that_gave_nothing() -> None:
    ledger = MemoryLedger()
    counts = {"decoded": 9, "tracked": 8, "dropped.fps_cap": 1, "rows.rejected": 3, "interruptions": 2}
    ledger.state["camera/north"] = pack({"counts": counts, "late": 0})
    summary = summarise(MemoryReader(ledger), ["north", "south"])
    assert summary.cameras["north"].rows == {"rejected": 3}
    out = StringIO()
    print_summary(Console(file=out, width=100), "plaza", summary)
    rows = {line.split("│")[1].strip(): line for line in out.getvalue().splitlines() if line.startswith("│")}
    assert [cell.strip() for cell in rows["north"].split("│")[2:-1]] == [
        "9",
        "8",
        "1 (1 fps cap)",
        "0",
        "2",
        "3 (3 rejected)",
    ]
    assert [cell.strip() for cell in rows["south"].split("│")[2:-1]] == ["0", "0", "0", "0", "0", "0"]
