"""The API against its own description: whatever is sent, the answer is one of those that are described."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error

from pipeline.address import find
from pipeline.serve.app import Options, create_app


@pytest.fixture(scope="module")
def schema(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = Options(page=False, local=False, work=tmp_path_factory.mktemp("analyses"))
    app = create_app(find(str(made)), options)
    with TestClient(app, raise_server_exceptions=False):
        assert app.served.feed.wait_until_caught_up(30)
        yield schemathesis.openapi.from_asgi("/v1/openapi.json", _WithoutLife(app)).exclude(method="DELETE")


class _WithoutLife:
    """The application, started once and for all, where every request would start and end it."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})


def test_nothing_that_is_sent_breaks_it(schema: Any) -> None:
    for operation in schema.get_all_operations():

        @given(case=operation.ok().as_strategy())
        @settings(
            max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
        )
        def send(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=[not_a_server_error])

        send()
