"""A client of the service over a small site."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_site import make_site

from pipeline.address import find
from pipeline.serve.app import Options, create_app


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def client(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Of the API alone."""
    options = Options(page=False, local=False, work=tmp_path_factory.mktemp("analyses"))
    app = create_app(find(str(made)), options)
    with TestClient(app, raise_server_exceptions=False) as client:
        assert app.served.feed.wait_until_caught_up(30)
        yield client
