"""Whether a site runs, as the service finds out beside its other work."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from pipeline.address import Place
from pipeline.config import Site
from pipeline.config_file import parse
from pipeline.running import Door
from pipeline.serve import shots
from pipeline.serve.shots import Shots
from pipeline.serve.view import SiteView


@pytest.fixture
def site(tmp_path: Path) -> Site:
    text = "site: plaza\ncameras: [{id: north, source: 'rtsp://127.0.0.1:9/a'}]\n"
    return parse(f"{text}ledger: {{sqlite: {{path: {tmp_path}/ledger.sqlite}}}}\n", tmp_path / "plaza.yaml")


def test_a_run_that_is_stuck_holds_up_who_asks_for_a_moment_and_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shots, "_ANSWER_S", 0.2)
    answers = threading.Event()

    def status() -> dict[str, object]:
        answers.wait(30)
        return {}

    door = Door(site, {"status": status})
    try:
        asked = Shots(site, Place.of(site), SiteView())
        began = time.monotonic()
        assert not asked.running() and not asked.running() and not asked.running()
        assert time.monotonic() - began < 5
        answers.set()
        asked._answered.wait(30)
        assert asked.running()
    finally:
        answers.set()
        door.close()


def test_a_change_asks_anew_and_does_not_go_by_what_was_so_a_while_ago(site: Site) -> None:
    now = [0.0]
    asked = Shots(site, Place.of(site), SiteView(), clock=lambda: now[0])
    assert not asked.running()
    door = Door(site, {"status": dict})
    try:
        assert not asked.running(), "as of a moment ago"
        assert asked.reached() and asked.running()
    finally:
        door.close()
    now[0] += 3600
    assert not asked.running(), "what was so an hour ago is not good enough"
