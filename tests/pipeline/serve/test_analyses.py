"""New analyses: a video in, results out, without code."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_site import record

from pipeline.config_file import load
from pipeline.serve.analyses import Analyses
from pipeline.serve.analysis_files import Analysis, AnalysisFolders
from pipeline.serve.drawing import Drawn
from pipeline.serve.problems import NotFoundError, UnfitError

# Stands in for crosscam: says what it was asked for, and leaves what it would have left.
STAND_IN = """
import os, signal, sys, pathlib
signal.signal(signal.SIGTERM, signal.default_int_handler)
print("asked for", *sys.argv[1:], flush=True)
name = sys.argv[1]
if name == "run":
    gate = os.environ.get("GATE")
    if gate:
        try:
            open(gate).read()
        except KeyboardInterrupt:
            sys.exit(130)
    if os.environ.get("FAIL"):
        sys.exit("camera 'camera': the sky has fallen")
    if not os.environ.get("EMPTY"):
        sys.path[:0] = os.environ["CROSSCAM_TESTS"].split(os.pathsep)
        from two_people import write
        from pipeline.ledger.sqlite import SqliteWriter
        write(SqliteWriter(pathlib.Path("ledger.sqlite"), "analysis"))
else:
    folder = pathlib.Path(sys.argv[sys.argv.index("--output") + 1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / {"render": "mosaic.mp4", "export": "camera.txt", "report": "index.html"}[name]).write_text(name)
"""


@pytest.fixture
def video(tmp_path: Path) -> bytes:
    record(tmp_path / "walk.mp4", "east")
    return (tmp_path / "walk.mp4").read_bytes()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture
def analyses(work: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Analyses]:
    tests = Path(__file__).parents[1]
    monkeypatch.setenv("CROSSCAM_TESTS", os.pathsep.join(map(str, (tests, tests.parents[1]))))
    analyses = Analyses(work, (sys.executable, "-c", STAND_IN))
    yield analyses
    analyses.close()


def wait_for(analyses: Analyses, name: str, *states: str) -> str:
    """Until it is in one of these states."""
    tick = threading.Event()
    for _ in range(600):
        if analyses.get(name).state in states:
            return analyses.get(name).state
        tick.wait(0.05)
    raise AssertionError(f"it stayed {analyses.get(name).state}: {analyses.log(name)}")


def test_a_video_is_run_drawn_and_exported(analyses: Analyses, video: bytes, work: Path) -> None:
    one = analyses.add("pedestrians", video=("../../Walk in the park.MP4", io.BytesIO(video)))
    assert (one.state, one.name, one.size, one.live) == ("ready", "Walk in the park.MP4", (640, 200), False)
    assert one.duration_s == pytest.approx(16)
    analyses.draw(one.id, Drawn(lines={"door": [[320, 0], [320, 199]]}))
    analyses.start(one.id)
    assert wait_for(analyses, one.id, "done", "failed") == "done"
    assert [path.name for path in analyses.results(one.id)] == ["camera.txt", "mosaic.mp4", "index.html", "report.zip"]
    assert "asked for run site.yaml" in analyses.log(one.id)
    site = (work / one.id / "site.yaml").read_text(encoding="utf-8")
    assert "door" in site and "source: input.mp4" in site
    assert {path.name for path in work.iterdir()} == {one.id}, "names that are sent name no files"


def test_the_first_picture_can_be_drawn_on(analyses: Analyses, video: bytes) -> None:
    one = analyses.add("flow", video=("a.mp4", io.BytesIO(video)))
    assert analyses.picture(one.id).shape == (200, 640, 3)
    assert one.drawn["lines"] == {"middle": "horizontal"}


def test_they_run_one_after_the_other_and_can_be_stopped(
    analyses: Analyses, video: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    monkeypatch.setenv("GATE", str(gate))
    first, second = (analyses.add("pedestrians", video=("a.mp4", io.BytesIO(video))) for _ in range(2))
    analyses.start(first.id)
    analyses.start(second.id)
    wait_for(analyses, first.id, "running")
    assert analyses.get(second.id).state == "waiting"
    with pytest.raises(UnfitError, match="stop it first"):
        analyses.remove(first.id)
    analyses.stop(second.id)
    assert analyses.get(second.id).state == "stopped"
    wait_for_words(lambda: analyses.log(first.id), "asked for run")
    analyses.stop(first.id)
    assert wait_for(analyses, first.id, "stopped", "failed") == "stopped"
    analyses.remove(first.id)
    with pytest.raises(NotFoundError):
        analyses.get(first.id)


def wait_for_words(say: Callable[[], str], words: str) -> None:
    tick = threading.Event()
    for _ in range(600):
        if words in say():
            return
        tick.wait(0.05)
    raise AssertionError(say())


def test_one_that_fails_says_why(analyses: Analyses, video: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL", "1")
    one = analyses.start(analyses.add("pedestrians", video=("a.mp4", io.BytesIO(video))).id)
    assert wait_for(analyses, one.id, "failed", "done") == "failed"
    assert analyses.get(one.id).detail == "camera 'camera': the sky has fallen"


def test_a_video_of_nobody_is_done_and_says_so(
    analyses: Analyses, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "1")
    one = analyses.start(analyses.add("vehicles", video=("a.mp4", io.BytesIO(video))).id)
    assert wait_for(analyses, one.id, "done", "failed") == "done"
    assert "Nothing of that kind was seen" in analyses.get(one.id).detail
    assert [path.name for path in analyses.results(one.id)] == ["camera.txt", "mosaic.mp4"]


def test_what_cannot_be_analysed_leaves_nothing_behind(analyses: Analyses, work: Path) -> None:
    for data in (b"", b"no video", b"\0" * 5000):
        with pytest.raises(UnfitError) as told:
            analyses.add("pedestrians", video=("a.mp4", io.BytesIO(data)))
        assert str(work) not in str(told.value)
    with pytest.raises(UnfitError, match="crosscam models pull fairmot_dla34_30e_1088x608_headtracking21"):
        analyses.add("heads", address="rtsp://127.0.0.1:1/x")
    assert list(work.iterdir()) == []


def test_heads_are_found_by_the_model_that_was_fetched_for_them(work: Path, tmp_path: Path) -> None:
    model = tmp_path / "models" / "fairmot_dla34_30e_1088x608_headtracking21"
    folders = AnalysisFolders(work, tmp_path / "models")
    one = Analysis("0123456789abcdef", "a.mp4", "heads")
    folders.of(one.id).mkdir(parents=True)
    with pytest.raises(UnfitError, match="does not come along"):
        folders.write_site(one, "a.mp4", Drawn())
    model.mkdir(parents=True)
    folders.write_site(one, "a.mp4", Drawn())
    assert load(folders.of(one.id) / "site.yaml").detector.model == str(model)


def test_a_password_is_kept_out_of_names_and_answers(analyses: Analyses, work: Path) -> None:
    one = analyses.add("pedestrians", address="rtsp://me:hunter2@127.0.0.1:1/x")
    assert one.live and "hunter2" not in one.name
    assert "hunter2" not in (work / one.id / "analysis.json").read_text(encoding="utf-8")
    assert (work / one.id / "site.yaml").stat().st_mode & 0o077 == 0, "the site's file, which needs it, is private"


def test_results_are_given_by_name_and_nothing_else_is(analyses: Analyses, video: bytes) -> None:
    one = analyses.start(analyses.add("pedestrians", video=("a.mp4", io.BytesIO(video))).id)
    wait_for(analyses, one.id, "done")
    assert analyses.result(one.id, "report/index.html").read_text() == "report"
    for name in ("../site.yaml", "/etc/passwd", "nothing.txt", "."):
        with pytest.raises(NotFoundError):
            analyses.result(one.id, name)


def test_what_was_under_way_when_the_service_ended_is_there_again_stopped(
    analyses: Analyses, video: bytes, work: Path
) -> None:
    one = analyses.add("pedestrians", video=("a.mp4", io.BytesIO(video)))
    file = work / one.id / "analysis.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "state": "running"}), encoding="utf-8")
    again = Analyses(work).get(one.id)
    assert again.state == "stopped" and "start it again" in again.detail and again.size == (640, 200)
