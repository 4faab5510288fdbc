"""Which worker has which cameras."""

from __future__ import annotations

from pipeline.placement import after_changes, shards_of


def test_cameras_are_spread_in_the_order_of_the_file() -> None:
    assert shards_of(["a", "b", "c", "d", "e"], 2) == [("a", "b"), ("c", "d"), ("e",)]


def test_who_stays_keeps_his_worker_and_new_cameras_fill_the_others_up_first() -> None:
    before = [("a", "b"), ("c", "d"), ("e",)]
    assert after_changes(before, {"b", "c", "d"}, ["x", "y", "z", "u", "v", "w"], 2) == [
        ("a", "x"), ("y", "z"), ("e", "u"), ("v", "w"),
    ]  # fmt: skip
    assert after_changes(before, {"c", "d"}, [], 2) == [("a", "b"), (), ("e",)]
    assert after_changes([("a", "b", "c")], set(), ["d"], 2) == [("a", "b", "c"), ("d",)], "a worker that is too full"
