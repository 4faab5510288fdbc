"""The rooms of the house: imports run downwards only, and light doors stay light."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# What each room may import of the project.
ALLOWED = {
    "operators": ("operators",),
    "mtmct": ("mtmct", "operators.records"),
    "pipeline": ("pipeline", "mtmct", "operators"),
}
# Libraries that belong to the pipeline alone.
PIPELINE_ONLY = ("ray", "kafka", "fastapi", "typer", "rich")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_run_downwards_only(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for name in imports(path)
        if within(name, tuple(ALLOWED)) and not within(name, ALLOWED[room])
    ]
    assert not wrong


@pytest.mark.parametrize("room", ["operators", "mtmct"])
def test_only_the_pipeline_knows_ray_kafka_and_the_command_line(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for name in imports(path)
        if within(name, PIPELINE_ONLY)
    ]
    assert not wrong


def there(name: str) -> bool:
    """Whether a dotted name of the project is a module, or something in one."""
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute) or bool(importlib.import_module(name))
    except ImportError:
        return False


@pytest.mark.parametrize("folder", ["benchmarks", "faults", "support", "fuzz"])
def test_what_is_not_run_every_time_imports_what_there_is(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / "tests" / folder).rglob("*.py"))
        for name in imports(path)
        if within(name, tuple(ALLOWED)) and not there(name)
    ]
    assert not wrong


def test_the_command_line_starts_without_loading_heavy_libraries() -> None:
    code = "import sys, pipeline.cli; print([m for m in ('ray', 'paddle', 'cv2', 'av', 'faiss') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
