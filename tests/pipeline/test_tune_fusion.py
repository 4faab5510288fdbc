"""Finding fusion's parameters on a site of two people who pass two cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from two_people import SECOND, VISITS, batches

from mtmct.evaluation import evaluate
from mtmct.mot_text import Boxes
from mtmct.records import IDENTITIES, TRACKS
from mtmct.settings import AppearanceCalibration
from mtmct.topology import Topology
from pipeline.config_file import load, parse
from pipeline.config_fusion import Fusion
from pipeline.replay import ReplayError, fuse, steps
from pipeline.site_results import results_of
from pipeline.tune_fusion import (
    RANGES,
    Recorded,
    TuningError,
    fragment,
    fusion_engine,
    people_of,
    read_recording,
    score,
    tune,
)

NEVER = {"link_odds": 19.0, "second_look_odds": 19.0}  # nobody is ever recognised
PEOPLE = {(camera, track): person for camera, track, person, _, _ in VISITS}


def truth() -> dict[str, Boxes]:
    made = [batch for _, each in batches() for batch in each]
    found: dict[str, Boxes] = {}
    for camera in ("east", "west"):
        tracklets = [t for batch in made if batch.camera == camera for t in batch.tracklets]
        xyxy = np.concatenate([t.boxes for t in tracklets]).astype(float)
        xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)
        ids = np.concatenate([np.full(len(t), PEOPLE[camera, t.track]) for t in tracklets])
        frames = np.concatenate([t.frames for t in tracklets]).astype(float)
        found[camera] = Boxes(frames, ids, xywh, np.ones(len(ids)), np.ones(len(ids), np.int64))
    return found


def recorded(**fusion: float) -> Recorded:
    made = [batch for _, each in batches() for batch in each]
    boxes = truth()
    people = {key: value for camera in boxes for key, value in people_of(camera, boxes[camera], made).items()}
    count = sum(len(each) for each in boxes.values())
    calibration = AppearanceCalibration()
    return Recorded("plaza", Fusion(**fusion), Topology([]), calibration, steps(made, SECOND), people, count)


@pytest.mark.parametrize("parameters", [{}, NEVER])
def test_the_score_is_trackevals_idf1(parameters: dict[str, float]) -> None:
    one = recorded()
    found = score(one, parameters)
    said = fuse(fusion_engine(one, parameters), one.steps)
    topics = ([record.value for record in said if record.topic == topic] for topic in (TRACKS, IDENTITIES))
    results, _ = results_of(*topics)
    expected = evaluate(truth(), {camera: each.boxes for camera, each in results.items()}).across.idf1
    assert found.corrected == pytest.approx(expected)
    assert (found.corrected == 100) == (not parameters), "who is never linked is two people"


def test_a_bad_setting_is_tuned_away_and_the_result_can_be_written_into_a_site() -> None:
    tuned = tune([recorded(**NEVER), recorded(**NEVER)], only=["link_odds"], evaluations=16)
    assert tuned.before.corrected < 70 and tuned.after.corrected == 100
    assert tuned.held_out is not None and tuned.held_out.corrected == 100
    assert not tuned.interrupted
    site = "site: plaza\ncameras:\n  - {id: north, source: north.mp4}\n"
    fusion = parse(site + fragment(tuned, ["plaza.yaml"]), Path("site.yaml")).fusion
    assert fusion.link_odds == tuned.parameters["link_odds"]


def test_the_same_seed_finds_the_same() -> None:
    first, second = (tune([recorded()], only=["link_odds", "returns"], evaluations=10, seed=3) for _ in range(2))
    assert first == second
    assert first.held_out is None, "with one recording nothing can be held out"


def test_an_interrupt_keeps_the_best_so_far() -> None:
    def impatient(tried: int, best: float) -> None:
        if tried == 4:
            raise KeyboardInterrupt

    both = [recorded(**NEVER), recorded(**NEVER)]
    tuned = tune(both, only=["link_odds"], evaluations=100, progress=impatient)
    assert tuned.interrupted and tuned.held_out is None
    assert tuned.after.mean >= tuned.before.mean


def test_what_cannot_be_tuned_is_refused_by_name() -> None:
    with pytest.raises(TuningError, match="fusion cannot be tuned in link_ods: choose among max_wait, link_odds"):
        tune([recorded()], only=["link_ods"])
    assert set(RANGES) <= set(Fusion.model_fields)


def test_a_site_of_detections_is_read_through_its_cameras(tmp_path: Path) -> None:
    rows = [f"{frame},1,{100 + frame},50,40,110,0.9" for frame in range(1, 41)]
    for camera in ("east", "west"):
        (tmp_path / f"{camera}.txt").write_text("\n".join(rows) + "\n")
    file = tmp_path / "plaza.yaml"
    cameras = [f"  - {{id: {name}, source: 'detections:{name}.txt', fps: 10}}\n" for name in ("east", "west")]
    file.write_text("site: plaza\ncameras:\n" + "".join(cameras))
    xywh = np.array([[100.0 + frame, 50, 40, 110] for frame in range(1, 41)])
    ones = np.ones(40, np.int64)
    boxes = Boxes(np.arange(1.0, 41), ones, xywh, np.ones(40), ones)
    read = read_recording(load(file), {"east": boxes})
    assert [watermark // SECOND for watermark, _ in read.steps[:-1]] == [1, 2, 3, 4]
    assert {camera for camera, _ in read.people} == {"east"} and read.boxes == 40
    assert score(read, {}).corrected == 100, "a camera without ground truth does not count"
    with pytest.raises(TuningError, match="no ground truth of any camera of site 'plaza'"):
        read_recording(load(file), {"north": boxes})


def test_a_live_site_is_no_recording(tmp_path: Path) -> None:
    file = tmp_path / "plaza.yaml"
    file.write_text("site: plaza\ncameras:\n  - {id: north, source: 'rtsp://10.0.0.1/main'}\n")
    one = np.ones(1, np.int64)
    boxes = Boxes(np.ones(1), one, np.ones((1, 4)), np.ones(1), one)
    with pytest.raises(ReplayError, match="camera 'north' of site 'plaza' is live"):
        read_recording(load(file), {"north": boxes})
