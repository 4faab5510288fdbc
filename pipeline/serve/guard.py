"""Who may ask, and how much: token, origin, host, size and rate.

On loopback without a token only this machine's own names are answered, so that a page of somebody else's, open in a
browser here, can neither write (its origin is another) nor read by a name that it lets point here (DNS rebinding).
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from operators.records import CrosscamError
from pipeline.serve.problems import TooLargeError, problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "crosscam_token"
LOGIN = "/login"
_OPEN = frozenset({"/healthz", "/readyz", LOGIN})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
ORDINARY = 50_000_000
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class GuardError(CrosscamError):
    """The service would be open to everybody."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_bind(host: str, token: str | None) -> None:
    """Refuse to be reachable from elsewhere without a token.

    Raises:
        GuardError: it would be.
    """
    if token is not None and len(token) < 16:
        raise GuardError("the token is shorter than 16 characters: make one with `openssl rand -hex 16`")
    if token is None and not is_loopback(host):
        raise GuardError(
            f"the service would answer anybody who reaches {host}: set CROSSCAM_TOKEN to a secret "
            "(`openssl rand -hex 16`), or leave --host at 127.0.0.1"
        )


class Guard:
    """ASGI middleware before everything else.

    Args:
        app: what is guarded.
        token: asked for as `Authorization: Bearer ...` or in the page's cookie; None: asked from nobody.
        largest: bytes that the body of an upload may have.
        uploads: paths of uploads, which go to the disk; bodies of others are held in memory, and may have `ORDINARY`
            bytes. None: every path is one.
        local: bound to loopback: other names of the host are not answered.
        answered: told the status of every answer, and after how many seconds it began.
        clock: monotonic seconds.

    Attributes:
        served: what the application is about, for who made it.
    """

    def __init__(
        self,
        app: Asgi,
        *,
        token: str | None,
        largest: int,
        local: bool,
        served: Any = None,
        uploads: frozenset[str] | None = None,
        answered: Callable[[int, float], None] = lambda status, seconds: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.served = served
        self._answered, self._clock = answered, clock
        self._app = app
        self._token = token
        self._largest, self._uploads = largest, uploads
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        send = self._counted(send) if scope["type"] == "http" else send
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is None:
            limited = self._limited(receive, self._most(scope)) if scope["type"] == "http" else receive
            await self._app(scope, limited, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
        elif refusal[0] == HTTPStatus.UNAUTHORIZED and "text/html" in headers.get("accept", ""):
            location = [(b"location", LOGIN.encode()), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 303, "headers": location})
            await send({"type": "http.response.body", "body": b""})
        else:
            extra = {"WWW-Authenticate": "Bearer"} if refusal[0] == HTTPStatus.UNAUTHORIZED else None
            await problem(refusal[0], refusal[1], extra)(scope, receive, send)

    def admits(self, token: str) -> bool:
        """Whether this is the token."""
        return self._token is None or hmac.compare_digest(token.encode(), self._token.encode())

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[HTTPStatus, str] | None:
        host = _name(headers.get("host", ""))
        if self._local and self._token is None and host not in _LOCAL_NAMES:
            return HTTPStatus.MISDIRECTED_REQUEST, "without a token only localhost is answered"
        origin = headers.get("origin")
        crossed = origin is not None and urlsplit(origin).netloc != headers.get("host")
        if crossed and (scope["type"] == "websocket" or scope["method"] not in _SAFE):
            return HTTPStatus.FORBIDDEN, "this was asked by a page from elsewhere"
        if scope["type"] == "http":
            length = headers.get("content-length", "0")
            if not length.isdecimal():
                return HTTPStatus.BAD_REQUEST, "Content-Length is not a number"
            # So many digits are no number to Python.
            most = self._most(scope)
            if len(length) > 20 or int(length) > most:
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(most)
        if self._token is None or scope["path"] in _OPEN:
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        cookies: SimpleCookie = SimpleCookie()
        cookies.load(headers.get("cookie", ""))
        if scheme.lower() != "bearer":
            given = cookies[COOKIE].value if COOKIE in cookies else ""
        if given and self.admits(given.strip()):
            return None
        return HTTPStatus.UNAUTHORIZED, "send the service's token as `Authorization: Bearer ...`"

    def _counted(self, send: Send) -> Send:
        began = self._clock()

        async def counted(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._answered(message["status"], self._clock() - began)
            await send(message)

        return counted

    def _most(self, scope: Scope) -> int:
        if self._uploads is None or scope["path"] in self._uploads:
            return self._largest
        return min(self._largest, ORDINARY)

    def _limited(self, receive: Receive, most: int) -> Receive:
        """Count what comes without a length, too."""
        taken = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise TooLargeError(_too_large(most))
            return message

        return counted


class Rate:
    """A bucket that fills with `per_s` permissions a second, up to `burst`; one for everybody.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._left, self._at = float(burst), clock()

    def take(self) -> float:
        """Take a permission: 0, or the seconds after which there is one."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return (1 - self._left) / self._per_s
        self._left -= 1
        return 0.0


def _too_large(most: int) -> str:
    return f"a request to this address may have {most / 1e6:g} MB at most"


def _name(host: str) -> str:
    """Of a Host header: without the port, without brackets."""
    return urlsplit(f"//{host}").hostname or ""
