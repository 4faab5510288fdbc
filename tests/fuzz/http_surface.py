"""The HTTP API as something to send spoilt requests to: every operation of its own description, and raw bodies."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import strategies as st
from mutations import mutated, spliced
from schemathesis.generation import GenerationMode

from pipeline.address import find
from pipeline.serve.app import Options, create_app


class WithoutLife:
    """An application that was started once and for all, where every request would start and end it."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})


@dataclass(frozen=True)
class Raw:
    """A request that no description would make."""

    method: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)


class Api:
    """The API over a site, in this process.

    Args:
        site: its YAML file; its ledger is there.
        folder: for new analyses.
    """

    def __init__(self, site: Path, folder: Path) -> None:
        self.app = create_app(find(str(site)), Options(page=False, local=False, work=folder / "analyses"))
        self._client = TestClient(self.app, raise_server_exceptions=False)

    def __enter__(self) -> Self:
        self._client.__enter__()
        assert self.app.served.feed.wait_until_caught_up(30)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.__exit__(kind, error, at)

    def schema(self) -> Any:
        """What it says of itself."""
        return schemathesis.openapi.from_asgi("/v1/openapi.json", WithoutLife(self.app)).exclude(method="DELETE")

    def operations(self) -> dict[str, st.SearchStrategy[Any]]:
        """Requests of each operation, as described and not; and raw ones."""
        found: dict[str, st.SearchStrategy[Any]] = {}
        for described in self.schema().get_all_operations():
            operation = described.ok()
            right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
            if any(True for _ in operation.iter_parameters()) or operation.body:
                right |= operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
            found[operation.label] = right
        return found | {"raw bodies": raw_requests()}

    def outcome(self, request: Any) -> str:
        """The class of its answer; `gone` where such a request cannot be sent at all.

        Raises:
            AssertionError: it is a server's error.
        """
        if isinstance(request, Raw):
            answer = self._client.request(request.method, request.path, **request.options)
            status, text = answer.status_code, answer.text
        else:
            answer = request.call()
            status, text = answer.status_code, answer.text
        assert status < 500 or (status == 503 and "detail" in text), f"{status}: {text[:300]}"
        assert "Traceback" not in text
        return f"{status // 100}xx"


def raw_requests() -> st.SearchStrategy[Raw]:
    """Pictures, cameras, rules and forms, nearly right."""
    scene = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    pictures = [cv2.imencode(kind, scene)[1].tobytes() for kind in (".jpg", ".png")]
    huge = cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes()
    huge = huge[:16] + (60000).to_bytes(4, "big") + (60000).to_bytes(4, "big") + huge[24:]  # says it is 60000x60000
    camera = {
        "source": "south.mp4", "fps": 10, "crop": [0, 0, 640, 200], "homography": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "lines": {"door": [[0, 100], [640, 100]]}, "zones": {"till": [[0, 0], [100, 0], [100, 100]]},
    }  # fmt: skip
    rules = {"lines": camera["lines"], "zones": camera["zones"]}
    spoilt = spliced([*pictures, huge], [b"\xff\xd9", b"IHDR", b"\x00" * 40])

    def as_json(value: Any) -> bytes:
        return json.dumps(value).encode()

    bodies = st.one_of(
        mutated([camera, rules]).map(as_json),
        spliced([as_json(camera)], [b"[" * 5000, b'{"a":' * 5000, b"NaN", b"1e999", b"\xff", b"9" * 5000]),
    )
    kinds = st.sampled_from(
        ["application/json", "text/plain", "multipart/form-data", "multipart/form-data; boundary=x", "\t"]
    )
    paths = st.sampled_from(
        ["/v1/cameras/south", "/v1/cameras/east/rules", "/v1/search", "/v1/analyses", "/v1/analyses/1/rules"]
    )
    methods = st.sampled_from(["POST", "PUT"])
    names = st.sampled_from(["a.jpg", "../../a.mp4", "a\x00.mp4", "x" * 400, "", "CON", ".mp4"])
    return st.one_of(
        spoilt.map(lambda data: Raw("POST", "/v1/search", {"files": {"picture": ("a.jpg", data)}})),
        st.builds(
            lambda data, name: Raw("POST", "/v1/analyses", {"files": {"video": (name, data)}}), spoilt, names
        ),
        st.builds(
            lambda method, path, body, kind: Raw(method, path, {"content": body, "headers": {"content-type": kind}}),
            methods, paths, bodies, kinds,
        ),
    )  # fmt: skip
