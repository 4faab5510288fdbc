"""Compiles what numba would compile when a site first needs it: for an image, or the setup of a node.

    python -m pipeline.precompile

Compiled once it is kept on disk, beside the package or in NUMBA_CACHE_DIR, for this kind of processor and this build.
Where it is not, the first fusion actor and the first workers of a machine take longer to start, or to come back.
"""

from __future__ import annotations

import numpy as np

from mtmct.warm_up import warm_up as compile_fusion
from operators.analyse.analyser import warm_up as compile_rules
from operators.embed import StripeEmbedder
from operators.records import Detections
from operators.track.registry import create, names


def precompile() -> None:
    """Use every part once."""
    compile_fusion()
    compile_rules()
    for name in names():
        create(name).update(Detections.empty(), 0)
    StripeEmbedder().embed(np.zeros((64, 32, 3), np.uint8), np.array([[0, 0, 32, 64]], np.float32))


if __name__ == "__main__":
    precompile()
