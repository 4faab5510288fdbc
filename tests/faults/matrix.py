"""Kills every part of a running site, on a real cluster and a real Kafka, and compares what is written with a run that
nothing has happened to.

    python tests/faults/matrix.py [--seeds 1,2,3] [--only worker,broker] [--ledger sqlite]      prints JSON

Three raylets on this machine (`ray.cluster_utils`), and the Kafka of deploy/kafka. The site reads detections, so that
the same bytes are to come out: of live cameras no two runs see the same frames (tests/faults/test_live_cameras.py).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench import Bench, Fault, Recovery, Result  # isort: skip - finds the helpers of the next two
from driver import Run
from faulty_link import END_TXN, FaultyLink
from faulty_link import Fault as Cut
from waiting import PATIENCE_S, FaultError

_BACK = "the next commit after the fault"


def comes_back(run: Run, began: float, goes_on: Callable[[], bool], *, ended: float | None = None) -> Recovery:
    """Wait for the next commit, then for the run's end.

    Args:
        run: the run that goes on.
        began: when the fault was there.
        goes_on: whether the next commit is made.
        ended: when the fault was ended, where that had to be done.
    """
    run.until(goes_on, _BACK)
    now = time.monotonic()
    run.ends(0)
    since = began if ended is None else ended
    return Recovery(round(since - began, 2), round(now - since, 2))


def kill_actor(name: str) -> Fault:
    def fault(bench: Bench, file: Path, line: Any) -> Recovery:
        run = bench.started(file)
        goes_on = run.goes_on(name)
        began = time.monotonic()
        os.kill(run.pids[name], signal.SIGKILL)
        return comes_back(run, began, goes_on)

    return fault


def end_driver(how: signal.Signals, status: int) -> Fault:
    def fault(bench: Bench, file: Path, line: Any) -> Recovery:
        run = bench.started(file)
        run.signal(how)
        run.ends(status)
        began = time.monotonic()
        again = bench.run(file)
        return comes_back(again, began, lambda: again.commits > 0)

    return fault


def lose_node(victim: str) -> Fault:
    """A raylet dies with all that it has started, the victim among it; another takes its place in the cluster."""

    def fault(bench: Bench, file: Path, line: Any) -> Recovery:
        run = bench.started(file)
        head = bench.cluster.head_node
        while (node := bench.node_of(run.pids[victim])) in (head, None):
            # The head is Ray's own memory, and the driver hangs on it: have the victim moved to another first.
            goes_on = run.goes_on(victim)
            os.kill(run.pids[victim], signal.SIGKILL)
            run.until(goes_on, f"{victim} is moved away from the head")
        before = {name: bench.node_of(pid) for name, pid in run.pids.items()}
        dead = [name for name, at in before.items() if at is node]
        goes_on = run.goes_on(*dead)
        began = time.monotonic()
        bench.cluster.remove_node(node, allow_graceful=False)
        try:
            run.until(goes_on, _BACK)
            recovery_s = round(time.monotonic() - began, 2)
            moved = tuple(name for name in dead if bench.node_of(run.pids[name]) not in (node, None))
            if moved != tuple(dead):
                raise FaultError(f"{victim}'s node was lost with {dead}, and only {moved} are on another")
            run.ends(0)
        finally:
            bench.add_node()
        return Recovery(0.0, recovery_s, moved)

    return fault


def come_back_from_the_dead(bench: Bench, file: Path, line: Any) -> Recovery:
    """A fusion actor that says nothing any more is thought dead, another takes its site over; then it wakes up.

    The other is in a namespace of its own, as if somebody started the site where nobody knows that it runs.
    """
    run = bench.started(file)
    frozen = run.pids["fusion"]
    began = time.monotonic()
    os.kill(frozen, signal.SIGSTOP)
    try:
        again = bench.run(file, "elsewhere")
        while again.commits == 0:
            again.until(lambda: again.commits > 0 or again.waits is not None, "a second fusion takes over")
            if again.waits is not None:
                # Stopped in the middle of a commit it holds the file, as a machine without power would not.
                os.kill(frozen, signal.SIGCONT)
                time.sleep(0.01)
                os.kill(frozen, signal.SIGSTOP)
                again.until(lambda: again.waits is None or again.commits > 0, "a second fusion takes over")
        recovery_s = round(time.monotonic() - began, 2)
    finally:
        os.kill(frozen, signal.SIGCONT)
    run.ends(1)
    if "another writer has taken over" not in (run.said or ""):
        raise FaultError(f"a fusion that comes back from the dead has to say so: {run.state()}")
    again.ends(0)
    return Recovery(0.0, recovery_s)


def kill_broker(bench: Bench, file: Path, line: Any) -> Recovery:
    run = bench.started(file)
    began = time.monotonic()
    bench.kafka.kill()
    try:
        run.until(lambda: run.waits is not None, "the ledger is waited for")
        goes_on = run.goes_on()
        ended = time.monotonic()
    finally:
        bench.kafka.start()
    return comes_back(run, began, goes_on, ended=ended)


def freeze_broker(bench: Bench, file: Path, line: Any) -> Recovery:
    run = bench.started(file)
    began = time.monotonic()
    with bench.kafka.frozen():
        run.until(lambda: run.waits is not None, "the ledger is waited for")
        goes_on = run.goes_on()
    return comes_back(run, began, goes_on, ended=time.monotonic())


def cut_commit(what: Cut) -> Fault:
    """The marker of a commit is under way when the fusion actor dies: lost, or written but not confirmed."""

    def fault(bench: Bench, file: Path, line: FaultyLink) -> Recovery:
        run = bench.started(file)
        line.fail_next(END_TXN, what, stay_down=True)
        until = time.monotonic() + PATIENCE_S
        while not line.hits and time.monotonic() < until:
            time.sleep(0.005)
        if not line.hits:
            raise FaultError(f"no commit was cut; {run.state()}")
        goes_on = run.goes_on("fusion")
        began = time.monotonic()
        os.kill(run.pids["fusion"], signal.SIGKILL)
        line.mend()
        return comes_back(run, began, goes_on)

    return fault


def fill_disk(bench: Bench, file: Path, line: Any) -> Recovery:
    """No file of who writes the ledger may grow, until there is room again. Kafka has to be started anew for that."""
    run = bench.started(file)
    broker = "kafka:" in file.read_text()
    writer = bench.kafka.pid if broker else run.pids["fusion"]
    soft, hard = resource.prlimit(writer, resource.RLIMIT_FSIZE)
    began = time.monotonic()
    resource.prlimit(writer, resource.RLIMIT_FSIZE, (4096, hard))
    run.until(lambda: run.waits is not None, "the ledger is waited for")
    goes_on = run.goes_on()
    ended = time.monotonic()
    resource.prlimit(writer, resource.RLIMIT_FSIZE, (soft, hard))
    if broker:
        bench.kafka.restart()
    return comes_back(run, began, goes_on, ended=ended)


FAULTS: dict[str, Fault] = {
    "worker": kill_actor("worker-0"),
    "fusion": kill_actor("fusion"),
    "fusion-returns": come_back_from_the_dead,
    "driver": end_driver(signal.SIGKILL, -signal.SIGKILL),
    "sigterm": end_driver(signal.SIGTERM, 130),
    "ctrl-c": end_driver(signal.SIGINT, 130),
    "raylet": lose_node("worker-0"),
    "fusion-node": lose_node("fusion"),
    "disk": fill_disk,
    "broker": kill_broker,
    "broker-frozen": freeze_broker,
    "commit-before-marker": cut_commit(Cut.LOST),
    "commit-after-marker": cut_commit(Cut.UNANSWERED),
}
KAFKA_ONLY = {"broker", "broker-frozen", "commit-before-marker", "commit-after-marker"}
CELLS = [
    (kind, ledger) for kind in FAULTS for ledger in ("sqlite", "kafka") if ledger == "kafka" or kind not in KAFKA_ONLY
]


def summary(results: list[Result], broken: list[str]) -> dict[str, Any]:
    """All cells as JSON types; of recovery the seconds from the fault to the next commit."""
    recovery: dict[str, list[float]] = {}
    for result in results:
        took = round(result.recovery.down_s + result.recovery.recovery_s, 2)
        recovery.setdefault(f"{result.kind}/{result.ledger}", []).append(took)
    return {
        "cells": [asdict(result) for result in results],
        "broken": broken,
        "lost": sum(result.lost for result in results),
        "duplicated": sum(result.duplicated for result in results),
        "same_bytes": all(result.same_bytes for result in results) and not broken,
        "recovery_s": recovery,
    }


def main() -> int:
    """Run the matrix; 1 where a record is lost or there twice, or a run does not come back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2,3", help="separated by commas")
    parser.add_argument("--only", help="kinds, separated by commas")
    parser.add_argument("--ledger", choices=("sqlite", "kafka"))
    given = parser.parse_args()
    kinds = given.only.split(",") if given.only else list(FAULTS)
    cells = [(kind, ledger) for kind, ledger in CELLS if kind in kinds and given.ledger in (None, ledger)]
    results: list[Result] = []
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        with_kafka = any(ledger == "kafka" for _, ledger in cells)
        with contextlib.closing(Bench(Path(folder), with_kafka=with_kafka)) as bench:
            for kind, ledger in cells:
                for seed in map(int, given.seeds.split(",")):
                    try:
                        results.append(bench.cell(kind, ledger, seed, FAULTS[kind]))
                        print(results[-1], file=sys.stderr, flush=True)
                    except FaultError as error:
                        broken.append(f"{kind}/{ledger}/{seed}: {error}")
                        print(broken[-1], file=sys.stderr, flush=True)
    told = summary(results, broken)
    print(json.dumps(told))
    return 0 if told["same_bytes"] else 1


if __name__ == "__main__":
    sys.exit(main())
