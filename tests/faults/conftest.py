"""Faults that take a site down whole take minutes: `pytest tests/faults` runs them, the default run leaves them out."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if any("faults" in argument for argument in config.args):
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="takes minutes: run `pytest tests/faults`"))
