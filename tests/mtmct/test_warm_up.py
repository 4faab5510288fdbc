"""What numba compiles of fusion is compiled before a site begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# In a process of its own: in this one other tests have compiled it. Numba compiles anew for every kind of array, and
# arrays that come from another process cannot be written: another kind.
SCRIPT = """
import importlib, pickle, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import mtmct
from mtmct import passes
from numba.core.registry import CPUDispatcher
from mtmct.fusion import FusionEngine
from mtmct.warm_up import warm_up
from fusion_scenes import camera, crowd, play, topology
warm_up()
modules = [importlib.import_module("mtmct." + module.name) for module in pkgutil.iter_modules(mtmct.__path__)]
compiled = {v.__name__: v for m in modules for v in vars(m).values() if isinstance(v, CPUDispatcher)}
# What a pass calls is compiled as part of it, and kept with it.
within = {v for v in vars(passes).values() if isinstance(v, CPUDispatcher) and v.__module__ != passes.__name__}
public = [v for name, v in compiled.items() if not name.startswith("_") and v not in within]
before = {name: len(v.signatures) for name, v in compiled.items()}
scene = pickle.loads(pickle.dumps(crowd({"b": 0.3})))
assert not next(batch for batch in scene[15][1] if batch.tracklets).tracklets.boxes.flags.writeable
play(FusionEngine("plaza", topology(*(camera(name, calibrated=name != "c") for name in "abc"))), scene)
after = {name: len(v.signatures) for name, v in compiled.items()}
missing = sorted(v.__name__ for v in public if not v.signatures)
print(len(public), missing, sorted(name for name in after if after[name] != before[name]))
"""


def test_nothing_that_fusion_calls_is_compiled_while_a_site_runs() -> None:
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    number, _, missing = done.stdout.partition(" ")
    assert int(number) > 12
    assert missing.strip() == "[] []"
