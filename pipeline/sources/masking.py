"""Addresses without their passwords, for messages, logs and records."""

from __future__ import annotations

import re

_MASK = "***"
_ADDRESS = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<rest>[^\s'\"<>]+)")
_SECRET = re.compile(r"(?i)\b(?P<name>[a-z_-]*(?:password|passwd|pwd|pass|token|secret|auth|key))=[^&\s'\";,<>]+")


def mask(text: str) -> str:
    """`text` with the user and password of every address, and secrets in its query, replaced by `***`.

    A password with an unescaped `/` in it, which no address may have, is hidden as well, unless what stands before
    the `/` looks like a host and its port.
    """
    return _SECRET.sub(lambda m: f"{m['name']}={_MASK}", _ADDRESS.sub(_without_user, text))


def _without_user(address: re.Match[str]) -> str:
    scheme, rest = address["scheme"], address["rest"]
    host, _, _ = _cut(rest)
    at = host.rfind("@")
    if at < 0 and not _is_host(host):
        at = rest.rfind("@")
    return scheme + (rest if at < 0 else f"{_MASK}{rest[at:]}")


def _cut(rest: str) -> tuple[str, str, str]:
    """What stands before the path, and the remainder."""
    end = min((i for i in (rest.find("/"), rest.find("?"), rest.find("#")) if i >= 0), default=len(rest))
    return rest[:end], rest[end : end + 1], rest[end + 1 :]


def _is_host(text: str) -> bool:
    """Whether this can be a host, with or without a port, rather than a user and the start of a password."""
    return re.fullmatch(r"(\[[0-9a-fA-F:.%]+\]|[^:@\[\]]*)(:\d*)?", text) is not None
