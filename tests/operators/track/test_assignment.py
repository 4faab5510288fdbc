"""The solvers find what scipy finds, and both paths the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from operators.track.core.assignment import assign, solve_dense
from operators.track.core.compilation import entry, path_of


@entry
def assign_once(rows, columns, a, b, gain):  # type: ignore[no-untyped-def]
    return assign(rows, columns, a, b, gain)


@entry
def solve_once(cost):  # type: ignore[no-untyped-def]
    return solve_dense(cost)


# Tenths, so that draws are common.
gains = st.integers(1, 9).flatmap(
    lambda n: st.integers(1, 9).flatmap(lambda m: arrays(np.int64, (n, m), elements=st.integers(-5, 12)))
)


@given(gains)
@settings(max_examples=300, deadline=None)
def test_sparse_matching_is_worth_the_most(table: np.ndarray) -> None:
    worth = table / 10
    a, b = np.nonzero(worth)
    match = path_of(assign_once, True)(*worth.shape, a, b, worth[a, b])
    assert np.array_equal(match, path_of(assign_once, False)(*worth.shape, a, b, worth[a, b]))
    rows = np.flatnonzero(match >= 0)
    assert len(set(match[rows].tolist())) == len(rows)
    best = np.maximum(worth, 0)
    assert np.isclose(worth[rows, match[rows]].sum(), best[linear_sum_assignment(-best)].sum())
    assert (worth[rows, match[rows]] > 0).all()


@given(gains)
@settings(max_examples=300, deadline=None)
def test_dense_assignment_is_the_cheapest(table: np.ndarray) -> None:
    cost = np.ascontiguousarray((table if table.shape[0] <= table.shape[1] else table.T) / 10)
    columns = path_of(solve_once, True)(cost)
    assert np.array_equal(columns, path_of(solve_once, False)(cost))
    assert len(set(columns.tolist())) == len(cost)
    assert np.isclose(cost[np.arange(len(cost)), columns].sum(), cost[linear_sum_assignment(cost)].sum())
