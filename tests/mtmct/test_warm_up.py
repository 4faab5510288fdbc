"""What numba compiles of fusion is compiled before a site begins."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: in this one other tests have compiled it.
SCRIPT = """
import ast, inspect, pkgutil, importlib, mtmct
from numba.core.registry import CPUDispatcher
from mtmct.warm_up import warm_up
warm_up()
modules = [importlib.import_module("mtmct." + module.name) for module in pkgutil.iter_modules(mtmct.__path__)]
compiled = [v for m in modules for v in vars(m).values() if isinstance(v, CPUDispatcher) and v.__module__ == m.__name__]
names = {v.__name__ for v in compiled if not v.__name__.startswith("_")}
print(len(names), sorted({v.__name__ for v in compiled if v.__name__ in names and not v.signatures}))
"""


def test_every_function_that_fusion_calls_is_compiled_but_one_that_is_seldom_called() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=240, check=True)
    number, _, missing = done.stdout.partition(" ")
    assert int(number) > 12
    assert missing.strip() == "['possible']"
