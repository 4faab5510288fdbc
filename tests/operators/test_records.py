from __future__ import annotations

from itertools import pairwise

import numpy as np

from operators.records import pack, pieces


def test_pieces_of_an_array_are_written_as_the_arrays_that_they_are():
    bounds = [0, 3, 3, 4, 10]
    for array in (np.arange(10), np.arange(20.0).reshape(10, 2)[::-1], np.ones((10, 2, 3), np.float32)):
        expected = [pack(array[low:high]) for low, high in pairwise(bounds)]
        assert [pack(piece) for piece in pieces(array, bounds)] == expected
