"""A simulated site: geometry that agrees with itself, people who come and go, looks as telling as was asked for."""

from __future__ import annotations

import gc
import sys
from itertools import pairwise

import numpy as np
import pytest
from tiny_videos import frames_of

from mtmct.topology import CameraGeometry, Topology
from pipeline.sources.base import DEFAULT_CLASSES, SourceError
from pipeline.sources.factory import open_source
from pipeline.sources.simulation.looks import noise_for, rank1_of
from pipeline.sources.simulation.pinhole import Pinhole, hidden_by_blocks
from pipeline.sources.simulation.plan import PLACES, plan_of
from pipeline.sources.simulation.settings import Settings, read_settings
from pipeline.sources.simulation.sight import LEAST_VISIBLE, look
from pipeline.sources.simulation.site import SimulatedSite, site_of
from pipeline.sources.simulation.visits import BLOCK_S, STEPS, Visits

FRAMES = np.arange(50) / 10


def seen_everywhere(site: SimulatedSite, stretches: int = 12) -> list:
    """(camera, truth) of every camera in so many stretches of five seconds."""
    cameras = range(1, site.settings.cameras + 1)
    return [(number, site.truth(number, 5.0 * n + FRAMES)) for n in range(stretches) for number in cameras]


@pytest.mark.parametrize("place", PLACES)
def test_the_homography_leads_from_the_foot_of_a_box_to_where_its_person_stands(place: str) -> None:
    site = site_of(Settings(place=place, cameras=8, people=30, seed=2))
    off = []
    for number, truth in seen_everywhere(site):
        camera, sight = site.camera(number), truth.sight
        whole = (sight.boxes[:, 3] < camera.height) & (sight.boxes[:, 0] > 0) & (sight.boxes[:, 2] < camera.width)
        topology = Topology([CameraGeometry("c", camera.homography, (camera.width, camera.height))])
        feet = topology.feet("c", sight.boxes[whole].astype(np.float32)).points
        off.append(np.linalg.norm(feet - sight.ground[whole], axis=1))
    distances = np.concatenate(off)
    assert len(distances) > 300
    # The lower edge of a box is the nearest corner of a body, not its middle: a step, or half a bus.
    assert np.median(distances) < (4.0 if place == "streets" else 0.25)
    assert distances.max() < (12.0 if place == "streets" else 0.4)


def test_a_point_on_the_ground_and_back() -> None:
    camera = Pinhole(plan_of("hall", 8).mounts[3], 1280, 720)
    ground = np.array([[10.0, 10.0, 0.0], [16.0, 8.0, 0.0], [20.0, 12.0, 0.0]])
    pixels, depths = camera.project(ground)
    back = np.column_stack([pixels, np.ones(3)]) @ camera.homography.T
    assert np.allclose(back[:, :2] / back[:, 2:], ground[:, :2])
    assert (depths > 0).all()
    assert np.allclose(camera.axes @ camera.axes.T, np.eye(3))
    behind = camera.place + np.array([-1.0, 1.0, 0.0])  # it looks south-east from the north-western corner
    assert np.isnan(camera.project(behind)[1])


def test_walls_hide_and_shops_cannot_be_looked_into() -> None:
    blocks = np.array([[2.0, -1.0, 3.0, 1.0]])
    points = np.array([[5.0, 0.0], [1.0, 0.0], [2.5, 0.0], [5.0, 5.0], [-5.0, 0.0]])
    assert hidden_by_blocks(np.zeros(3), points, blocks).tolist() == [True, False, True, False, False]
    site = site_of(Settings(place="mall", cameras=8, people=40, seed=3))
    ground = np.concatenate([truth.sight.ground for _, truth in seen_everywhere(site)])
    for x1, y1, x2, y2 in site.plan.blocks:
        assert not ((ground > (x1, y1)) & (ground < (x2, y2))).all(axis=1).any()


def test_the_nearer_one_hides_the_farther_one() -> None:
    plan = plan_of("hall", 8)
    camera = Pinhole(plan.mounts[6], 1280, 720)  # in the middle of the western wall, looks east
    feet = np.array([[18.0, 15.0], [19.0, 15.02], [19.0, 11.0]])  # the second right behind the first
    sizes = np.tile([0.2, 0.2, 1.7, 0.5], (3, 1))
    sight = look(camera, plan, np.arange(3), feet[:, None], np.zeros((3, 1)), sizes)
    visible = dict(zip(sight.places.tolist(), sight.visible.tolist(), strict=True))
    assert visible[0] == visible[2] == 1.0
    assert 1 not in visible or visible[1] < 0.6
    feet[1, 1] = 15.25
    sight = look(camera, plan, np.arange(3), feet[:, None], np.zeros((3, 1)), sizes)
    half = sight[sight.places == 1]
    assert LEAST_VISIBLE <= half.visible[0] < 1
    assert half.behind[0] == 0


