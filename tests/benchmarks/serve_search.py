"""Search by picture through the API: how often the first answer is the right person, on the demo's two cameras.

    crosscam demo --output out && python tests/benchmarks/serve_search.py out/ledger.sqlite [--every 20]

Every 20th frame's people, cut out by the ground truth where at least three quarters of them are inside a camera's
picture, are sent to POST /v1/search. Right is an identity most of whose boxes are of that person. The gallery holds
looks of the same recording, some tenths of a second away from a query's as well, so this says how well the way through
the API works, and not how well people are recognised days later. Prints JSON. Needs ../shared/data/pets_s2l1.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from demo_accuracy import CROPS, DATA
from fastapi.testclient import TestClient

from mtmct.evaluation import box_ious
from mtmct.mot_text import read_people
from operators.records import Float64, Int64
from pipeline.address import find
from pipeline.config_file import load
from pipeline.resources import configs
from pipeline.serve.app import Options, create_app
from pipeline.serve.context import Served


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledger")
    parser.add_argument("--every", type=int, default=20)
    args = parser.parse_args()
    rows = np.loadtxt(DATA / "gt.txt", delimiter=",")
    rows = rows[rows[:, 6] == 1]
    people = read_people(DATA / "people.txt")
    who = np.array([people.get(int(number), int(number)) for number in rows[:, 1]])
    place = replace(find(args.ledger), site=load(configs() / "demo.yaml"))
    with tempfile.TemporaryDirectory() as work:
        app = create_app(place, Options(page=False, local=False, work=Path(work)))
        with TestClient(app) as client:
            app.served.feed.wait_until_caught_up()
            owners = identities_of(app.served, rows, who)
            app.served.searches.take = lambda: 0.0  # nobody waits here
            answers = [*asked(client, rows, who, args.every)]
    right = [bool(found) and owners.get(found[0]["identity"]) == person for person, found in answers]
    among = [any(owners.get(one["identity"]) == person for one in found[:5]) for person, found in answers]
    result = {
        "queries": len(answers),
        "rank1": round(float(np.mean(right)), 3),
        "rank5": round(float(np.mean(among)), 3),
    }
    print(json.dumps({**result, "identities": len(owners)}))


def identities_of(served: Served, rows: Float64, who: Int64) -> dict[str, int]:
    """The person that most boxes of each identity are of."""
    votes: dict[str, Counter[int]] = {}
    for camera, (left, _) in CROPS.items():
        for value in served.records(camera):
            name = served.view.name_of(camera, value["track"], value["start"])
            for frame, point in zip(value["frames"], value["points"], strict=True):
                there = rows[:, 0] == frame
                boxes = rows[there, 2:6].copy()
                box = np.array([[point[1] + left, point[2], point[3] - point[1], point[4] - point[2]]])
                overlaps = box_ious(box, boxes)[0]
                if name is not None and len(overlaps) and overlaps.max() >= 0.5:
                    votes.setdefault(name, Counter())[int(who[there][overlaps.argmax()])] += 1
    return {name: count.most_common(1)[0][0] for name, count in votes.items()}


def asked(client: TestClient, rows: Float64, who: Int64, every: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Person and answer of every query."""
    capture = cv2.VideoCapture(str(configs() / "media" / "walkway.mp4"))
    number = 0
    while True:
        read, image = capture.read()
        if not read:
            return
        number += 1
        if number % every:
            continue
        there = rows[:, 0] == number
        for camera, (left, right) in CROPS.items():
            picture = cv2.imencode(".png", image[:, left:right])[1].tobytes()
            for (x, y, width, height), person in zip(rows[there, 2:6], who[there], strict=True):
                x1, x2 = max(x, left), min(x + width, right)
                y1, y2 = max(y, 0.0), min(y + height, float(image.shape[0]))
                if x2 - x1 < 0.75 * width or y2 - y1 < 0.75 * height:
                    continue
                box = f"{x1 - left:.1f},{y1:.1f},{x2 - left:.1f},{y2:.1f}"
                answer = client.post(
                    "/v1/search", files={"picture": (camera, picture)}, data={"box": box, "count": "5"}
                )
                if answer.status_code == 200:
                    yield int(person), answer.json()


if __name__ == "__main__":
    main()
