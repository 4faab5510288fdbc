"""Scores against ground truth."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from mtmct.evaluation import EvaluationError, Scores, box_ious, evaluate, settling
from mtmct.mot_text import Boxes, find_ground_truth, find_results

MOT = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "mot"

trackeval = pytest.importorskip("trackeval", reason="scores need trackeval: pip install --no-deps trackeval==1.3.0")


def boxes(*rows: tuple[float, int, float], confidence: float = 1, cls: int = 1) -> Boxes:
    """Rows of frame, id and left edge; every box is 10 x 10."""
    table = np.array(rows, np.float64).reshape(-1, 3)
    ten = np.full(len(table), 10.0)
    return Boxes(
        frames=table[:, 0],
        ids=table[:, 1].astype(np.int64),
        xywh=np.column_stack([table[:, 2], 0 * ten, ten, ten]),
        confidences=np.full(len(table), float(confidence)),
        classes=np.full(len(table), cls, np.int64),
    )


def both(a: Boxes, b: Boxes) -> Boxes:
    return Boxes(
        *(np.concatenate([getattr(a, f), getattr(b, f)]) for f in ("frames", "ids", "xywh", "confidences", "classes"))
    )


def walk(id_: int, frames: range, x: float = 0) -> Boxes:
    return boxes(*((frame, id_, x + frame) for frame in frames))


def test_results_equal_to_the_truth_score_full_marks():
    scores = evaluate({"north": walk(1, range(1, 9))}, {"north": walk(7, range(1, 9))}).combined
    assert scores == Scores(100, 100, 100, 100, 100, 100, 100, idsw=0, fp=0, fn=0, frag=0, gt=8)


def test_a_changed_identity_is_a_switch_and_halves_the_identity_score():
    found = both(walk(7, range(1, 5)), walk(8, range(5, 9)))
    scores = evaluate({"north": walk(1, range(1, 9))}, {"north": found}).cameras["north"]
    assert (scores.idsw, scores.mota, scores.idf1) == (1, 87.5, 50)


def test_the_same_id_must_hold_in_every_camera_to_score_across_them():
    truth = {"north": walk(1, range(1, 9)), "south": walk(1, range(11, 19))}
    scores = evaluate(truth, {"north": walk(7, range(1, 9)), "south": walk(8, range(11, 19))})
    assert [scores.cameras[camera].idf1 for camera in ("north", "south")] == [100, 100]
    assert (scores.combined.idf1, scores.combined.idsw) == (100, 0)
    assert (scores.across.idf1, scores.across.idsw) == (50, 1)
    scores = evaluate(truth, {"north": walk(7, range(1, 9)), "south": walk(7, range(11, 19))})
    assert (scores.across.idf1, scores.across.idsw) == (100, 0)


def test_cameras_may_have_the_same_frame_numbers():
    truth = {"north": walk(1, range(1, 9)), "south": walk(1, range(1, 9))}
    assert evaluate(truth, truth).across.idf1 == 100


def test_frames_may_be_fractions():
    truth = boxes((0.5, 1, 0), (1.25, 1, 0))
    assert evaluate({"north": truth}, {"north": boxes((0.5, 3, 0), (1.0, 3, 0))}).combined.fp == 0 + 1


def test_truth_of_confidence_0_does_not_count():
    truth = both(walk(1, range(1, 5)), boxes((1, 2, 100), confidence=0))
    scores = evaluate({"north": truth}, {"north": both(walk(1, range(1, 5)), boxes((1, 2, 100)))}).combined
    assert (scores.gt, scores.fp) == (4, 1)


def test_boxes_on_distractors_are_neither_right_nor_wrong_by_the_benchmarks_rules():
    truth = both(walk(1, range(1, 5)), boxes((1, 2, 100), (2, 2, 100), cls=8))
    found = {"north": both(walk(1, range(1, 5)), boxes((1, 2, 100)))}
    assert evaluate({"north": truth}, found, preset="mot17").combined.fp == 0
    assert evaluate({"north": truth}, found, preset="mot17").combined.gt == 4
    assert evaluate({"north": truth}, found).combined.fn == 1


def test_results_after_the_end_of_the_sequence_do_not_count():
    truth, found = walk(1, range(1, 5)), walk(1, range(1, 9))
    assert evaluate({"north": truth}, {"north": found}).combined.fp == 0
    assert evaluate({"north": replace(truth, last_frame=6)}, {"north": found}).combined.fp == 2


@pytest.mark.parametrize("found", [boxes(), boxes((1, 1, 500))], ids=["nothing", "nothing right"])
def test_missing_everything_scores_nothing(found: Boxes):
    scores = evaluate({"north": walk(1, range(1, 5))}, {"north": found}).combined
    assert (scores.hota, scores.idf1, scores.fn) == (0, 0, 4)


def test_a_camera_where_nobody_walks_counts_only_what_was_imagined():
    truth = {"north": walk(1, range(1, 5)), "south": replace(boxes(), last_frame=4)}
    scores = evaluate(truth, {"north": walk(1, range(1, 5)), "south": boxes((1, 2, 0))})
    assert (scores.combined.fp, scores.across.fp, scores.across.gt) == (1, 1, 4)


def test_overlap_is_intersection_over_union():
    a = np.array([[0, 0, 10, 10], [0, 0, 0, 0]], float)
    b = np.array([[0, 0, 10, 10], [5, 0, 10, 10], [20, 0, 10, 10]], float)
    assert box_ious(a, b).tolist() == [[1, 50 / 150, 0], [0, 0, 0]]


def test_what_cannot_be_scored_is_named():
    walking = walk(1, range(1, 5))
    with pytest.raises(EvaluationError, match="no ground truth"):
        evaluate({}, {})
    with pytest.raises(EvaluationError, match="camera 'south' but no results"):
        evaluate({"south": walking}, {"north": walking})
    with pytest.raises(EvaluationError, match="results of camera 'north': id 1 stands twice in frame 2"):
        evaluate({"north": walking}, {"north": both(walking, boxes((2, 1, 90)))})


def test_a_missing_trackeval_is_said_with_the_command_that_helps():
    code = (
        "import sys; sys.modules['trackeval'] = None\n"
        "import numpy as np\n"
        "from mtmct.evaluation import EvaluationError, evaluate\n"
        "from mtmct.mot_text import Boxes\n"
        "none = np.zeros(0); boxes = Boxes(none, none.astype(int), np.zeros((0, 4)), none, none.astype(int))\n"
        "try: evaluate({'a': boxes}, {'a': boxes})\n"
        "except EvaluationError as error: print(error)\n"
    )
    root = Path(__file__).resolve().parents[2]
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True).stdout
    assert "pip install --no-deps trackeval==1.3.0" in said
    assert len(said.splitlines()) == 1


def test_nothing_is_printed_and_numpy_has_nothing_to_warn_of(capfd: pytest.CaptureFixture[str]):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate({"north": walk(1, range(1, 9))}, {"north": walk(7, range(1, 9))})
    assert capfd.readouterr() == ("", "")


def imperfect(truth: dict[str, Boxes], folder: Path) -> dict[str, Boxes]:
    """The truth with boxes moved, left out and renamed, written and read again."""
    random = np.random.default_rng(5)
    folder.mkdir()
    for camera, boxes in truth.items():
        kept = boxes[random.random(len(boxes)) < 0.8]
        moved = kept.xywh + random.normal(0, 3, (len(kept), 4))
        ids = kept.ids + 1000 * (kept.frames // 50 % 2).astype(int)
        with (folder / f"{camera}.txt").open("w") as file:
            for frame, id_, (x, y, w, h) in zip(kept.frames, ids, moved, strict=True):
                file.write(f"{frame:.0f},{id_},{x:.2f},{y:.2f},{w:.2f},{h:.2f},0.9,-1,-1,-1\n")
    return find_results(folder, truth)


@pytest.mark.parametrize(
    ("benchmark", "sequence", "preset"),
    [("MOT17-val", "MOT17-09-FRCNN", "mot17"), ("MOT15", "TUD-Stadtmitte", None), ("MOT15", "PETS09-S2L1", None)],
)
def test_scores_equal_those_of_trackevals_own_reading_of_the_files(
    tmp_path: Path, benchmark: str, sequence: str, preset: str | None
):
    folder = MOT / benchmark
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/mot")
    truth = {sequence: find_ground_truth(folder)[sequence]}
    ours = evaluate(truth, imperfect(truth, tmp_path / "data"), preset=preset).cameras[sequence]  # type: ignore[arg-type]
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(folder),
            "TRACKERS_FOLDER": str(tmp_path.parent),
            "TRACKERS_TO_EVAL": [tmp_path.name],
            "OUTPUT_FOLDER": str(tmp_path),
            "BENCHMARK": benchmark[:5],
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": {sequence: int(truth[sequence].last_frame or 0)},
            "PRINT_CONFIG": False,
        }
    )
    data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data(tmp_path.name, sequence), "pedestrian")
    quiet = {"PRINT_CONFIG": False}
    hota = trackeval.metrics.HOTA().eval_sequence(data)
    clear = trackeval.metrics.CLEAR(quiet).eval_sequence(data)
    identity = trackeval.metrics.Identity(quiet).eval_sequence(data)
    expected = {name.lower(): 100 * np.mean(hota[name]) for name in ("HOTA", "DetA", "AssA")}
    expected |= {name.lower(): 100 * identity[name] for name in ("IDF1", "IDP", "IDR")}
    expected |= {"mota": 100 * clear["MOTA"], "idsw": clear["IDSW"], "frag": clear["Frag"]}
    expected |= {"fp": clear["CLR_FP"], "fn": clear["CLR_FN"], "gt": clear["CLR_TP"] + clear["CLR_FN"]}
    assert asdict(ours) == expected


def test_settling_tells_how_soon_the_published_identity_was_right():
    truth = {"north": both(walk(1, range(1, 11)), walk(2, range(1, 11), 100)), "south": walk(1, range(21, 31))}
    corrected = {"north": both(walk(5, range(1, 11)), walk(6, range(1, 11), 100)), "south": walk(5, range(21, 31))}
    south = both(walk(9, range(21, 25)), walk(5, range(25, 31)))
    settled = settling(truth, corrected | {"south": south}, corrected)
    assert (settled.visits, settled.at_once, settled.never, settled.median_frames) == (3, 2, 0, 0)
    assert settled.corrected == pytest.approx(100 * 4 / 30)
    settled = settling(truth, corrected | {"south": walk(9, range(21, 31))}, corrected)
    assert (settled.visits, settled.at_once, settled.never) == (3, 2, 1)


def test_settling_of_nothing_published_has_no_median():
    nothing = settling({"north": walk(1, range(1, 5))}, {"north": boxes()}, {"north": boxes()})
    assert (nothing.visits, nothing.never, nothing.median_frames, nothing.corrected) == (0, 0, None, 0)
