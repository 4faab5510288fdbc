"""On a real camera's ground truth, counts are those of a plain script that knows no state machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TRUTH = ROOT.parent / "shared" / "data" / "pets_s2l1" / "gt.txt"


@pytest.mark.skipif(not TRUTH.exists(), reason="needs shared/data/pets_s2l1")
def test_counts_on_pets_are_those_of_brute_force() -> None:
    spec = importlib.util.spec_from_file_location("analyse_counts", ROOT / "tests/benchmarks/analyse_counts.py")
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    frames = benchmark.read(TRUTH)
    counts = benchmark.ours(frames)
    assert counts == benchmark.plain(frames)
    assert min(number for line in counts.values() for number in line.values()) > 3
