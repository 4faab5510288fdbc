"""A site on a cluster without its driver: it answers, changes, comes back from kill -9 as it was changed, and stops."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from command_line import crosscam, refused

from operators.records import CrosscamError
from pipeline.address import Place
from pipeline.cluster import NAMESPACE, LaunchError
from pipeline.config import Site
from pipeline.config_file import load
from pipeline.detached import apply, ask, detach, wait_until_stopped
from pipeline.running import NotRunningError

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(
        address="local", num_cpus=4, namespace=NAMESPACE, include_dashboard=False, log_to_driver=False,
        object_store_memory=200_000_000,
    )  # fmt: skip
    yield
    ray.shutdown()


def site(folder: Path, cameras: int, address: str = "auto") -> Site:
    listed = "".join(
        f"  - {{id: c{n}, source: 'simulated:people=2,cameras=2,seconds=0,paced=1,tracks=1,camera={n}', fps: 5}}\n"
        for n in range(1, cameras + 1)
    )
    file = folder / "plaza.yaml"
    file.write_text(
        f"site: plaza\nray_address: '{address}'\ncameras:\n{listed}interval: 200ms\nidle_timeout: 2s\n"
        f"ledger: {{sqlite: {{path: {folder / 'ledger.sqlite'}}}}}\n"
    )
    return load(file)


def until(said: Callable[[dict[str, Any]], bool], place: Place, seconds: float = 90.0) -> dict[str, Any]:
    """The status once it is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            status: dict[str, Any] = ask(place, "status")
            if said(status):
                return status
        except CrosscamError:
            pass  # it has no run just now, or one that was killed while it answered
        time.sleep(0.1)
    raise AssertionError("it has not come to that")


def test_it_lives_on_through_a_change_and_a_kill_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    one = site(tmp_path, 1)
    place = Place.of(one)
    ended = detach(one, tmp_path / "plaza.yaml")
    running = until(lambda status: status.get("commits", 0) > 2, place)
    assert ended() is None and list(running["cameras"]) == ["c1"]
    with pytest.raises(LaunchError, match="site 'plaza' runs already"):
        detach(one, tmp_path / "plaza.yaml")

    assert apply(site(tmp_path, 2)) == {"added": ["c2"], "removed": [], "changed": []}
    os.kill(running["pid"], signal.SIGKILL)  # its supervisor, and with that all of its actors
    again = until(lambda status: status["pid"] != running["pid"] and status.get("commits", 0) > 2, place)
    assert list(again["cameras"]) == ["c1", "c2"], "as it was changed, and not as it was made"
    assert again["watermark"] > running["watermark"]

    ask(place, "stop")
    assert wait_until_stopped(place, again["pid"], 60, time.sleep)
    with pytest.raises(NotRunningError):
        ask(place, "status")


def test_the_command_that_started_it_may_end_and_others_find_it(tmp_path: Path) -> None:
    address = ray.get_runtime_context().gcs_address
    place = Place.of(site(tmp_path, 1, address))
    started = crosscam("run", "plaza.yaml", "--detach", cwd=tmp_path)
    assert started.returncode == 0 and "plaza: runs" in started.stdout, started.stderr
    begun = until(lambda status: status.get("commits", 0) > 2, place)
    until(lambda status: status["commits"] > begun["commits"], place)
    assert "site 'plaza' runs already" in refused(crosscam("run", "plaza.yaml", cwd=tmp_path))
    stopped = crosscam("stop", "plaza.yaml", cwd=tmp_path)
    assert stopped.returncode == 0 and "plaza: stopped" in stopped.stdout, stopped.stderr
    assert crosscam("status", "plaza.yaml", cwd=tmp_path).returncode == 3


def test_one_that_cannot_run_stays_to_say_why_and_is_replaced_by_the_next(tmp_path: Path) -> None:
    wrong = site(tmp_path, 1)
    (tmp_path / "ledger.sqlite").write_bytes(b"this is no database at all, but somebody's notes" * 20)
    place = Place.of(wrong)
    ended = detach(wrong, tmp_path / "plaza.yaml")
    failed = until(lambda status: status["state"] == "failed", place)
    assert "ledger.sqlite" in failed["because"] and ended() == failed["because"]
    ask(place, "stop")
    assert wait_until_stopped(place, None, 60, time.sleep)
