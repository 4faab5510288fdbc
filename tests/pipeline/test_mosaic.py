"""Where the cameras stand in a mosaic."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.mosaic import Layout


@pytest.mark.parametrize(
    ("cameras", "size", "grid"),
    [
        (1, (640, 360), (1, 1)),
        (2, (448, 576), (2, 1)),
        (2, (1920, 1080), (2, 1)),
        (3, (640, 480), (2, 2)),
        (4, (320, 240), (2, 2)),
        (4, (3840, 2160), (2, 2)),
        (9, (1920, 1080), (3, 3)),
        (16, (1920, 1080), (4, 4)),
    ],
)
def test_grid_is_as_square_as_it_can_be(cameras, size, grid):
    layout = Layout.of([size] * cameras, (1920, 1080))
    assert len({cell.x1 for cell in layout.cells}) == grid[0]
    assert len({cell.y1 for cell in layout.cells}) == grid[1]


@pytest.mark.parametrize("count", range(1, 18))
@pytest.mark.parametrize("size", [(448, 576), (1921, 1081), (3840, 2160), (353, 289)])
def test_fits_is_even_and_nothing_overlaps(count, size):
    layout = Layout.of([size] * count, (1920, 1080))
    assert layout.width % 2 == layout.height % 2 == 0
    assert layout.width <= 1920
    assert layout.height <= 1080
    canvas = np.zeros((layout.height, layout.width), int)
    canvas[: layout.head] += 1
    for cell in layout.cells:
        assert cell.x2 <= layout.width
        assert cell.y2 <= layout.height
        canvas[cell.y1 : cell.y2, cell.x1 : cell.x2] += 1
    assert canvas.max() == 1
