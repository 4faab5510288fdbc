"""Nothing is lost and nothing is there twice, whatever dies: `pytest tests/faults -m faults`, some minutes.

The default run leaves these out; tests/pipeline/test_run.py kills a worker and the fusion actor in it. As JSON with the
times of recovery: `python tests/faults/matrix.py`.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bench import Bench
from matrix import CELLS, FAULTS

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Three raylets, and Kafka where there is Java."""
    with_kafka = shutil.which("java") is not None
    with contextlib.closing(Bench(tmp_path_factory.mktemp("faults"), with_kafka=with_kafka)) as made:
        yield made


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("kind", "ledger"), CELLS)
def test_what_is_written_is_what_would_have_been_written(bench: Bench, kind: str, ledger: str, seed: int) -> None:
    if ledger == "kafka" and bench.kafka is None:
        pytest.skip("needs Java 17 or newer")
    result = bench.cell(kind, ledger, seed, FAULTS[kind])
    assert (result.lost, result.duplicated, result.same_bytes) == (0, 0, True)
