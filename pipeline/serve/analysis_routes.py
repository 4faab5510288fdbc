"""`/v1/analyses`: new analyses of videos and of live cameras, and their results."""

from __future__ import annotations

import mimetypes
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Path, Request, Response, UploadFile
from fastapi.responses import FileResponse

from operators.picture_bytes import jpeg
from pipeline.serve.analyses import Analyses
from pipeline.serve.analysis_files import Analysis
from pipeline.serve.answers import Answer
from pipeline.serve.context import Etagged
from pipeline.serve.drawing import Drawn
from pipeline.serve.problems import UnfitError

router = APIRouter(prefix="/v1", route_class=Etagged, tags=["analyses"])


class AnalysisAnswer(Answer):
    """An analysis."""

    id: str
    name: str
    scenario: str
    state: str
    detail: str
    progress: float | None
    live: bool
    size: tuple[int, int] | None
    duration_s: float | None
    drawn: dict[str, Any]
    files: list[str]


def analyses(request: Request) -> Analyses:
    """The analyses of the application that a request came to."""
    kept: Analyses = request.app.state.analyses
    return kept


All = Annotated[Analyses, Depends(analyses)]
Id = Annotated[str, Path(max_length=64)]


@router.get("/analyses")
def listed(of: All) -> list[AnalysisAnswer]:
    """All of them, newest first."""
    return [_answer(of, one) for one in of.all()]


@router.post("/analyses", status_code=201)
def add(
    of: All,
    scenario: Annotated[str, Form(description="pedestrians, vehicles, classes, small, heads or flow.")] = "pedestrians",
    video: Annotated[UploadFile | None, File(description="A video file.")] = None,
    address: Annotated[str | None, Form(description="Instead: of a live camera, rtsp://...", max_length=2000)] = None,
    start: Annotated[bool, Form(description="false: wait until lines are drawn, and for `start`.")] = True,
) -> AnalysisAnswer:
    """Analyse a video, or a live camera until it is stopped."""
    if video is None and address is None:
        raise UnfitError("send one of `video` and `address`")
    one = of.add(scenario, video=None if video is None else (video.filename or "", video.file), address=address)
    return _answer(of, of.start(one.id) if start else one)


@router.get("/analyses/{id}")
def one(of: All, id: Id) -> AnalysisAnswer:
    """How far it is."""
    return _answer(of, of.get(id))


@router.get("/analyses/{id}/picture.jpg", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
def picture(of: All, id: Id) -> Response:
    """Its first picture, to draw on."""
    return Response(jpeg(of.picture(id)), media_type="image/jpeg")


@router.put("/analyses/{id}/rules")
def draw(of: All, id: Id, drawn: Drawn) -> AnalysisAnswer:
    """Give it lines and zones, before it is started."""
    of.draw(id, drawn)
    return _answer(of, of.get(id))


@router.post("/analyses/{id}/start")
def start(of: All, id: Id) -> AnalysisAnswer:
    """Run it as soon as those before it are done."""
    return _answer(of, of.start(id))


@router.post("/analyses/{id}/stop")
def stop(of: All, id: Id) -> AnalysisAnswer:
    """Stop it; what it has found so far is kept."""
    return _answer(of, of.stop(id))


@router.delete("/analyses/{id}", status_code=204)
def remove(of: All, id: Id) -> None:
    """Forget it, with all its files."""
    of.remove(id)


@router.get("/analyses/{id}/log", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def log(of: All, id: Id) -> Response:
    """The end of what its commands said."""
    return Response(of.log(id), media_type="text/plain; charset=utf-8")


@router.get("/analyses/{id}/files/{file:path}", response_class=FileResponse)
def result(of: All, id: Id, file: str) -> FileResponse:
    """One of its files."""
    path = of.result(id, file)
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return FileResponse(path, media_type=kind, filename=path.name, content_disposition_type="inline")


def _answer(of: Analyses, one: Analysis) -> AnalysisAnswer:
    fields = {name: getattr(one, name) for name in Analysis.__slots__}
    folder = None
    files = []
    for path in of.results(one.id):
        folder = folder or next(parent for parent in path.parents if parent.name == "results")
        files.append(str(path.relative_to(folder)))
    return AnalysisAnswer(**fields, files=files)
