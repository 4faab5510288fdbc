"""Profiles: named choices of classes, tracker and way of looking. Every choice can be overridden in the site's file."""

from __future__ import annotations

from dataclasses import dataclass

from operators.class_names import VISDRONE

SIX = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
"""What the bundled detector finds."""


@dataclass(frozen=True)
class Profile:
    """What a profile chooses.

    Attributes:
        classes: names of the classes that are kept.
        tracker: its name.
        tiled: large pictures are looked at tile by tile.
        one_shot: needs a network that gives embeddings along with boxes.
        model: the official model that serves it best, by its name in the catalogue (`crosscam models list`).
        figures: what its publishers measured.
    """

    classes: tuple[str, ...]
    model: str
    figures: str
    tracker: str = "steady"
    tiled: bool = False
    one_shot: bool = False

    @property
    def bundled(self) -> bool:
        """The detector that comes along can serve it."""
        return not self.one_shot and set(self.classes) <= set(SIX)


_FAIRMOT = ("fairmot_dla34_30e_1088x608", "MOT17 MOTA 75.3, IDF1 74.2")

PROFILES: dict[str, Profile] = {
    "pedestrian": Profile(("person",), "mot_ppyoloe_l_36e_pipeline", "used by PP-Human"),
    "vehicle": Profile(
        ("bicycle", "car", "motorcycle", "bus", "truck"), "mot_ppyoloe_l_36e_ppvehicle", "mAP 63.9, MOTA 50.1"
    ),
    "multiclass": Profile(SIX, "ppyoloe_plus_crn_l_80e_coco", "COCO mAP 52.9"),
    "visdrone": Profile(VISDRONE, "mcfairmot_dla34_30e_1088x608_visdrone", "VisDrone MOTA 24.3, IDF1 41.6"),
    "head": Profile(("head",), "fairmot_dla34_30e_1088x608_headtracking21", "HT21 MOTA 64.7, IDF1 69.0"),
    "aerial": Profile(SIX, "ppyoloe_crn_s_80e_visdrone", "small objects, VisDrone", tiled=True),
    "fairmot": Profile(("person",), *_FAIRMOT, tracker="fairmot", one_shot=True),
    "jde": Profile(("person",), "jde_darknet53_30e_1088x608", "MOT16 MOTA 64.6, IDF1 58.5", "jde", one_shot=True),
    "deepsort": Profile(("person",), "deepsort_pplcnet", "MOT16 MOTA 64.0, IDF1 51.3", "deepsort"),
    "bytetrack": Profile(("person",), "ppyoloe_crn_l_36e_640x640_mot17half", "MOT17-half MOTA 50.4", "bytetrack"),
    "centertrack": Profile(("person",), "centertrack_dla34_70e_mot17half", "MOT17-half", "centertrack"),
}
