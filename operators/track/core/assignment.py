# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.
"""Assignment: which track takes which detection, so that the gains add up to the most.

A cost c with the limit l is the gain l - c; pairs without gain are left out, which is the same optimum as an assignment
in which anybody may stay alone at the cost l. Both solvers grow shortest augmenting paths (Jonker and Volgenant 1987),
after whoever can have its first choice has taken it.
"""

from __future__ import annotations

import numpy as np

from operators.track.core.compilation import both_ways, loops_for
from operators.track.core.lists import two_lists
from operators.track.core.types import Floats, Ints


@both_ways
def assign(rows: int, columns: int, a: Ints, b: Ints, gain: Floats) -> Ints:
    """The matching with the greatest sum of gains among the listed pairs; pairs without positive gain are not used.

    The search looks at listed pairs only, and only at those that a contested choice reaches; most are not contested.

    Args:
        rows, columns: how many of each there are.
        a, b: (P,) row and column of each pair, sorted by row. gain: (P,) what the pair is worth.

    Returns:
        (rows,) int64, the column of each row, -1 where it stays alone.
    """
    match, owner = np.full(rows, -1, np.int64), np.full(columns, -1, np.int64)
    contested = False
    e = 0
    for i in range(rows):
        best, most = -1, 0.0
        while e < len(a) and a[e] == i:
            if gain[e] > most:
                best, most = b[e], gain[e]
            e += 1
        if best < 0:
            continue
        if owner[best] < 0:
            owner[best], match[i] = i, best
        else:
            contested = True
    if contested:
        _settle(match, owner, a, b, gain)
    return match


@both_ways
def _settle(match, owner, a, b, gain):
    # Row i has the pairs start[i] to start[i + 1]; u and v are the prices of rows and columns, at first -gain of a
    # row's first choice. Dijkstra from each contested row, over columns at reduced costs; a path may end at a free
    # column, or at a row that gives up its column and stays alone. `mark`: 1 a column has been reached, 2 its distance
    # is final.
    rows, columns = len(match), len(owner)
    start, u = np.zeros(rows + 1, np.int64), np.zeros(rows)
    for e in range(len(a)):
        start[a[e] + 1] = e + 1
        u[a[e]] = min(u[a[e]], -gain[e])
    for i in range(rows):
        start[i + 1] = max(start[i + 1], start[i])
    contested = np.flatnonzero((match < 0) & (u < 0.0))
    v, distance = np.zeros(columns), np.empty(columns)
    came_from, mark, reached = np.empty(columns, np.int64), np.zeros(columns, np.int64), np.empty(columns, np.int64)
    for first in contested:
        i, count, sink = first, 0, -1
        lowest = 0.0
        alone, quitter = -u[first], first
        while True:
            for e in range(start[i], start[i + 1]):
                j = b[e]
                if gain[e] <= 0.0 or mark[j] == 2:
                    continue
                through = lowest - gain[e] - u[i] - v[j]
                if mark[j] == 0:
                    mark[j] = 1
                    reached[count] = j
                    count += 1
                    distance[j], came_from[j] = through, i
                elif through < distance[j]:
                    distance[j], came_from[j] = through, i
            nearest = -1
            for q in range(count):
                j = reached[q]
                if mark[j] == 1 and (nearest < 0 or distance[j] < distance[nearest]):
                    nearest = j
            if nearest < 0 or distance[nearest] >= alone:
                lowest = alone
                break
            lowest = distance[nearest]
            if owner[nearest] < 0:
                sink = nearest
                break
            mark[nearest] = 2
            i = owner[nearest]
            if lowest - u[i] < alone:
                alone, quitter = lowest - u[i], i
        u[first] += lowest
        for q in range(count):
            j = reached[q]
            if mark[j] == 2:
                u[owner[j]] += lowest - distance[j]
                v[j] -= lowest - distance[j]
            mark[j] = 0
        if sink < 0:
            if quitter == first:
                continue
            sink = match[quitter]
            match[quitter] = -1
        while True:
            i = came_from[sink]
            owner[sink] = i
            match[i], sink = sink, match[i]
            if i == first:
                break


