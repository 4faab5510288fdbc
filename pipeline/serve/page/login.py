"""Letting in who has the token, where the service asks for one."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pipeline.serve.guard import COOKIE, LOGIN, Guard

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>crosscam</title>
<style>body{{font:16px sans-serif;background:#10212f;color:#fff;display:grid;place-items:center;height:100vh;margin:0}}
form{{display:grid;gap:1rem;width:min(90vw,320px)}}input,button{{font:inherit;padding:.6rem;border-radius:6px;border:0}}
button{{background:#0b76b3;color:#fff;font-weight:600}}</style>
<main><form method="post"><h1>crosscam</h1><label for="token">Token of this service</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open</button><p role="alert">{said}</p></form></main></html>"""


def add(app: FastAPI, guard: Guard) -> None:
    """Register the page. The token is kept in a cookie that scripts cannot read."""

    @app.get(LOGIN, include_in_schema=False)
    def form() -> HTMLResponse:
        return HTMLResponse(_PAGE.format(said=""))

    @app.post(LOGIN, include_in_schema=False)
    def enter(token: Annotated[str, Form(max_length=512)]) -> Response:
        if not guard.admits(token):
            return HTMLResponse(_PAGE.format(said="That is not it."), status_code=401)
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=30 * 86_400)
        return answer