@pytest.mark.parametrize("place", PLACES)
def test_people_come_walk_at_their_pace_leave_and_come_back(place: str) -> None:
    plan = plan_of(place, 16)
    visits = Visits(plan, 12, 0.5, 0, seed=1)
    blocks = range(round(4 * plan.habits.cycle_s / BLOCK_S))
    way = np.concatenate([np.concatenate([visits.block(d, n) for n in blocks], axis=1) for d in (0, 1)])
    there = ~np.isnan(way[:, :, 0])
    assert 0.4 < there.mean() < 0.95
    for person in there:
        assert np.count_nonzero(person[1:] & ~person[:-1]) >= 3
    speed = np.linalg.norm(np.diff(way[:, :, :2], axis=1), axis=2) * STEPS / BLOCK_S
    moving = speed[~np.isnan(speed)]
    assert moving.max() < 2 * plan.habits.speeds[1]
    assert 0.05 < (moving < 0.05).mean() < 0.9


def test_after_some_visits_somebody_else_comes_and_no_number_comes_again() -> None:
    visits = Visits(plan_of("hall", 1), 4, 0.0, 2, seed=0)
    seconds = np.arange(0, 3600, 60.0)
    people = np.stack([visits.who(np.arange(4), np.full(4, t)) for t in seconds])
    assert 4 * 8 < len(np.unique(people)) <= 4 * 12
    for holder in people.T:
        assert all(later >= before for before, later in pairwise(holder.tolist()))
    assert len({frozenset(holder.tolist()) for holder in people.T}) == 4


def test_any_moment_can_be_had_without_those_before_it() -> None:
    settings = Settings(place="mall", cameras=24, people=60, embedding=16, seed=5, false=1.0, skew=100, renewal=2)
    whole = SimulatedSite(settings)
    once = [whole.detect(20, 5.0 * n + FRAMES, n) for n in range(8)]
    again = SimulatedSite(settings).detect(20, 35.0 + FRAMES, 7)
    for name in ("frames", "people", "boxes", "scores", "embeddings"):
        assert np.array_equal(getattr(once[7], name), getattr(again, name))
    assert len(again.frames)


@pytest.mark.parametrize("rank1", [0.5, 0.9])
def test_looks_are_as_telling_as_was_asked_for(rank1: float) -> None:
    site = site_of(Settings(cameras=6, people=60, together=0, embedding=64, rank1=rank1, seed=6, missed=0, jitter=0))
    found: dict[tuple[int, int], np.ndarray] = {}
    for number in range(1, 7):
        for n in range(24):
            seen = site.detect(number, 5.0 * n + np.arange(2) / 0.4, n)
            for person, look_ in zip(seen.people.tolist(), seen.embeddings, strict=True):
                found.setdefault((number, person), look_)
    cameras, people = np.array(list(found)).T
    vectors = np.stack(list(found.values()))
    cosines = np.where(cameras[:, None] == cameras, -2, vectors @ vectors.T)
    assert len(found) > 300
    assert abs((people[cosines.argmax(axis=1)] == people).mean() - rank1) < 0.06


def test_noise_follows_from_rank1_and_is_the_same_everywhere() -> None:
    noise = noise_for(0.7, 20, 8, 128)
    assert noise == round(noise, 3)
    assert abs(rank1_of(noise, 20, 6, 128, seed=50) - 0.7) < 0.05
    assert noise_for(0.9, 20, 8, 128) < noise < noise_for(0.5, 20, 8, 128)


def test_the_calibration_is_right_for_looks_it_was_not_fitted_to() -> None:
    site = site_of(Settings(cameras=2, people=200, together=0, embedding=64, rank1=0.7, seed=8))
    slope, offset = site.calibration
    looks = []
    for number in (1, 2):
        kept: dict[int, list] = {}
        for n in range(24):
            seen = site.detect(number, 5.0 * n + np.arange(5), n)
            for person, vector in zip(seen.people.tolist(), seen.embeddings, strict=True):
                kept.setdefault(person, []).append(vector)
        looks.append({person: np.mean(vectors, axis=0) for person, vectors in kept.items()})
    both = sorted(set(looks[0]) & set(looks[1]))
    one, other = (np.stack([each[person] for person in both]) for each in looks)
    unit = [vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (one, other)]
    said = slope * (unit[0] @ unit[1].T) + offset
    same = np.eye(len(both), dtype=bool)
    # By Bayes' rule, with equal priors, whoever says 1 nat is right in 73 of 100 cases.
    likely = (said > 0.5) & (said < 1.5)
    rate = (likely & same).sum() / same.sum(), (likely & ~same).sum() / (~same).sum()
    assert 0.5 < np.log(rate[0] / rate[1]) < 1.6


def test_clocks_differ_and_cameras_drop_out() -> None:
    settings = Settings(cameras=8, people=8, skew=200, outages=30, seed=4)
    site = site_of(settings)
    skews = [site.skew_ns(number) for number in range(1, 9)]
    assert len(set(skews)) > 6 and 50e6 < np.std(skews) < 500e6
    late = site_of(Settings(cameras=8, people=8, seed=4)).truth(1, 100 + FRAMES - skews[0] / 1e9).sight
    assert np.array_equal(site.truth(1, 100 + FRAMES).sight.ground, late.ground)
    seconds = np.arange(0, 3600.0)
    gone = [site.away(number, seconds) for number in range(1, 9)]
    assert 4 < np.mean([np.count_nonzero(g[1:] & ~g[:-1]) for g in gone]) < 16
    text = "simulated:people=2,seconds=700,outages=12,seed=4"
    frames = frames_of(open_source("cam", text, fps=2))
    gaps = [later.index - before.index for before, later in pairwise(frames)]
    assert max(gaps) >= 20
    assert all(gap == 1 or gap >= 20 for gap in gaps)


