"""The official models of PaddleDetection that serve PP-Tracking's uses: by name, with their published figures.

The publishers give no checksums; `crosscam models pull --sha256` checks one where you know it, and the one that was
fetched is always printed. Licence of all: Apache-2.0.
"""

from __future__ import annotations

from dataclasses import dataclass

_DEPLOY = "https://bj.bcebos.com/v1/paddledet/models/mot/"
_PIPELINE = "https://bj.bcebos.com/v1/paddledet/models/pipeline/"


@dataclass(frozen=True)
class Official:
    """One model.

    Attributes:
        task: what it does.
        address: of its archive; None where its publishers give trained weights only, to be exported by their tools.
        figures: as published.
        sha256: of the archive, hexadecimal; None where nobody has said.
    """

    task: str
    address: str | None
    figures: str
    sha256: str | None = None


CATALOGUE: dict[str, Official] = {
    "mot_ppyoloe_l_36e_pipeline": Official(
        "detect pedestrians", _PIPELINE + "mot_ppyoloe_l_36e_pipeline.zip", "used by PP-Human"
    ),
    "mot_ppyoloe_s_36e_pipeline": Official(
        "detect pedestrians", _PIPELINE + "mot_ppyoloe_s_36e_pipeline.zip", "used by PP-Human, the light one"
    ),
    "mot_ppyoloe_l_36e_ppvehicle": Official(
        "detect vehicles", _PIPELINE + "mot_ppyoloe_l_36e_ppvehicle.zip", "PP-Vehicle: mAP 63.9, MOTA 50.1"
    ),
    "reid_model": Official("ReID of persons", _PIPELINE + "reid_model.zip", "used by PP-Human's MTMCT"),
    "fairmot_hrnetv2_w18_dlafpn_30e_576x320": Official(
        "track pedestrians, one-shot",
        _DEPLOY + "fairmot_hrnetv2_w18_dlafpn_30e_576x320.tar",
        "MOT17 MOTA 65.3, IDF1 64.8",
    ),
    "fairmot_dla34_30e_1088x608": Official("track pedestrians, one-shot", None, "MOT17 MOTA 75.3, IDF1 74.2"),
    "fairmot_dla34_30e_1088x608_headtracking21": Official("track heads, one-shot", None, "HT21 MOTA 64.7, IDF1 69.0"),
    "mcfairmot_dla34_30e_1088x608_visdrone": Official(
        "track ten classes from above, one-shot", None, "VisDrone MOTA 24.3, IDF1 41.6"
    ),
    "jde_darknet53_30e_1088x608": Official("track pedestrians, one-shot", None, "MOT16 MOTA 64.6, IDF1 58.5"),
    "deepsort_pplcnet": Official("ReID of persons", None, "Market-1501 mAP 71.6, top-1 87.4"),
    "deepsort_pplcnet_vehicle": Official("ReID of vehicles", None, "VeRi-Wild mAP 82.4, top-1 93.5"),
    "deepsort_pcb_pyramid_r101": Official("ReID of persons", None, "Market-1501 mAP 86.3, top-1 95.0"),
    "ppyoloe_crn_l_36e_640x640_mot17half": Official("detect pedestrians", None, "MOT17-half MOTA 50.4, IDF1 59.7"),
    "centertrack_dla34_70e_mot17half": Official("track pedestrians", None, "trained on MOT17-half"),
    "ppyoloe_plus_crn_l_80e_coco": Official("detect COCO's eighty classes", None, "COCO mAP 52.9"),
    "ppyoloe_crn_s_80e_visdrone": Official("detect small objects from above", None, "trained on VisDrone"),
    "picodet_s_416_coco_lcnet": Official("detect COCO's eighty classes, light", None, "COCO mAP 32.5"),
    "picodet_xs_320_coco_lcnet": Official("detect COCO's eighty classes, light", None, "COCO mAP 23.5"),
}
