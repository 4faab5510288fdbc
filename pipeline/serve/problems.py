"""Errors as `application/problem+json` (RFC 9457): a title, a status, and one sentence that says what to do."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from mtmct.corrections import CorrectionError
from mtmct.erasure import ErasureError
from mtmct.search import SearchError
from operators.records import CrosscamError
from pipeline.ledger.base import LedgerError
from pipeline.sources.masking import mask

_log = logging.getLogger(__name__)
# An absolute path, but no part of an address, nor a place of this API.
_PATH = re.compile(r"(?<![\w:/.])/(?!v1/)(?:[\w.~+@-]+/)+([\w.~+@-]+)")

MEDIA_TYPE = "application/problem+json"


class NotFoundError(CrosscamError):
    """There is nothing of that name."""


class NoPictureError(NotFoundError):
    """There is no picture of that camera and time."""


class UnfitError(CrosscamError):
    """What was sent is well-formed and of no use."""


class TooLargeError(CrosscamError):
    """The body of a request goes on for too long."""


def sentence(error: object) -> str:
    """What is wrong, without secrets, and of files here no more than their names: their paths concern nobody else."""
    return _PATH.sub(r"\1", mask(str(error)))


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that says what is wrong."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": sentence(detail)}
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


# The most particular first.
_STATUS: tuple[tuple[type[CrosscamError], HTTPStatus], ...] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (UnfitError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (ErasureError, HTTPStatus.CONFLICT),
    (SearchError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (CorrectionError, HTTPStatus.NOT_FOUND),
    (LedgerError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def status_of(error: CrosscamError) -> HTTPStatus:
    """With which status an error is told."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.CONFLICT)


def add_the_rest(app: FastAPI, under: str) -> None:
    """Answer whatever is asked under that path and is not there: programs are not to get a page for people."""

    @app.api_route(under + "/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    def rest(request: Request, rest: str) -> Response:
        paths = app.openapi()["paths"]
        known = (methods for path, methods in paths.items() if compile_path(path)[0].match(request.url.path))
        allowed = sorted({method.upper() for methods in known for method in methods})
        if allowed:
            detail = f"{request.method} is not done here; {', '.join(allowed)} is"
            return problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, {"Allow": ", ".join(allowed)})
        return problem(HTTPStatus.NOT_FOUND, f"there is no {under}/{rest}; {under}/docs says what there is")


def install(app: FastAPI) -> None:
    """Have every error of the application answered like that."""

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> Response:
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> Response:
        faults = [f"{'.'.join(str(part) for part in one['loc'][1:]) or 'body'}: {one['msg']}" for one in error.errors()]
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(faults))

    @app.exception_handler(CrosscamError)
    async def _ours(_: Request, error: CrosscamError) -> Response:
        return problem(status_of(error), str(error))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        _log.error("%s %s broke: %s", request.method, request.url.path, mask(repr(error)))
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this request broke here; the service's log says why")
