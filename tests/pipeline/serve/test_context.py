"""Answers that are given again."""

from __future__ import annotations

from fastapi import Response

from pipeline.serve.context import Remembered


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_given_again_in_the_same_state_of_things_and_while_it_is_young() -> None:
    clock = Clock()
    remembered = Remembered(age_s=2.0, clock=clock)
    answer = Response(b"[]")
    remembered.put("/v1/tracks?", (7, None), answer)
    assert remembered.get("/v1/tracks?", (7, None)) is answer
    assert remembered.get("/v1/tracks?", (8, None)) is None
    assert remembered.get("/v1/tracks?camera=a", (7, None)) is None
    clock.now = 2.1
    assert remembered.get("/v1/tracks?", (7, None)) is None


def test_what_is_remembered_does_not_grow() -> None:
    remembered = Remembered(size=1000)
    for number in range(100):
        remembered.put(f"/{number % 20}", number, Response(b"x" * 300))
    held = [number for number in range(100) if remembered.get(f"/{number % 20}", number) is not None]
    assert held == [97, 98, 99]
