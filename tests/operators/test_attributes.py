"""Attributes of persons and vehicles, by the scores that exported networks give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from operators.attributes import PERSON, VEHICLE, AttributeReader, enlarge, read_facets
from operators.crop_quality import crop_quality
from operators.inference import ModelError
from operators.records import NO_VALUE

IMAGE = np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8)


class Network:
    """Gives the scores it was made with, and keeps what it was shown."""

    name, input_names = "network", ("x",)

    def __init__(self, scores: np.ndarray, shape: tuple[int, ...] = (-1, 3, 256, 192)) -> None:
        self.input_shapes = (shape,)
        self._scores, self.seen = scores, []  # type: ignore[var-annotated]

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        self.seen.append(inputs[0])
        return [np.repeat(self._scores[None], len(inputs[0]), axis=0)]


def scores(length: int, **held: float) -> np.ndarray:
    row = np.zeros(length, np.float32)
    for place, value in held.items():
        row[int(place[1:])] = value
    return row


def test_facets_cover_every_score_once() -> None:
    for facets, length in ((PERSON, 26), (VEHICLE, 19)):
        places = [place for facet in facets for place in range(facet.first, facet.first + len(facet.values))]
        assert places == list(range(length))


def test_a_person() -> None:
    row = scores(26, _1=0.4, _3=0.2, _11=0.4, _15=0.3, _17=0.7, _18=0.55, _20=0.1, _22=0.9, _24=0.2)
    assert read_facets(PERSON, row) == {
        "glasses": "glasses",
        "sleeves": "long",
        "lower": "trousers",
        "bag": "backpack",
        "age": "18 to 60",
        "gender": "female",
        "direction": "side",
    }


def test_a_vehicle_of_unknown_colour() -> None:
    assert read_facets(VEHICLE, scores(19, _3=0.4, _12=0.8)) == {"type": "van"}


def test_crops_are_enlarged_and_never_narrow() -> None:
    np.testing.assert_allclose(enlarge(np.float32([[100, 50, 120, 150]])), [[61.25, 35, 158.75, 165]])
    np.testing.assert_allclose(enlarge(np.float32([[0, 0, 100, 100]])), [[-15, -15, 115, 115]])


def test_what_the_network_sees_and_says() -> None:
    network = Network(scores(26, _0=0.9))
    reader = AttributeReader(network, max_batch=2)
    boxes = np.float32([[100, 50, 120, 150], [0, 0, 0, 0], [10, 10, 90, 110], [20, 20, 100, 110]])
    told = reader.describe(IMAGE, boxes)
    assert [person.get("hat") for person in told] == ["hat", None, "hat", "hat"]
    assert told[1] == {}
    assert [len(seen) for seen in network.seen] == [1, 2, 1]
    crop = cv2.resize(IMAGE[35:165, 61:159], (192, 256))[:, :, ::-1]
    mean, std = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])
    np.testing.assert_allclose(network.seen[1][0], ((crop - mean) / std).transpose(2, 0, 1), atol=1e-5)


def test_chances_add_up_and_agree_with_what_holds() -> None:
    random = np.random.default_rng(2)
    for facets, length in ((PERSON, 26), (VEHICLE, 19)):
        for row in random.uniform(0, 1, (50, length)).astype(np.float32):
            for facet in facets:
                chances = facet.chances(row)
                assert sum(chances.values()) == pytest.approx(1)
                likeliest = max(chances, key=lambda value: chances[value])
                assert likeliest == (facet.read(row) or NO_VALUE)


def test_votes_weigh_what_a_look_is_worth_and_leave_out_the_moment() -> None:
    reader = AttributeReader(Network(scores(26, _0=0.9, _23=1.0)))
    boxes = np.float32([[100, 20, 180, 180], [120, 40, 160, 190], [0, 0, 0, 0]])
    hidden, before, nothing = reader.votes(IMAGE, boxes, [0, 1, 2])
    qualities = crop_quality(IMAGE.shape, boxes)
    for votes, quality in ((hidden, qualities[0]), (before, qualities[1])):
        assert sum(votes["hat"].values()) == pytest.approx(quality)
        assert votes["hat"]["hat"] == pytest.approx(0.9 * quality)
        assert set(votes) == {facet.name for facet in PERSON} - {"direction", "holding"}
    assert nothing == {}
    assert reader.votes(IMAGE, boxes, [1]) == [before], "the others hide it, asked for or not"


def test_a_picture_of_one_pixel_is_described_like_any_other() -> None:
    reader = AttributeReader(Network(scores(26, _0=0.9)))
    (told,) = reader.describe(np.full((1, 1, 3), 90, np.uint8), np.float32([[0, 0, 1, 1]]))
    assert told["hat"] == "hat"


def test_other_networks_are_refused() -> None:
    with pytest.raises(ModelError, match=r"it gives 1x512 scores, not 26 .* or 19"):
        AttributeReader(Network(np.zeros(512, np.float32)))
