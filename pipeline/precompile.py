"""Compiles what numba would compile when a site first needs it: for an image, the setup of a node, or the tests.

    python -m pipeline.precompile

Compiled once it is kept on disk, beside the package or in NUMBA_CACHE_DIR, for this kind of processor and this build.
Where it is not, the first fusion actor and the first workers of a machine take longer to start, or to come back.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from mtmct.warm_up import warm_up as compile_fusion
from operators.analyse.analyser import warm_up as compile_rules
from operators.embed import StripeEmbedder
from operators.records import Detections
from operators.track.registry import create, names

_MOST = 4  # processes: each has every library in memory, and compiles anew what trackers have in common


def _track(name: str) -> None:
    create(name).update(Detections.empty(), 0)


def _embed() -> None:
    StripeEmbedder().embed(np.zeros((64, 32, 3), np.uint8), np.array([[0, 0, 32, 64]], np.float32))


def precompile() -> None:
    """Use every part once, on all processors."""
    # The longest first: what is short fills up what is left of the time.
    parts: list[Callable[[], object]] = [
        compile_fusion,
        *(partial(_track, name) for name in names()),
        compile_rules,
        _embed,
    ]
    processes = min(len(os.sched_getaffinity(0)), _MOST)
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for part in [pool.submit(part) for part in parts]:
            part.result()


if __name__ == "__main__":
    precompile()
