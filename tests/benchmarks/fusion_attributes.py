"""What attributes add to looks: a simulated site, fused with and without them, on the same local tracks.

Everybody is given attributes at random, of a few facets as unevenly spread as clothes are. A track's are misread for as
long as it lasts: of each facet with the probability `--error`, in favour of what is common. The looks are those of
`fusion_site.py`. One JSON line a seed.

python tests/benchmarks/fusion_attributes.py [--place mall] [--tracker deepsort] [--rank1 0.7] [--error 0.15]
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
from fusion_site import fused
from site_support import Recorded, owners_of, recordings, site_options

from mtmct.records import CameraBatch

# How common the values are among people in the street, roughly.
FACETS = {
    "gender": {"female": 0.5, "none": 0.5},
    "age": {"under 18": 0.1, "18 to 60": 0.75, "over 60": 0.15},
    "sleeves": {"short": 0.4, "long": 0.6},
    "upper": {"striped": 0.1, "logo": 0.1, "plaid": 0.1, "none": 0.7},
    "lower": {"trousers": 0.6, "shorts": 0.2, "skirt": 0.2},
    "bag": {"handbag": 0.1, "shoulder bag": 0.1, "backpack": 0.2, "none": 0.6},
    "hat": {"hat": 0.1, "none": 0.9},
}


def drawn(random: np.random.Generator) -> dict[str, str]:
    return {facet: str(random.choice(list(values), p=list(values.values()))) for facet, values in FACETS.items()}


def described(recorded: Recorded, error: float) -> Recorded:
    """The same with attributes on the first piece of every track, and on every tenth after it."""
    random = np.random.default_rng(recorded.settings.seed)
    owners = owners_of(recorded)[0]
    people = {person: drawn(random) for person in sorted(set(owners.values()))}
    read: dict[tuple[str, int], dict[str, str]] = {}
    batches: dict[str, list[CameraBatch]] = {}
    for name, made in recorded.batches.items():
        seen: dict[int, int] = {}
        batches[name] = []
        for batch in made:
            pieces = []
            for piece in batch.tracklets:
                key, turn = (name, piece.track), seen.get(piece.track, 0)
                seen[piece.track] = turn + 1
                if len(piece) and turn % 10 == 0:
                    if key not in read:
                        truth, else_ = people.get(owners.get(key, -1), drawn(random)), drawn(random)
                        read[key] = {f: else_[f] if random.random() < error else truth[f] for f in FACETS}
                    piece = replace(piece, attributes={facet: {value: 1.0} for facet, value in read[key].items()})
                pieces.append(piece)
            batches[name].append(replace(batch, tracklets=tuple(pieces)))
    return replace(recorded, batches=batches)


def main() -> None:
    error = 0.15
    if "--error" in sys.argv:
        place = sys.argv.index("--error")
        error = float(sys.argv[place + 1])
        del sys.argv[place : place + 2]
    options = site_options(__doc__, rank1=0.7)
    for recorded in recordings(options):
        for calibrated in (True, False):
            if options.only in (None, "calibrated" if calibrated else "uncalibrated"):
                kept = ("corrected", "identities")
                without, with_them = (
                    fused(recorded, calibrated, options.bridge),
                    fused(described(recorded, error), calibrated, options.bridge),
                )
                row = {
                    "site": recorded.settings.text(),
                    "tracker": options.tracker,
                    "calibrated": calibrated,
                    "misread": error,
                    "looks": {name: without[name] for name in kept},
                    "looks_and_attributes": {name: with_them[name] for name in kept},
                }
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
