"""`crosscam apply`: a running site goes on with other cameras, lines and zones; those that stay do not notice."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from recorded_site import FPS, write_walkers

from pipeline.assembly import build_reader
from pipeline.changes import ChangeError, Changes, compare
from pipeline.config import Site
from pipeline.config_file import parse
from pipeline.launch import Supervisor
from pipeline.progress import Progress

CALM = {"lines": "{}", "zones": "{}"}


def site(folder: Path, cameras: dict[str, str], *, ledger: str = "ledger", more: str = "") -> Site:
    """Cameras by id with more of their fields."""
    lines = [
        f"  - {{id: {name}, source: 'detections:{name}.txt', fps: {FPS}{', ' * bool(rest)}{rest}}}\n"
        for name, rest in cameras.items()
    ]
    text = f"site: plaza\ncameras:\n{''.join(lines)}ledger: {{sqlite: {{path: {folder / ledger}.sqlite}}}}\n{more}"
    return parse(text, folder / "plaza.yaml")


class Applying:
    """Applies another description once a few commits are made."""

    def __init__(self, changed: Site) -> None:
        self._changed, self._began = changed, False
        self.supervisor: Supervisor | None = None
        self.answer: Future[dict[str, list[str]]] = Future()

    def __call__(self, progress: Progress) -> None:
        if progress.commits >= 3 and not self._began:
            self._began = True
            threading.Thread(target=self._apply, daemon=True).start()

    def _apply(self) -> None:
        assert self.supervisor is not None
        try:
            self.answer.set_result(self.supervisor.apply(self._changed))
        except Exception as error:
            self.answer.set_exception(error)


def written(site: Site, topic: str) -> list[dict[str, Any]]:
    reader = build_reader(site)
    try:
        return [json.loads(stored.raw) for stored in reader.read(topic)]
    finally:
        reader.close()


def seen_by(site: Site, camera: str) -> list[Any]:
    """What a camera saw: its tracks, under whatever identity, and its events."""
    tracks = [(v["track"], v["frames"], v["points"]) for v in written(site, "tracks") if v["camera"] == camera]
    return [tracks, [v for v in written(site, "events") if v["camera"] == camera]]


def test_cameras_come_go_and_change_and_the_others_write_the_same_bytes(tmp_path: Path, ray_in_place: None) -> None:
    for seed, name in enumerate(("east", "west", "north", "south")):
        write_walkers(tmp_path / f"{name}.txt", seed, 480)  # long enough for the change to come before the end
    door = "lines: {door: [[300, 0], [300, 500]]}"
    whole = site(tmp_path, {"east": door, "west": door, "north": ""}, ledger="whole")
    Supervisor(whole).run()

    before = site(tmp_path, {"east": door, "west": door, "north": ""})
    applying = Applying(site(tmp_path, {"east": "lines: {gate: [[250, 0], [250, 500]]}", "west": door, "south": ""}))
    applying.supervisor = Supervisor(before, applying)
    outcome = applying.supervisor.run()

    assert applying.answer.result(0) == {"added": ["south"], "removed": ["north"], "changed": ["east"]}
    assert not outcome.failures
    assert seen_by(before, "west") == seen_by(whole, "west"), "west was left alone"
    assert seen_by(before, "east")[0] == seen_by(whole, "east")[0], "east goes on from its last commit"
    (event,) = [value for value in written(before, "events") if value["type"] == "site_changed"]
    assert (event["added"], event["removed"], event["changed"]) == (["south"], ["north"], ["east"])
    crossed = [v for v in written(before, "events") if v["type"] == "crossing" and v["camera"] == "east"]
    assert {v["line"] for v in crossed if v["time"] > event["time"] + 1e6} == {"gate"}
    assert {v["line"] for v in crossed if v["time"] < event["time"] - 1e6} <= {"door"}
    assert max(v["end"] for v in written(before, "tracks") if v["camera"] == "north") <= event["time"] + 1e6
    south = [v for v in written(before, "tracks") if v["camera"] == "south"]
    assert south and min(v["start"] for v in south) >= event["time"], "what lay before is late"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("interval: 2s\n", "interval cannot be changed while site 'plaza' runs: it is the unit in which the ledger"),
        ("tracker: ocsort\n", r"tracker cannot be changed .* it concerns every camera: `crosscam stop`"),
    ],
)
def test_what_cannot_be_changed_live_is_refused(tmp_path: Path, more: str, said: str) -> None:
    old, new = site(tmp_path, {"a": ""}), site(tmp_path, {"a": ""}, more=more)
    with pytest.raises(ChangeError, match=said):
        compare(old, new, {"a": False})


def test_another_ledger_is_refused_and_another_recording_of_the_same_camera() -> None:
    one = parse("site: plaza\ncameras: [{id: a, source: a.mp4}]\n", Path("plaza.yaml"))
    elsewhere = parse(
        "site: plaza\ncameras: [{id: a, source: a.mp4}]\nledger: {sqlite: {path: b}}\n", Path("plaza.yaml")
    )
    with pytest.raises(ChangeError, match="ledger cannot be changed"):
        compare(one, elsewhere, {"a": False})
    other = parse("site: plaza\ncameras: [{id: a, source: b.mp4}]\n", Path("plaza.yaml"))
    with pytest.raises(ChangeError, match=r"its source cannot be changed, since it is a recording .* another id"):
        compare(one, other, {"a": False})
    assert compare(one, other, {"a": True}) == Changes(changed=("a",)), "a live camera's address may change"
    assert not compare(one, one, {"a": False})
