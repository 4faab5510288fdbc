"""One camera's analysis in its chain: rules put in place with the first picture, events as records, state to travel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtmct.records import EVENTS, Record
from operators.analyse import Event, Rules
from operators.analyse.analyser import Analyser
from operators.records import Float32, Frame, Int64
from pipeline.incident_pictures import IncidentPictures, PictureError
from pipeline.notes import dead_letter

Size = tuple[int, int]


class CameraAnalysis:
    """What the chain hands its tracks to.

    Args:
        site, camera: for the records.
        rules: of the camera.
        classes: names that class indices refer to.
        homography: pixels to metres, where known.
        size: of the picture, where known before it is seen.
        pictures: where the picture of each incident is kept; None for nowhere.

    Attributes:
        letters: what went wrong since they were last taken, as dead letters.
    """

    def __init__(
        self,
        *,
        site: str,
        camera: str,
        rules: Rules,
        classes: Sequence[str],
        homography: NDArray[np.float64] | None = None,
        size: Size | None = None,
        pictures: IncidentPictures | None = None,
    ) -> None:
        self._site, self._camera = site, camera
        self._rules, self._classes, self._homography = rules, tuple(classes), homography
        self._size = size
        self._pictures = pictures
        self._analyser: Analyser | None = None
        self.letters: list[Record] = []

    def frame(
        self, frame: Frame, ids: Int64, boxes: Float32, classes: NDArray[np.integer[Any]], ended: Sequence[int]
    ) -> list[Record]:
        """Take in a frame's tracks; see `Analyser.update`. A line outside the picture leaves a dead letter, once."""
        if self._analyser is None:
            if frame.image is not None:
                self._size = (frame.image.shape[1], frame.image.shape[0])
            self._analyser, wrong = self._placed()
            self.letters += [
                dead_letter(self._site, self._camera, "rule_outside", sentence, None, frame.time_ns)
                for sentence in wrong
            ]
        events = self._analyser.update(ids, boxes, classes, frame.time_ns, frame=frame.index, ended=ended)
        if self._pictures is not None and frame.image is not None:
            for event in events:
                if event.type == "incident" and event.fields["state"] == "started":
                    self._keep(event, frame, boxes, classes)
        return self._records(events)

    def advance_to(self, time_ns: int) -> list[Record]:
        """Nothing more is to come from before `time_ns`."""
        if self._pictures is not None:
            self._pictures.expire(time_ns)
        return [] if self._analyser is None else self._records(self._analyser.advance_to(time_ns))

    def finish(self) -> list[Record]:
        """The source has ended."""
        return [] if self._analyser is None else self._records(self._analyser.finish())

    def snapshot(self) -> dict[str, Any]:
        """The state, to be kept with the chain's."""
        analyser = None if self._analyser is None else self._analyser.snapshot()
        return {"size": self._size, "analyser": analyser}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go on from a snapshot; None is that of a run without analysis."""
        if state is None or state["analyser"] is None:
            return
        self._size = None if state["size"] is None else (state["size"][0], state["size"][1])
        self._analyser, _ = self._placed()
        self._analyser.restore(state["analyser"])

    def _keep(self, event: Event, frame: Frame, boxes: Float32, classes: NDArray[np.integer[Any]]) -> None:
        assert self._pictures is not None and frame.image is not None
        event.fields["snapshot"]["file"] = self._pictures.name(event)
        try:
            self._pictures.write(event, frame.image, boxes, [self._classes[int(cls)] for cls in classes])
        except PictureError as error:
            self.letters.append(dead_letter(self._site, self._camera, "picture_lost", str(error), None, frame.time_ns))

    def _placed(self) -> tuple[Analyser, list[str]]:
        rules, wrong = self._rules.placed(self._size)
        return Analyser(rules, self._classes, self._homography), wrong

    def _records(self, events: Sequence[Event]) -> list[Record]:
        return [_record(self._site, self._camera, event) for event in events]


def _record(site: str, camera: str, event: Event) -> Record:
    value = {
        "schema": "crosscam.events/1",
        "site": site,
        "camera": camera,
        "type": event.type,
        "time": event.time_ns // 1000,
        **event.fields,
    }
    return Record(EVENTS, camera, value, event.time_ns)
