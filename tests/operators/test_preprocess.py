"""Where a picture lies in its input, and what stands around it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from operators.preprocess import Preprocessing, Resizing


def prepared(preprocessing: Preprocessing, image: np.ndarray) -> np.ndarray:
    placement = preprocessing.placement(*image.shape[:2])
    target = np.full((3, *placement.shape), 1e9, np.float32)
    preprocessing.fill(target, image, placement)
    return target


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (60, 90, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("resizing", "picture_size", "shape", "size", "offset"),
    [
        pytest.param(Resizing(416, 416), (576, 768), (416, 416), (416, 416), (0, 0), id="stretched"),
        pytest.param(Resizing(416, 416, True, pad_to=32), (576, 768), (320, 416), (312, 416), (0, 0), id="long side"),
        pytest.param(Resizing(416, 416, True, pad_to=32), (576, 448), (416, 352), (416, 324), (0, 0), id="upright"),
        pytest.param(Resizing(800, 1333, True), (480, 640), (800, 1067), (800, 1067), (0, 0), id="short side"),
        pytest.param(Resizing(800, 1333, True), (640, 480), (1067, 800), (1067, 800), (0, 0), id="short side, upright"),
        pytest.param(
            Resizing(416, 416, True, fill=True, centred=True),
            (99, 200),
            (416, 416),
            (206, 416),
            (105, 0),
            id="letterbox",
        ),
        pytest.param(Resizing(416, 416, True, fill=True), (100, 200), (416, 416), (208, 416), (0, 0), id="top left"),
    ],
)
def test_placement(
    resizing: Resizing,
    picture_size: tuple[int, int],
    shape: tuple[int, int],
    size: tuple[int, int],
    offset: tuple[int, int],
) -> None:
    placement = Preprocessing(resizing).placement(*picture_size)
    assert (placement.shape, placement.size, placement.offset) == (shape, size, offset)


def test_boxes_find_their_way_back() -> None:
    placement = Preprocessing(Resizing(608, 1088, True, fill=True, centred=True)).placement(480, 640)
    top, left = placement.offset
    corners = np.float32([[left, top, left + placement.size[1], top + placement.size[0]]])
    assert placement.to_picture(corners).tolist() == [[0, 0, 640, 480]]


def test_channels_are_turned_and_normalised(picture: np.ndarray) -> None:
    mean, std = (123.0, 116.0, 103.0), (58.0, 57.0, 56.0)
    found = prepared(Preprocessing(Resizing(60, 90), mean, std), picture)
    expected = (picture[:, :, ::-1].astype(np.float64) - mean) / std
    np.testing.assert_allclose(found, expected.transpose(2, 0, 1), atol=1e-5)
    plain = prepared(Preprocessing(Resizing(60, 90), bgr=True), picture)
    np.testing.assert_array_equal(plain, picture.transpose(2, 0, 1).astype(np.float32))


def test_resizing_is_opencvs(picture: np.ndarray) -> None:
    found = prepared(Preprocessing(Resizing(33, 47), bgr=True), picture)
    np.testing.assert_array_equal(found, cv2.resize(picture, (47, 33)).transpose(2, 0, 1).astype(np.float32))


@pytest.mark.parametrize(("padding", "around"), [(None, 0.0), (114.0, (114.0 - 100.0) / 50.0)])
def test_what_stands_around_the_picture(picture: np.ndarray, padding: float | None, around: float) -> None:
    resizing = Resizing(128, 128, True, fill=True, centred=True)
    preprocessing = Preprocessing(resizing, (100.0,) * 3, (50.0,) * 3, padding=padding)
    placement = preprocessing.placement(*picture.shape[:2])
    target = prepared(preprocessing, picture)
    outside = np.ones(placement.shape, bool)
    top, left = placement.offset
    outside[top : top + placement.size[0], left : left + placement.size[1]] = False
    assert outside.any()
    np.testing.assert_allclose(target[:, outside], around, rtol=1e-6)
    assert np.abs(target[:, ~outside]).max() < 10


def test_a_crop_is_a_picture_like_any_other(picture: np.ndarray) -> None:
    """A crop is a view whose rows are not contiguous."""
    preprocessing = Preprocessing(Resizing(64, 64, True, pad_to=32))
    crop = picture[:, 20:70]
    np.testing.assert_array_equal(prepared(preprocessing, crop), prepared(preprocessing, crop.copy()))


@pytest.mark.parametrize(
    ("resizing", "size", "shape"),
    [(Resizing(64, 96, warp=True), (60, 90), (64, 96)), (Resizing(0, 0, pad_to=32, warp=True), (60, 96), (64, 128))],
)
def test_a_warped_picture_has_its_centre_in_the_centre(
    resizing: Resizing, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    image[height // 2 - 6 : height // 2 + 6, width // 2 - 6 : width // 2 + 6] = 255
    preprocessing = Preprocessing(resizing)
    placement = preprocessing.placement(height, width)
    assert placement.shape == shape
    rows, columns = np.nonzero(prepared(preprocessing, image)[0] > 127)
    seen = np.float32([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]])
    box = [width // 2 - 6, height // 2 - 6, width // 2 + 6, height // 2 + 6]
    np.testing.assert_allclose(placement.to_picture(seen), [box], atol=1)


def test_what_sticks_out_of_a_warp_is_cut_off() -> None:
    placement = Preprocessing(Resizing(54, 96, warp=True)).placement(96, 96)
    assert placement.offset == (-21, 0)
    assert placement.to_picture(np.float32([[0, 0, 96, 54]])).tolist() == [[0, 21, 96, 75]]
