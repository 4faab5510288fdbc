"""Assignment: which track takes which detection, so that the gains add up to the most.

Sparse problems fall apart into connected components: a pair alone is matched at once, a star takes its best ray, and
only what is left is solved, each component by itself, with shortest augmenting paths (Jonker and Volgenant 1987). A
cost c with the limit l is the gain l - c; pairs without gain are left out, which is the same optimum as an assignment
in which anybody may stay alone at the cost l.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.

from __future__ import annotations

import numpy as np

from operators.track.core.compilation import both_ways, loops_for
from operators.track.core.types import Floats, Ints


def assign(rows: int, columns: int, a: Ints, b: Ints, gain: Floats) -> Ints:
    """The matching with the greatest sum of gains among the listed pairs; pairs without positive gain are not used.

    Args:
        rows, columns: how many of each there are.
        a, b: (P,) row and column of each pair, sorted by row. gain: (P,) what the pair is worth.

    Returns:
        (rows,) int64, the column of each row, -1 where it stays alone.
    """
    match = np.full(rows, -1, np.int64)
    degree_a, degree_b = np.zeros(rows, np.int64), np.zeros(columns, np.int64)
    parent = np.arange(rows + columns)
    edges = np.empty(len(a), np.int64)
    count = 0
    for e in range(len(a)):
        if gain[e] > 0.0:
            edges[count] = e
            count += 1
            degree_a[a[e]] += 1
            degree_b[b[e]] += 1
    hard = 0
    for k in range(count):
        i, j = a[edges[k]], b[edges[k]]
        if degree_a[i] == 1 and degree_b[j] == 1:
            match[i] = j
            continue
        edges[hard] = edges[k]
        hard += 1
        u, v = _root(parent, i), _root(parent, rows + j)
        if u < v:
            parent[v] = u
        elif v < u:
            parent[u] = v
    if hard == 0:
        return match
    edges = edges[:hard]
    # Edges by component, keeping their order within: a counting sort on the component's root, which is its first row.
    start = np.zeros(rows + 1, np.int64)
    for k in range(hard):
        start[_root(parent, a[edges[k]]) + 1] += 1
    for i in range(rows):
        start[i + 1] += start[i]
    fill = start[:rows].copy()
    by_component = np.empty(hard, np.int64)
    for k in range(hard):
        root = _root(parent, a[edges[k]])
        by_component[fill[root]] = edges[k]
        fill[root] += 1
    local_a, local_b = np.full(rows, -1, np.int64), np.full(columns, -1, np.int64)
    names_a, names_b = np.empty(rows, np.int64), np.empty(columns, np.int64)
    for root in range(rows):
        first, last = start[root], start[root + 1]
        if first == last:
            continue
        n = m = 0
        for k in range(first, last):
            i, j = a[by_component[k]], b[by_component[k]]
            if local_a[i] < 0:
                local_a[i] = n
                names_a[n] = i
                n += 1
            if local_b[j] < 0:
                local_b[j] = m
                names_b[m] = j
                m += 1
        if n == 1 or m == 1:
            best = by_component[first]
            for k in range(first + 1, last):
                if gain[by_component[k]] > gain[best]:
                    best = by_component[k]
            match[a[best]] = b[best]
            continue
        cost = np.zeros((n, m)) if n <= m else np.zeros((m, n))
        for k in range(first, last):
            e = by_component[k]
            if n <= m:
                cost[local_a[a[e]], local_b[b[e]]] = -gain[e]
            else:
                cost[local_b[b[e]], local_a[a[e]]] = -gain[e]
        taken = solve_dense(cost)
        for s in range(len(taken)):
            if cost[s, taken[s]] < 0.0:
                if n <= m:
                    match[names_a[s]] = names_b[taken[s]]
                else:
                    match[names_a[taken[s]]] = names_b[s]
    return match


def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


def solve_dense(cost: Floats) -> Ints:
    """The cheapest assignment of all rows of (n, m) `cost`, n <= m, finite: (n,) int64, the column of each row."""
    n, m = cost.shape
    row_of, column_of = np.full(m, -1, np.int64), np.full(n, -1, np.int64)
    u, v = cost.min(axis=1), np.zeros(m)
    for i in range(n):
        cheapest = int(np.argmin(cost[i]))
        if row_of[cheapest] < 0:
            row_of[cheapest], column_of[i] = i, cheapest
    for first in range(n):
        if column_of[first] >= 0:
            continue
        distance, came_from = np.full(m, np.inf), np.full(m, -1, np.int64)
        reached, done = np.zeros(n, bool), np.zeros(m, bool)
        i, lowest, sink = first, 0.0, -1
        while sink < 0:
            reached[i] = True
            through = lowest + cost[i] - u[i] - v
            better = ~done & (through < distance)
            distance[better], came_from[better] = through[better], i
            j = int(np.argmin(np.where(done, np.inf, distance)))
            lowest = distance[j]
            done[j] = True
            if row_of[j] < 0:
                sink = j
            else:
                i = row_of[j]
        u[first] += lowest
        others = reached.copy()
        others[first] = False
        u[others] += lowest - distance[column_of[others]]
        v[done] -= lowest - distance[done]
        while True:
            i = came_from[sink]
            row_of[sink] = i
            column_of[i], sink = sink, column_of[i]
            if i == first:
                break
    return column_of


@loops_for(solve_dense)
def _solve_dense(cost):
    n, m = cost.shape
    row_of, column_of = np.full(m, -1, np.int64), np.full(n, -1, np.int64)
    u, v = np.empty(n), np.zeros(m)
    for i in range(n):
        cheapest = 0
        for j in range(1, m):
            if cost[i, j] < cost[i, cheapest]:
                cheapest = j
        u[i] = cost[i, cheapest]
        if row_of[cheapest] < 0:
            row_of[cheapest], column_of[i] = i, cheapest
    distance, came_from = np.empty(m), np.empty(m, np.int64)
    reached, done = np.empty(n, np.bool_), np.empty(m, np.bool_)
    for first in range(n):
        if column_of[first] >= 0:
            continue
        distance[:], came_from[:], reached[:], done[:] = np.inf, -1, False, False
        i, lowest, sink = first, 0.0, -1
        while sink < 0:
            reached[i] = True
            nearest = -1
            for j in range(m):
                if done[j]:
                    continue
                through = lowest + cost[i, j] - u[i] - v[j]
                if through < distance[j]:
                    distance[j], came_from[j] = through, i
                if nearest < 0 or distance[j] < distance[nearest]:
                    nearest = j
            lowest = distance[nearest]
            done[nearest] = True
            if row_of[nearest] < 0:
                sink = nearest
            else:
                i = row_of[nearest]
        u[first] += lowest
        for i in range(n):
            if reached[i] and i != first:
                u[i] += lowest - distance[column_of[i]]
        for j in range(m):
            if done[j]:
                v[j] -= lowest - distance[j]
        while True:
            i = came_from[sink]
            row_of[sink] = i
            column_of[i], sink = sink, column_of[i]
            if i == first:
                break
    return column_of


for _kernel in (_root, assign):
    both_ways(_kernel)


@both_ways
def split(rows: Ints, columns: Ints, match: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Matched rows, their columns, rows left, columns left: what `match` (positions in columns, or -1) says."""
    n, m = len(rows), len(columns)
    took, taken = np.empty(n, np.int64), np.empty(n, np.int64)
    left, unused = np.empty(n, np.int64), np.empty(m, np.int64)
    free = np.ones(m, np.bool_)
    pairs = alone = 0
    for i in range(n):
        j = match[i]
        if j >= 0:
            took[pairs], taken[pairs] = rows[i], columns[j]
            free[j] = False
            pairs += 1
        else:
            left[alone] = rows[i]
            alone += 1
    rest = 0
    for j in range(m):
        if free[j]:
            unused[rest] = columns[j]
            rest += 1
    return took[:pairs], taken[:pairs], left[:alone], unused[:rest]
