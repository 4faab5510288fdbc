"""A client of the service in one file, with nothing but Python's own library: copy it, or import it.

from client import Crosscam
site = Crosscam("http://127.0.0.1:8080")
for identity in site.identities(state="open"):
    print(identity["identity"], identity["cameras"])
print(site.search(picture="somebody.jpg"))
print(Crosscam("http://127.0.0.1:8000").detect("people", "scene.jpg"))
"""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Picture = str | Path | bytes


class ServiceError(Exception):
    """The service said no, or could not be reached; the text says why.

    Attributes:
        status: of HTTP; 0 where there was no answer.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Crosscam:
    """A service of crosscam.

    Args:
        address: such as http://127.0.0.1:8080.
        token: where it asks for one.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, address: str, token: str | None = None, timeout: float = 30.0) -> None:
        self._address = address.rstrip("/")
        self._token = token
        self._timeout = timeout

    def get(self, path: str, **asked: Any) -> Any:
        """What stands at a path of the API."""
        query = urllib.parse.urlencode({name: value for name, value in asked.items() if value is not None})
        return self._json("GET", f"{path}?{query}" if query else path)

    def identities(self, **asked: Any) -> Iterator[dict[str, Any]]:
        """All identities, page by page; see GET /v1/identities for what may be asked."""
        after: str | None = None
        while True:
            page = self.get("/v1/identities", after=after, **asked)
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def identity(self, name: str) -> dict[str, Any]:
        """One identity: visits, evidence, corrections, journey."""
        return dict(self.get(f"/v1/identities/{urllib.parse.quote(name)}"))

    def search(
        self,
        picture: Picture | None = None,
        identity: str | None = None,
        seen: tuple[str, int] | None = None,
        box: tuple[float, float, float, float] | None = None,
        count: int = 10,
    ) -> list[Any]:
        """Who looks like the person in a picture, like an identity, or like who was seen: by a camera, at a time.

        Args:
            seen: camera, and event time in microseconds.
            box: where in the picture the person is: x1, y1, x2, y2 in pixels.
        """
        fields = {"count": str(count)}
        if identity is not None:
            fields["identity"] = identity
        if seen is not None:
            fields |= {"camera": seen[0], "time": str(seen[1])}
        if box is not None:
            fields["box"] = ",".join(f"{side:g}" for side in box)
        return list(self._form("/v1/search", fields, picture))

    def erase(self, name: str) -> dict[str, Any]:
        """Forget what an identity looks like."""
        return dict(self._json("DELETE", f"/v1/identities/{urllib.parse.quote(name)}"))

    def detect(self, model: str, picture: Picture) -> list[dict[str, Any]]:
        """Boxes in a picture, by a model that is served."""
        return list(self._form(f"/v1/models/{urllib.parse.quote(model)}:predict", {}, picture)["detections"])

    def embed(self, model: str, picture: Picture, boxes: list[list[float]] | None = None) -> list[list[float]]:
        """Vectors of the boxes of a picture; of the whole picture without boxes."""
        fields = {} if boxes is None else {"boxes": json.dumps(boxes)}
        return list(self._form(f"/v1/models/{urllib.parse.quote(model)}:predict", fields, picture)["embeddings"])

    def _form(self, path: str, fields: dict[str, str], picture: Picture | None) -> Any:
        boundary = secrets.token_hex(16)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        if picture is not None:
            data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="picture"; filename="picture"\r\n\r\n'
            parts.append(head.encode() + data + b"\r\n")
        body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        return self._json("POST", path, body, f"multipart/form-data; boundary={boundary}")

    def _json(self, method: str, path: str, body: bytes | None = None, kind: str | None = None) -> Any:
        headers = {"Accept": "application/json"}
        if kind is not None:
            headers["Content-Type"] = kind
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self._address + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise ServiceError(error.code, _detail(error.read())) from None
        except (OSError, ValueError) as error:
            raise ServiceError(0, f"{self._address} does not answer: {error}") from None


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:500] or "no reason was given"
