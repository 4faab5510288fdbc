"""`/v1/live`: records as they are committed, over a WebSocket, to be resumed from a position.

A frame is a JSON object: `records`, a list of `{"topic", "record"}` in commit order within each topic, and `positions`,
where each topic has come to. Whoever comes back gives these, `/v1/live?tracks=POSITION&identities=POSITION`, and misses
nothing, and gets nothing twice. Without them the newest records begin. With `schema=nvidia`, `records` holds nv.Frame
and nv.Behavior objects instead (see `pipeline.nvidia`).
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from mtmct.records import EVENTS, IDENTITIES, TRACKS
from operators.records import CrosscamError
from pipeline.ledger.base import Stored
from pipeline.nvidia import behaviors, frames
from pipeline.serve.context import Served
from pipeline.serve.feed import Numbered, TooFarBehindError
from pipeline.serve.metrics import Requests
from pipeline.serve.problems import sentence

router = APIRouter()

TOPICS = (TRACKS, IDENTITIES, EVENTS)
# What a close says: it can be tried again at once; what was sent makes no sense.
TRY_AGAIN, REFUSED = 1013, 1008
# Where the ring was when a watcher came: its end, and the positions that it had reached.
Start = tuple[int, Mapping[str, str]]


@router.websocket("/v1/live")
async def live(socket: WebSocket) -> None:
    """See the module."""
    of: Served = socket.app.state.served
    start = of.feed.ring.now()  # before whoever asks is told that he is heard
    await socket.accept()
    asked = socket.query_params
    topics = tuple(asked.get("topics", ",".join(TOPICS)).split(","))
    if not set(topics) <= set(TOPICS):
        await socket.close(REFUSED, f"topics are {', '.join(TOPICS)}")
        return
    camera = asked.get("camera")
    if asked.get("schema", "crosscam") not in WRITTEN:
        await socket.close(REFUSED, f"schemas are {', '.join(WRITTEN)}")
        return
    wanted = asked.get("schema", "crosscam"), camera
    positions = {topic: asked[topic] for topic in topics if topic in asked}
    requests: Requests = socket.app.state.requests
    requests.watchers += 1
    sender = asyncio.create_task(_send(socket, of, topics, wanted, positions, start))
    try:
        while True:
            await socket.receive_text()  # nothing is expected; this is how one learns that the watcher has left
    except WebSocketDisconnect:
        pass
    finally:
        requests.watchers -= 1
        sender.cancel()
        with suppress(asyncio.CancelledError):
            await sender


async def _send(
    socket: WebSocket,
    of: Served,
    topics: tuple[str, ...],
    wanted: tuple[str, str | None],
    positions: dict[str, str],
    start: Start,
) -> None:
    try:
        async for portion in _portions(of, socket.app.state.portions, topics, positions, start):
            positions |= portion.reached
            text = portion.text(*wanted)
            if text is not None:
                await socket.send_text(f'{{"records":{text},"positions":{json.dumps(positions)}}}')
    except TooFarBehindError as error:
        await socket.close(TRY_AGAIN, sentence(error)[:120])
    except CrosscamError as error:
        await socket.close(REFUSED, sentence(error)[:120])
    except (WebSocketDisconnect, RuntimeError):
        return  # the watcher has left


class Portion:
    """Records that are sent together, and their texts, each written once however many watchers get it."""

    def __init__(self, records: list[Stored]) -> None:
        self.records = records
        self.reached = {stored.topic: stored.position for stored in records}
        self._texts: dict[tuple[str, str | None], str | None] = {}

    def text(self, schema: str, camera: str | None) -> str | None:
        """Those of a camera, or of all, as a JSON list in that schema; None if there are none."""
        key = schema, camera
        if key not in self._texts:
            some = [one for one in self.records if camera is None or one.value.get("camera", camera) == camera]
            self._texts[key] = WRITTEN[schema](some) if some else None
        return self._texts[key]


class Portions:
    """The newest portions. Watchers who live in the present get the very same."""

    def __init__(self, kept: int = 8) -> None:
        self._kept = kept
        self._held: OrderedDict[tuple[int, int, tuple[str, ...]], Portion] = OrderedDict()

    def of(self, numbered: list[Numbered], topics: tuple[str, ...]) -> Portion:
        """What these records of the ring are to whoever wants these topics."""
        key = numbered[0].number, numbered[-1].number, topics
        if key not in self._held:
            self._held[key] = Portion([one.stored for one in numbered if one.stored.topic in topics])
            if len(self._held) > self._kept:
                self._held.popitem(last=False)
        return self._held[key]


async def _portions(
    of: Served, shared: Portions, topics: tuple[str, ...], positions: Mapping[str, str], start: Start
) -> AsyncIterator[Portion]:
    """Records after the positions: from the ledger if the ring does not reach back so far, then live."""
    ring = of.feed.ring
    number, read_by_ring = start
    had = ring.numbers(positions)
    waiting: dict[str, str] = {}
    if had is not None:
        number = min(had.values(), default=number - 1) + 1
    else:
        had, seen = {}, dict(positions)
        past = _past(of, positions)
        while page := await asyncio.to_thread(next, past, None):
            seen |= {stored.topic: stored.position for stored in page}
            yield Portion(page)
        # Of each topic the ring brings first what the ledger has given already: up to and including that position.
        waiting = {topic: position for topic, position in seen.items() if read_by_ring.get(topic) != position}
    newest_had = max(had.values(), default=-1)
    while True:
        await ring.news(number)
        numbered = ring.since(number)
        if not waiting and number > newest_had:
            portion = shared.of(numbered, topics)
        else:
            portion = Portion(list(_not_given(numbered, topics, had, waiting)))
        number = numbered[-1].number + 1
        if portion.records:
            yield portion


def _not_given(
    numbered: list[Numbered], topics: tuple[str, ...], had: Mapping[str, int], waiting: dict[str, str]
) -> Iterator[Stored]:
    """Those of the topics that the watcher has not got yet; of `waiting` is taken away what has been reached."""
    for one in numbered:
        topic = one.stored.topic
        if topic in waiting:
            if waiting[topic] == one.stored.position:
                del waiting[topic]
        elif topic in topics and one.number > had.get(topic, -1):
            yield one.stored


def _past(of: Served, positions: Mapping[str, str]) -> Iterator[list[Stored]]:
    reader = of.place.reader()
    try:
        for topic, position in positions.items():
            yield from reader.pages(topic, after=position)
    finally:
        reader.close()


def as_stored(some: list[Stored]) -> str:
    """Records as a JSON list. What is stored as JSON is passed on as it is."""
    return "[" + ",".join(f'{{"topic":"{one.topic}","record":{_json(one)}}}' for one in some) + "]"


def as_nvidia(some: list[Stored]) -> str:
    """The same in NVIDIA's layout: frames, then behaviours; what it has no place for is left out."""
    said: list[object] = [*frames(one.value for one in some if one.topic == TRACKS)]
    for one in some:
        if one.topic == EVENTS and one.value["type"] == "journey":
            said += behaviors(one.value)
    return json.dumps(said, separators=(",", ":"))


WRITTEN: Mapping[str, Callable[[list[Stored]], str]] = {"crosscam": as_stored, "nvidia": as_nvidia}


def _json(stored: Stored) -> str:
    return stored.raw.decode() if stored.raw[:1] == b"{" else json.dumps(stored.value, separators=(",", ":"))
