"""The API against its own description: whatever is sent, right or wrong, the answer is no server's error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))

from http_surface import Api


@pytest.fixture(scope="module")
def api(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    # A copy: what is sent may change the site's file, which others read.
    folder = tmp_path_factory.mktemp("api")
    copy = folder / "site.yaml"
    copy.write_text(made.read_text().replace("source: ", f"source: {made.parent}/"))
    with Api(copy, folder) as api:
        yield api


def test_nothing_that_is_sent_breaks_it(api: Api) -> None:
    seen: set[str] = set()
    for requests in api.operations().values():

        @given(requests)
        @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def send(request: Any) -> None:
            seen.add(api.outcome(request))

        send()
    assert seen == {"2xx", "4xx"}