def solve_dense(cost: Floats) -> Ints:
    """The cheapest assignment of all rows of (n, m) `cost`, n <= m, finite: (n,) int64, the column of each row."""
    n, m = cost.shape
    row_of, column_of, v = np.full(m, -1, np.int64), np.full(n, -1, np.int64), np.zeros(m)
    for first in range(n):
        i, turns = first, 0
        while i >= 0 and turns < 2 * n:
            turns += 1
            reduced = cost[i] - v
            j = int(np.argmin(reduced))
            low = reduced[j]
            reduced[j] = np.inf
            second = reduced.min() if m > 1 else low
            i = _bid(row_of, column_of, v, i, j, low, second)
    for first in range(n):
        if column_of[first] >= 0:
            continue
        distance, came_from, done = cost[first] - v, np.full(m, first, np.int64), np.zeros(m, bool)
        while True:
            j = int(np.argmin(np.where(done, np.inf, distance)))
            lowest = distance[j]
            if row_of[j] < 0:
                break
            done[j] = True
            i = row_of[j]
            through = lowest + (cost[i] - v - (cost[i, j] - v[j]))
            better = ~done & (through < distance)
            distance[better], came_from[better] = through[better], i
        v[done] += distance[done] - lowest
        _augment(row_of, column_of, came_from, j, first)
    return column_of


@loops_for(solve_dense)
def _solve_dense(cost):
    n, m = cost.shape
    row_of, column_of, v = np.full(m, -1, np.int64), np.full(n, -1, np.int64), np.zeros(m)
    for first in range(n):
        i, turns = first, 0
        while i >= 0 and turns < 2 * n:
            turns += 1
            j, low, second = 0, cost[i, 0] - v[0], np.inf
            for k in range(1, m):
                reduced = cost[i, k] - v[k]
                if reduced < second:
                    if reduced < low:
                        second = low
                        j, low = k, reduced
                    else:
                        second = reduced
            if m == 1:
                second = low
            i = _bid(row_of, column_of, v, i, j, low, second)
    distance, came_from, done = np.empty(m), np.empty(m, np.int64), np.empty(m, np.bool_)
    for first in range(n):
        if column_of[first] >= 0:
            continue
        for k in range(m):
            distance[k], came_from[k], done[k] = cost[first, k] - v[k], first, False
        while True:
            j = -1
            for k in range(m):
                if not done[k] and (j < 0 or distance[k] < distance[j]):
                    j = k
            lowest = distance[j]
            if row_of[j] < 0:
                break
            done[j] = True
            i = row_of[j]
            height = cost[i, j] - v[j]
            for k in range(m):
                if not done[k]:
                    through = lowest + (cost[i, k] - v[k] - height)
                    if through < distance[k]:
                        distance[k], came_from[k] = through, i
        for k in range(m):
            if done[k]:
                v[k] += distance[k] - lowest
        _augment(row_of, column_of, came_from, j, first)
    return column_of


@both_ways
def _bid(row_of, column_of, v, i, j, low, second):
    # Row i takes its cheapest column j, at a price that leaves it no better than its second choice; the row that had j
    # bids next (-1: nobody). A draw for a column that is taken is left to the augmenting paths.
    if not low < second:
        if row_of[j] >= 0:
            return -1
    elif row_of[j] >= 0 or second < np.inf:
        v[j] -= second - low
    before = row_of[j]
    row_of[j], column_of[i] = i, j
    if before >= 0:
        column_of[before] = -1
    return before


@both_ways
def _augment(row_of, column_of, came_from, sink, first):
    while True:
        i = came_from[sink]
        row_of[sink] = i
        column_of[i], sink = sink, column_of[i]
        if i == first:
            break


@both_ways
def split(rows: Ints, columns: Ints, match: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Matched rows, their columns, rows left, columns left: what `match` (positions in columns, or -1) says."""
    n, m = len(rows), len(columns)
    took, taken = two_lists(n)
    left, unused = np.empty(n, np.int64), np.zeros(m, np.int64)
    pairs = alone = 0
    for i in range(n):
        j = match[i]
        if j >= 0:
            took[pairs], taken[pairs] = rows[i], columns[j]
            unused[j] = -1
            pairs += 1
        else:
            left[alone] = rows[i]
            alone += 1
    rest = 0
    for j in range(m):  # closes ranks in place
        if unused[j] >= 0:
            unused[rest] = columns[j]
            rest += 1
    return took[:pairs], taken[:pairs], left[:alone], unused[:rest]
