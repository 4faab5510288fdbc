"""The commands that draw a finished run: what they take, what they write, what they refuse."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from two_people import write
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.ledger.sqlite import SqliteWriter


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of two detections files and its ledger, as if it had been run."""
    folder = tmp_path_factory.mktemp("site")
    write(SqliteWriter(folder / "ledger.sqlite", "plaza"))
    cameras = ""
    for camera in ("east", "west"):
        rows = "".join(f"{frame},-1,300,50,40,110,0.9\n" for frame in range(1, 141))
        (folder / f"{camera}.txt").write_text(rows)
        cameras += f"  - id: {camera}\n    source: 'detections:{camera}.txt'\n    fps: 10\n"
        cameras += "    lines: {hall: [[9, 9], [900, 9]]}\n"
    (folder / "plaza.yaml").write_text(f"site: plaza\nledger: {{sqlite: {{path: ledger.sqlite}}}}\ncameras:\n{cameras}")
    return folder


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def told(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.output + str(result.exception or "")


def test_render_draws_one_camera_in_the_size_asked_for() -> None:
    code, output = told(
        *("render", "plaza.yaml", "--camera", "west", "--size", "320x200", "--blur", "head", "--output", "one")
    )
    assert code == 0, output
    video = cv2.VideoCapture("one/mosaic.mp4")
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 140
    assert 0 < video.get(cv2.CAP_PROP_FRAME_WIDTH) <= 320 and 0 < video.get(cv2.CAP_PROP_FRAME_HEIGHT) <= 200


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("render", "plaza.yaml", "--camera", "south"), "'south' is no camera of plaza; it has east, west"),
        (("render", "plaza.yaml", "--size", "large"), "write one such as 1920x1080"),
        (("render", "plaza.yaml", "--blur", "feet"), "'face', 'head'"),
        (("snapshot", "plaza.yaml", "west/1"), "there is no incident 'west/1' in this ledger, nor any other"),
        (("heat", "plaza.yaml", "--half-life", "soon"), "'soon' is no duration"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(words: tuple[str, ...], sentence: str) -> None:
    code, output = told(*words)
    assert code != 0
    # The box that Typer draws around a sentence breaks it into lines.
    plain = " ".join(output.replace("│", " ").split())
    assert " ".join(sentence.split()) in plain


def test_snapshot_says_that_there_are_no_incidents() -> None:
    code, output = told("snapshot", "plaza.yaml")
    assert (code, "there are no incidents in this ledger" in output) == (0, True)
