"""A Ray that does not answer or does not start is a sentence to whoever runs a site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ray

from pipeline.cluster import LaunchError, connect
from pipeline.config_file import parse


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("", Exception("The current node timed out during startup."), "Ray does not start on this machine .*timed out"),
        ("ray_address: 10.0.0.9:6379\n", ConnectionError("no route"), "Ray on 10.0.0.9:6379 does not answer .no route"),
    ],
)
def test_what_ray_could_not_do_is_said(
    address: str, error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise error

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    site = parse(f"site: plaza\ncameras: [{{id: a, source: a.mp4}}]\n{address}", Path("plaza.yaml"))
    with pytest.raises(LaunchError, match=said):
        connect(site, 1)
