"""The command line as its user types it: sentences instead of tracebacks, and what each command promises."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from operators.records import unpack
from pipeline.ledger.base import LedgerError
from pipeline.ledger.sqlite import SqliteReader

ROOT = Path(__file__).resolve().parents[3]


def crosscam(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from pipeline.cli import main; main()", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
    )


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The sentence that a failed command printed; never a traceback."""
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    return result.stderr.strip()


def write_walkers(path: Path, seconds: int = 10, id_column: str = "-1") -> None:
    random = np.random.default_rng(3)
    rows = []
    for frame in range(1, 10 * seconds + 1):
        for person in range(2):
            x, y = 50 + 3 * frame + random.normal(0, 0.5), 100 + 150 * person
            name = id_column if id_column == "-1" else str(person + 1)
            rows.append(f"{frame},{name},{x:.1f},{y},40,100,0.9")
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `crosscam run` has finished a site of two detections files."""
    folder = tmp_path_factory.mktemp("site")
    for camera in ("east", "west"):
        write_walkers(folder / f"{camera}.txt")
    (folder / "plaza.yaml").write_text(
        "site: plaza\n"
        "cameras:\n"
        "  - {id: east, source: 'detections:east.txt', fps: 10}\n"
        "  - {id: west, source: 'detections:west.txt', fps: 10}\n"
    )
    result = crosscam("run", "plaza.yaml", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "east" in result.stdout and "identities" in result.stdout
    return folder


def test_help_names_every_command(tmp_path: Path) -> None:
    result = crosscam("--help", cwd=tmp_path)
    assert result.returncode == 0
    assert all(word in result.stdout for word in ("demo", "run", "tail", "export", "track", "eval"))


def test_tail_shows_the_last_run_as_lines_and_as_json(finished: Path) -> None:
    lines = crosscam("tail", "tracks", "--from-beginning", "--no-follow", cwd=finished).stdout.splitlines()
    assert lines and all(" plaza-00000" in line and " person in " in line for line in lines)
    as_json = crosscam("tail", "tracks", "--from-beginning", "--no-follow", "--json", cwd=finished).stdout.splitlines()
    assert len(as_json) == len(lines)
    assert json.loads(as_json[0])["schema"] == "crosscam.tracks/1"


def test_tail_starts_at_the_end_unless_told_otherwise(finished: Path) -> None:
    assert crosscam("tail", "tracks", "--no-follow", cwd=finished).stdout == ""


def test_export_writes_mot_text_that_eval_scores_as_perfect_against_its_own_truth(finished: Path) -> None:
    result = crosscam("export", "run/plaza", "--format", "mot", "--output", "out", cwd=finished)
    assert result.returncode == 0, result.stderr
    (finished / "gt").mkdir(exist_ok=True)
    for camera in ("east", "west"):
        write_walkers(finished / "gt" / f"{camera}.txt", id_column="given")
    scores = json.loads(crosscam("eval", "out", "--gt", "gt", "--json", cwd=finished).stdout)
    assert set(scores["cameras"]) == {"east", "west"}
    assert scores["combined"]["mota"] > 95 and scores["combined"]["idf1"] > 95


def test_run_again_says_that_the_ledger_is_complete(finished: Path) -> None:
    result = crosscam("run", "plaza.yaml", cwd=finished)
    assert result.returncode == 0
    assert "complete already" in result.stdout


def test_a_driver_that_is_killed_is_run_again_and_goes_on(finished: Path, tmp_path: Path) -> None:
    seconds = 150
    for camera in ("east", "west"):
        write_walkers(tmp_path / f"{camera}.txt", seconds)
    (tmp_path / "plaza.yaml").write_text((finished / "plaza.yaml").read_text())
    for name, kill in (("whole", False), ("killed", True)):
        command = [sys.executable, "-c", "from pipeline.cli import main; main()", "run", "plaza.yaml"]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if kill:
            while commits(tmp_path / "run" / "plaza" / "ledger.sqlite") < 5:
                assert process.poll() is None, "it ended before it could be killed"
                time.sleep(0.02)
            process.kill()
            process.wait()
            result = crosscam("run", "plaza.yaml", cwd=tmp_path)
            assert result.returncode == 0, result.stderr
        assert process.wait(120) == (-signal.SIGKILL if kill else 0)
        (tmp_path / "run" / "plaza").rename(tmp_path / name)
    whole, killed = (
        list(SqliteReader(tmp_path / name / "ledger.sqlite").read("tracks")) for name in ("whole", "killed")
    )
    assert [record.raw for record in whole] == [record.raw for record in killed]


def commits(ledger: Path) -> int:
    """Commit intervals in a ledger that is being written."""
    try:
        return int(unpack(SqliteReader(ledger).state()["site"])["interval"])
    except (LedgerError, KeyError):
        return 0


def test_track_runs_one_file_through_a_tracker(tmp_path: Path) -> None:
    write_walkers(tmp_path / "det.txt")
    result = crosscam(
        *("track", "--tracker", "bytetrack", "--detections", "det.txt", "--fps", "10", "--output", "out.txt"),
        cwd=tmp_path,
    )
    assert "2 tracks in 100 frames" in result.stdout
    assert len((tmp_path / "out.txt").read_text().splitlines()) > 190


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("run", "no.yaml"), "no.yaml: there is no such file"),
        (("run", "typo.yaml"), "typo.yaml, line 2: camras: unknown field; did you mean 'cameras'?"),
        (("run", "missing-video.yaml"), "camera 'a': "),
        (("run", "not-a-video.yaml"), "this is no video that can be read"),
        (("run", "empty.yaml"), "the file is empty"),
        (("run", "no-model.yaml"), "there is no model at"),
        (("run", "empty-model.yaml"), "holds no model"),
        (("run", "tracker.yaml"), "bytetrak"),
        (("tail", "tracks"), "nothing has been run in this folder yet"),
        (("export", "nowhere"), "nowhere: there is no ledger here"),
        (("export", "kafka://user:secret@k:9092/plaza"), "without credentials"),
        (("eval", "nowhere", "--gt", "nowhere"), "nowhere"),
        (("track", "--detections", "no.txt", "--fps", "10", "--output", "o.txt"), "no.txt cannot be read"),
    ],
)
def test_a_mistake_gets_one_clear_sentence(words: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("this is text\n" * 99)
    (tmp_path / "nothing.mp4").touch()
    sites = {
        "typo": "camras: []",
        "missing-video": "cameras: [{id: a, source: no.mp4}]",
        "not-a-video": "cameras: [{id: a, source: text.mp4}]",
        "empty": "cameras: [{id: a, source: nothing.mp4}]",
        "no-model": "cameras: [{id: a, source: 'simulated:people=1,seconds=1'}]\ndetector: {model: no/model}",
        "empty-model": "cameras: [{id: a, source: 'simulated:people=1,seconds=1'}]\ndetector: {model: .}",
        "tracker": "cameras: [{id: a, source: 'simulated:people=1,seconds=1'}]\ntracker: {name: bytetrak}",
    }
    for name, text in sites.items():
        (tmp_path / f"{name}.yaml").write_text(f"site: plaza\n{text}\n")
    said = refused(crosscam(*words, cwd=tmp_path))
    assert sentence in said
    assert "secret" not in said
