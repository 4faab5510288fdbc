"""On a real camera's ground truth, counts are those of a plain script that knows no state machine."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
PETS = ROOT.parent / "shared" / "data" / "pets_s2l1"

pytestmark = pytest.mark.skipif(not PETS.exists(), reason="needs shared/data/pets_s2l1")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "benchmarks"))
    return importlib.import_module("analyse_counts")


def test_counts_on_pets_are_those_of_brute_force(benchmark: ModuleType) -> None:
    frames = benchmark.read(PETS / "gt.txt")
    counts = benchmark.ours(frames)
    assert counts == benchmark.plain(frames)
    assert set(counts) == {"west", "south", "lawn", "post"}
    assert min(number for of_one in counts.values() for number in of_one.values()) > 3


def test_so_are_those_on_tracks_of_our_own_with_their_jitter_and_gaps(benchmark: ModuleType) -> None:
    frames = benchmark.tracked(PETS)
    assert benchmark.ours(frames) == benchmark.plain(frames)