def test_given_tracks_break_but_never_stand_twice_in_a_frame() -> None:
    text = "simulated:cameras=8,people=20,seconds=120,tracks=1,seed=1,breaks={}"
    tracks = []
    for breaks in (0, 1):
        frames = frames_of(open_source("cam", text.format(breaks)))
        for frame in frames:
            assert len(set(frame.given.ids.tolist())) == len(frame.given.ids)
        tracks.append(len(np.unique(np.concatenate([frame.given.ids for frame in frames]))))
    assert tracks[1] > 1.2 * tracks[0]


def test_misses_grow_with_occlusion_and_boxes_are_near_the_truth() -> None:
    site = site_of(Settings(cameras=8, people=40, missed=0.1, jitter=0.02, seed=2))
    whole = hit = 0
    for n in range(20):
        truth = site.truth(1, 5.0 * n + FRAMES)
        seen = site.detect_in(truth, 1, 5.0 * n + FRAMES, n)
        in_the_open = truth.sight.visible > 0.9
        whole += in_the_open.sum()
        keys = set(zip(seen.frames.tolist(), seen.people.tolist(), strict=True))
        rows = zip(truth.sight.frames[in_the_open].tolist(), truth.people[in_the_open].tolist(), strict=True)
        hit += sum(row in keys for row in rows)
        order = {key: row for row, key in enumerate(zip(truth.sight.frames, truth.people, strict=True))}
        real = truth.sight.boxes[[order[key] for key in zip(seen.frames, seen.people, strict=True)]]
        height = real[:, 3] - real[:, 1]
        assert np.abs(seen.boxes[:, 3] - real[:, 3]).max() < (0.2 * height).max()
    assert 0.06 < 1 - hit / whole < 0.14


def test_its_text_says_what_it_is() -> None:
    settings = Settings(place="mall", cameras=8, people=20, embedding=32, rank1=0.7, camera=3, tracks=True)
    assert settings.text() == "simulated:place=mall,cameras=8,people=20,embedding=32,rank1=0.7,camera=3,tracks=1"
    assert read_settings("c", settings.text()) == settings


def test_classes_are_those_that_are_wanted() -> None:
    assert open_source("c", "simulated:people=1", classes=("person",)).classes == ("person",)
    assert open_source("c", "simulated:people=1").classes == DEFAULT_CLASSES
    text = "simulated:place=streets,cameras=8,people=60,seconds=60"
    kinds = np.concatenate([frame.given.classes for frame in frames_of(open_source("c", text))])
    assert set(kinds.tolist()) >= {DEFAULT_CLASSES.index("car"), DEFAULT_CLASSES.index("truck")}
    cars = np.concatenate([frame.given.classes for frame in frames_of(open_source("c", text, classes=("car",)))])
    assert set(cars.tolist()) == {0} and len(cars) < len(kinds)
    with pytest.raises(SourceError, match="in place=hall there is nothing but person"):
        open_source("c", "simulated:people=1", classes=("car",)).open(None)


def test_people_are_drawn() -> None:
    first = frames_of(open_source("cam", "simulated:people=10,seconds=1,picture=1", crop=(0, 100, 1280, 720)))[0]
    assert first.image.shape == (620, 1280, 3)
    assert len(np.unique(first.image.reshape(-1, 3), axis=0)) > 8
    assert open_source("cam", "simulated:picture=1").brings == "frames"


def test_a_thousand_cameras_cost_no_more_each_than_eight() -> None:
    small, large = plan_of("mall", 8), plan_of("mall", 1000)
    assert len(large.mounts) == 1000 and len(large.around) == 125
    assert max(len(large.seen_from(mount)) for mount in large.mounts) <= 25
    assert len(small.seen_from(small.mounts[0])) == 1
    site = SimulatedSite(Settings(place="mall", cameras=1000, people=2500, seed=1))
    seen = [len(site.truth(number, FRAMES).sight) / 50 for number in range(1, 1001, 97)]
    assert 0.5 < np.mean(seen) < 5


def test_hours_of_visitors_take_no_more_memory_than_those_who_are_there() -> None:
    site = SimulatedSite(Settings(place="mall", cameras=4, people=12, renewal=1, embedding=16))

    def after(hour: int) -> int:
        for minute in range(60 * (hour - 1), 60 * hour):
            for number in range(1, 5):
                site.detect(number, 60.0 * minute + FRAMES, minute)
        gc.collect()
        return sys.getallocatedblocks()

    blocks = [after(hour) for hour in range(1, 5)]
    assert blocks[3] - blocks[1] < 1000, "who has gone is forgotten"
