"""The command line as its user types it: sentences instead of tracebacks, and what each command promises."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import COMMAND, called, crosscam, refused
from recorded_site import contents, sqlite, undisturbed

from mtmct.fusion import FusionEngine
from mtmct.records import CameraBatch
from mtmct.topology import Topology
from mtmct.tracklets import Tracklet
from operators.embed import StripeEmbedder
from operators.records import unpack
from pipeline.config_file import load
from pipeline.ledger.base import LedgerError
from pipeline.ledger.sqlite import SqliteReader, SqliteWriter
from pipeline.schema.codec import open_codec

ROOT = Path(__file__).resolve().parents[3]


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
    lines = called("tail", "tracks", "--from-beginning", "--no-follow", cwd=finished).stdout.splitlines()
    assert lines and all(" plaza-00000" in line and " person in " in line for line in lines)
    as_json = called("tail", "tracks", "--from-beginning", "--no-follow", "--json", cwd=finished).stdout.splitlines()
    assert len(as_json) == len(lines)
    assert json.loads(as_json[0])["schema"] == "crosscam.tracks/1"


def test_tail_starts_at_the_end_unless_told_otherwise(finished: Path) -> None:
    assert called("tail", "tracks", "--no-follow", cwd=finished).stdout == ""


def test_export_writes_mot_text_that_eval_scores_as_perfect_against_its_own_truth(finished: Path) -> None:
    result = called("export", "run/plaza", "--format", "mot", "--output", "out", cwd=finished)
    assert result.returncode == 0, result.stderr
    (finished / "gt").mkdir(exist_ok=True)
    for camera in ("east", "west"):
        write_walkers(finished / "gt" / f"{camera}.txt", id_column="given")
    scores = json.loads(called("eval", "out", "--gt", "gt", "--json", cwd=finished).stdout)
    assert set(scores["cameras"]) == {"east", "west"}
    assert scores["combined"]["mota"] > 95 and scores["combined"]["idf1"] > 95


def test_eval_sites_scores_a_ledger_and_an_export_of_it(finished: Path) -> None:
    (finished / "gt").mkdir(exist_ok=True)
    for camera in ("east", "west"):
        write_walkers(finished / "gt" / f"{camera}.txt", id_column="given")
    called("export", "run/plaza", "--output", "boxes", cwd=finished)
    result = called("eval", "sites", "run/plaza", "boxes", "--gt", "gt", "--json", cwd=finished)
    ledger, export = json.loads(result.stdout).values()
    assert ledger["corrected"] == export["corrected"] and ledger["people"] == 2
    assert ledger["seconds_median"] is not None and export["seconds_median"] is None
    table = called("eval", "sites", "run/plaza", "--gt", "gt", cwd=finished).stdout
    assert "IDF1 as published" in table and "seconds to the right identity, median" in table


def test_run_again_says_when_it_starts_and_that_the_ledger_is_complete(finished: Path) -> None:
    result = crosscam("run", "plaza.yaml", cwd=finished)
    assert result.returncode == 0
    assert result.stdout.splitlines()[:2] == ["plaza: starting Ray", "plaza: started"]
    assert "complete already" in result.stdout


def test_a_driver_that_is_killed_is_run_again_and_goes_on(finished: Path, tmp_path: Path) -> None:
    seconds = 150
    for camera in ("east", "west"):
        write_walkers(tmp_path / f"{camera}.txt", seconds)
    ledger = tmp_path / "ledger.sqlite"
    (tmp_path / "plaza.yaml").write_text((finished / "plaza.yaml").read_text() + f"ledger: {sqlite(ledger)}\n")
    site = load(tmp_path / "plaza.yaml")
    process = subprocess.Popen(
        [*COMMAND, "run", "plaza.yaml"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while commits(ledger) < 5:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    process.kill()
    process.wait()
    result = crosscam("run", "plaza.yaml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    killed = contents(site)
    for file in tmp_path.glob("ledger.sqlite*"):
        file.unlink()
    assert killed == undisturbed(site)


def test_a_run_that_is_stopped_says_so_and_can_be_run_again(tmp_path: Path) -> None:
    source = "simulated:people=2,seconds=0,paced=1"
    (tmp_path / "site.yaml").write_text(f"site: endless\ncameras: [{{id: a, source: '{source}', fps: 10}}]\n")
    ledger = tmp_path / "run" / "endless" / "ledger.sqlite"
    reached = 1
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        command = [*COMMAND, "run", "site.yaml"]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while commits(ledger) <= reached:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal_number)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert "Stopped. What was committed stays" in output
        assert "Traceback" not in errors
        reached = commits(ledger)


def test_explain_search_and_erase_speak_of_a_finished_run(finished: Path, tmp_path: Path) -> None:
    for file in finished.glob("run/plaza/ledger.sqlite*"):
        shutil.copy(file, tmp_path)
    explained = called("explain", "plaza-000001", "--ledger", str(tmp_path), cwd=finished)
    assert "plaza-000001  person, closed" in explained.stdout and "somebody new" in explained.stdout
    assert json.loads(called("explain", "plaza-000001", "--json", cwd=finished).stdout)["visits"]
    nobody = refused(called("explain", "plaza-000999", cwd=finished))
    assert nobody.startswith("there is no plaza-000999 in this ledger")
    assert "the site has no embeddings" in refused(called("search", "--identity", "plaza-000001", cwd=finished))
    assert "give one of --identity and --picture" in called("search", cwd=finished).stderr
    erased = called("erase", "plaza-000001", "--yes", "--ledger", str(tmp_path), cwd=finished)
    assert "plaza-000001 is erased in its ledger" in erased.stdout and "What stays" in erased.stdout
    assert "retracted" in called("explain", "plaza-000001", "--ledger", str(tmp_path), cwd=finished).stdout


def test_a_running_site_finds_and_erases_while_it_runs(tmp_path: Path) -> None:
    source = "simulated:people=2,seconds=0,paced=1"
    (tmp_path / "site.yaml").write_text(f"site: endless\ncameras: [{{id: a, source: '{source}', fps: 10}}]\n")
    ledger = tmp_path / "run" / "endless" / "ledger.sqlite"
    command = [*COMMAND, "run", "site.yaml"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        while commits(ledger) < 3:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        erased = crosscam("erase", "endless-000001", "--yes", "--ledger", "site.yaml", cwd=tmp_path)
        assert erased.returncode == 0, erased.stderr
        assert "endless-000001 is erased by the running site" in erased.stdout
        reached = commits(ledger)
        while commits(ledger) < reached + 2:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        events = [(r.value["event"], r.value["number"]) for r in SqliteReader(ledger).read("identities")]
        assert ("retracted", 1) in events
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert not ledger.with_name("ledger.sqlite.running").exists()


def commits(ledger: Path) -> int:
    """Commit intervals in a ledger that is being written."""
    try:
        return int(unpack(SqliteReader(ledger).state()["site"])["interval"])
    except (LedgerError, KeyError):
        return 0


def test_tail_into_head_ends_without_a_word(finished: Path) -> None:
    command = [*COMMAND, "tail", "tracks", "--from-beginning"]
    process = subprocess.Popen(command, cwd=finished, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()  # before the first line
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


def test_a_ledger_whose_name_cannot_be_kept_is_made_all_the_same(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    text = (finished / "plaza.yaml").read_text().replace("detections:", f"detections:{finished}/")
    (tmp_path / "plaza.yaml").write_text(text + "ledger: {sqlite: {path: plaza.sqlite}}\n")
    result = crosscam("run", "plaza.yaml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "cannot be kept here" in result.stdout
    assert commits(tmp_path / "plaza.sqlite") > 5


def test_track_runs_one_file_through_a_tracker(tmp_path: Path) -> None:
    write_walkers(tmp_path / "det.txt")
    result = called(
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
        (("run", "class.yaml"), "detector.classes: the model does not know 'persn'; it knows bicycle, bus, car"),
        (("demo", "--output", "text.mp4/demo"), "this folder cannot be made"),
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
        "class": "cameras: [{id: a, source: 'simulated:people=1,picture=1'}]\ndetector: {classes: [persn]}",
        "tracker": "cameras: [{id: a, source: 'simulated:people=1,seconds=1'}]\ntracker: {name: bytetrak}",
    }
    for name, text in sites.items():
        (tmp_path / f"{name}.yaml").write_text(f"site: plaza\n{text}\n")
    said = refused(called(*words, cwd=tmp_path))
    assert sentence in said
    assert "secret" not in said


def test_a_picture_finds_who_looks_like_it(tmp_path: Path) -> None:
    picture = tmp_path / "somebody.png"
    cv2.imwrite(str(picture), np.random.default_rng(1).integers(0, 255, (120, 50, 3), np.uint8))
    image = cv2.imread(str(picture))
    vectors, _ = StripeEmbedder().embed(image, np.array([[0, 0, 50, 120]], np.float32))
    frames = np.arange(1, 11)
    times = (frames - 1) * 100_000_000
    boxes = np.tile(np.array([[100, 50, 140, 160]], np.float32), (10, 1))
    tracklets = tuple(
        Tracklet("north", track, "person", frames, times, boxes + 200 * np.float32(track), np.ones(10, np.float32),
                 look[None], np.ones(1, np.float32))
        for track, look in ((1, np.roll(vectors[0], 40)), (2, vectors[0]))
    )  # fmt: skip
    batch = CameraBatch("north", 1, 0, 0, 1_000_000_000, tracklets)
    commit = FusionEngine("plaza", Topology([])).advance([batch], 1_000_000_000)
    writer = SqliteWriter(tmp_path / "ledger.sqlite", "plaza")
    writer.open()
    writer.commit([open_codec().encode(record) for record in commit.records], commit.state)
    writer.close()
    call = ("search", "--picture", "somebody.png", "--ledger", ".")
    found = json.loads(called(*call, "--json", cwd=tmp_path).stdout)
    assert [one["identity"] for one in found] == ["plaza-000002", "plaza-000001"]
    assert found[0]["cosine"] > 0.999 and found[0]["open"]
    assert "plaza-000002" in called(*call, cwd=tmp_path).stdout
    nothing = refused(called("search", "--picture", "no.png", "--ledger", ".", cwd=tmp_path))
    assert "no.png: there is no picture here" in nothing
