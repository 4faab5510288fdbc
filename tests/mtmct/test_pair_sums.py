from __future__ import annotations

import numpy as np
import pytest

from mtmct.pair_sums import Rows


@pytest.mark.parametrize("short", ["pairs", "slots", "llr", "distance"])
def test_columns_of_different_lengths_are_refused_before_they_are_read_by_address(short: str):
    columns = {"pairs": np.zeros((3, 2), np.int64), "slots": np.zeros(3, np.int64)}
    columns |= {"llr": np.zeros(3), "distance": np.zeros(3)}
    Rows.of(**columns)
    with pytest.raises(ValueError, match="no rows"):
        Rows.of(**{**columns, short: columns[short][:2]})
