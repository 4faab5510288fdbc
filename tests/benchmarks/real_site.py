"""epfl_terrace or pets_s2l1 as a site's folder, such as a user has: its YAML file, detections and ground truth.

python tests/benchmarks/real_site.py OUT terrace|pets [--gap] [--tracker NAME] [--ahead CAMERA=SECONDS]

Local tracks are those of `fusion_terrace.py` and `fusion_pets.py`, or a tracker's. `--ahead` sets a camera's clock
wrong. Then, as on any site:

    crosscam run OUT/site.yaml && crosscam eval sites OUT/site.yaml --gt OUT/truth
    python tests/benchmarks/fusion_parity.py OUT/site.yaml --gt OUT/truth
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import fusion_pets
import fusion_terrace
import numpy as np
from fusion_support import CameraTable, tracked
from ruamel.yaml import YAML

from operators.embed import StripeEmbedder


def write(
    folder: Path,
    name: str,
    cameras: Mapping[str, CameraTable],
    truth: Mapping[str, CameraTable],
    homographies: Mapping[str, np.ndarray],
    sizes: Mapping[str, tuple[int, int]],
    ahead: Mapping[str, float],
) -> Path:
    """Write the folder; the path of its YAML file."""
    for part in ("detections", "truth"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    listed = []
    for camera, table in cameras.items():
        wrong = ahead.get(camera, 0.0)
        path = folder / "detections" / f"{camera}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for row in np.lexsort((table.tracks, table.frames)).tolist():
                frame = int(table.frames[row])
                said = {
                    "time": round(1000.0 + wrong + (frame - 1) / table.fps, 6),
                    "frame": frame,
                    "id": int(table.tracks[row]),
                    "box": [round(float(side), 2) for side in table.boxes[row]],
                    "score": 0.9,
                    "cls": "person",
                }
                if table.embeddings is not None:
                    said["embedding"] = [round(float(value), 4) for value in table.embeddings[row]]
                file.write(json.dumps(said) + "\n")
        true = truth[camera]
        size = true.boxes[:, 2:] - true.boxes[:, :2]
        rest = np.tile([1.0, 1.0, 1.0], (len(true.frames), 1))
        rows = np.column_stack([true.frames, true.people, true.boxes[:, :2], size, rest])
        np.savetxt(folder / "truth" / f"{camera}.txt", rows, fmt="%d,%d,%.2f,%.2f,%.2f,%.2f,%d,%d,%.1f")
        matrix = homographies[camera]
        listed.append(
            {
                "id": camera,
                "source": f"detections:detections/{camera}.jsonl",
                "fps": float(table.fps),
                "crop": [0, 0, *sizes[camera]],
                "homography": [[float(f"{value:.9g}") for value in row] for row in matrix.tolist()],
            }
        )
    config: dict[str, object] = {"site": name}
    if any(table.embeddings is not None for table in cameras.values()):
        config["embedder"] = {"calibration": list(StripeEmbedder.calibration)}
    path = folder / "site.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML().dump({**config, "cameras": listed}, file)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("data", choices=("terrace", "pets"))
    parser.add_argument("--gap", action="store_true", help="pets: a blind gap instead of an overlap")
    parser.add_argument("--tracker", help="forget the ids and let this tracker make its own")
    parser.add_argument("--ahead", action="append", default=[], help="CAMERA=SECONDS that its clock is ahead")
    options = parser.parse_args()
    ahead = {name: float(value) for name, _, value in (each.partition("=") for each in options.ahead)}
    if options.data == "terrace":
        cameras = fusion_terrace.tables(False, 0.0, 0)
        homographies = {name: fusion_terrace.homography(name) for name in cameras}
        sizes = dict.fromkeys(cameras, (360, 288))
    else:
        crops = fusion_pets.CROPS_WITH_A_GAP if options.gap else fusion_pets.CROPS
        cameras = fusion_pets.tables(crops, 0.0, 0.0, True, 0)
        homographies = {name: fusion_pets.homography(left) for name, (left, _) in crops.items()}
        sizes = {name: (right - left, 576) for name, (left, right) in crops.items()}
    seen = {name: tracked(table, options.tracker) for name, table in cameras.items()} if options.tracker else cameras
    print(write(options.out, options.data, seen, cameras, homographies, sizes, ahead))


if __name__ == "__main__":
    main()
