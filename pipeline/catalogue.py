"""The official models of PaddleDetection that serve PP-Tracking's uses: by name, with their published figures.

Their publishers give no checksums, so none can be held to here before a first download: `crosscam models pull` writes
down what it fetched then, and holds every later download of that address to it (`pipeline.model_store`).
"""

from __future__ import annotations

from dataclasses import dataclass

_MOT = "https://paddledet.bj.bcebos.com/models/mot/"
_MODELS = "https://paddledet.bj.bcebos.com/models/"
_EXPORTED_MOT = "https://bj.bcebos.com/v1/paddledet/models/mot/"
_PIPELINE = "https://bj.bcebos.com/v1/paddledet/models/pipeline/"
_PICODET = "https://paddledet.bj.bcebos.com/deploy/Inference/"


@dataclass(frozen=True)
class Official:
    """One model.

    Attributes:
        task: what it does.
        figures: as published.
        archive: address of its export; None where its publishers give trained weights only.
        weights: address of those, to be exported by PaddleDetection's tools; None where the export is given.
        size: as published, megabytes of the archive or the weights; None where it is not.
        licence: of the model, as its publishers say.
        sha256: of the archive, hexadecimal; None where nobody has said.
    """

    task: str
    figures: str
    archive: str | None = None
    weights: str | None = None
    size: int | None = None
    licence: str = "Apache-2.0"
    sha256: str | None = None

    @property
    def address(self) -> str:
        """Where it is."""
        return self.archive or self.weights or ""


CATALOGUE: dict[str, Official] = {
    "mot_ppyoloe_l_36e_pipeline": Official(
        "detect pedestrians", "PP-Human: mAP 56.3, MOTA 72.0", _PIPELINE + "mot_ppyoloe_l_36e_pipeline.zip", size=182
    ),
    "mot_ppyoloe_s_36e_pipeline": Official(
        "detect pedestrians", "PP-Human, the light one", _PIPELINE + "mot_ppyoloe_s_36e_pipeline.zip", size=27
    ),
    "mot_ppyoloe_l_36e_ppvehicle": Official(
        "detect vehicles", "PP-Vehicle: mAP 63.9, MOTA 50.1", _PIPELINE + "mot_ppyoloe_l_36e_ppvehicle.zip", size=182
    ),
    "mot_ppyoloe_s_36e_ppvehicle": Official(
        "detect vehicles", "PP-Vehicle: mAP 61.3, MOTA 46.8", _PIPELINE + "mot_ppyoloe_s_36e_ppvehicle.zip", size=27
    ),
    "reid_model": Official("ReID of persons", "PP-Human: mAP 98.8", _PIPELINE + "reid_model.zip", size=92),
    "fairmot_hrnetv2_w18_dlafpn_30e_576x320": Official(
        "track pedestrians, one-shot",
        "MOT17 MOTA 65.3, IDF1 64.8",
        _EXPORTED_MOT + "fairmot_hrnetv2_w18_dlafpn_30e_576x320.tar",
    ),
    "fairmot_hrnetv2_w18_dlafpn_30e_576x320_bdd100kmot_vehicle": Official(
        "track vehicles, one-shot",
        "BDD100K MOTA 32.6",
        _EXPORTED_MOT + "fairmot_hrnetv2_w18_dlafpn_30e_576x320_bdd100kmot_vehicle.tar",
    ),
    "mcfairmot_hrnetv2_w18_dlafpn_30e_1088x608_visdrone": Official(
        "track ten classes from above, one-shot",
        "VisDrone MOTA 20.4",
        _EXPORTED_MOT + "mcfairmot_hrnetv2_w18_dlafpn_30e_1088x608_visdrone.tar",
    ),
    "fairmot_dla34_30e_1088x608": Official(
        "track pedestrians, one-shot",
        "MOT17 MOTA 75.3, IDF1 74.2",
        weights=_MOT + "fairmot_dla34_30e_1088x608.pdparams",
    ),
    "fairmot_dla34_30e_1088x608_headtracking21": Official(
        "track heads, one-shot",
        "HT21 MOTA 64.7, IDF1 69.0",
        weights=_MOT + "fairmot_dla34_30e_1088x608_headtracking21.pdparams",
    ),
    "mcfairmot_dla34_30e_1088x608_visdrone": Official(
        "track ten classes from above, one-shot",
        "VisDrone MOTA 24.3, IDF1 41.6",
        weights=_MOT + "mcfairmot_dla34_30e_1088x608_visdrone.pdparams",
    ),
    "jde_darknet53_30e_1088x608": Official(
        "track pedestrians, one-shot",
        "MOT16 MOTA 64.6, IDF1 58.5",
        weights=_MOT + "jde_darknet53_30e_1088x608.pdparams",
    ),
    "deepsort_pplcnet": Official(
        "ReID of persons",
        "Market-1501 mAP 71.6, top-1 87.4",
        weights=_MOT + "deepsort/deepsort_pplcnet.pdparams",
        size=36,
    ),
    "deepsort_pplcnet_vehicle": Official(
        "ReID of vehicles",
        "VeRi-Wild mAP 82.4, top-1 93.5",
        weights=_MOT + "deepsort/deepsort_pplcnet_vehicle.pdparams",
        size=93,
    ),
    "deepsort_pcb_pyramid_r101": Official(
        "ReID of persons",
        "Market-1501 mAP 86.3, top-1 95.0",
        weights=_MOT + "deepsort/deepsort_pcb_pyramid_r101.pdparams",
        size=289,
    ),
    "ppyoloe_crn_l_36e_640x640_mot17half": Official(
        "detect pedestrians",
        "MOT17-half MOTA 50.4, IDF1 59.7",
        weights=_MOT + "ppyoloe_crn_l_36e_640x640_mot17half.pdparams",
    ),
    "centertrack_dla34_70e_mot17half": Official(
        "track pedestrians", "trained on MOT17-half", weights=_MOT + "centertrack_dla34_70e_mot17half.pdparams"
    ),
    "ppyoloe_plus_crn_l_80e_coco": Official(
        "detect COCO's eighty classes", "COCO mAP 52.9", weights=_MODELS + "ppyoloe_plus_crn_l_80e_coco.pdparams"
    ),
    "ppyoloe_crn_s_80e_visdrone": Official(
        "detect small objects from above",
        "trained on VisDrone",
        weights=_MODELS + "ppyoloe_crn_s_80e_visdrone.pdparams",
    ),
    "picodet_s_416_coco_lcnet": Official(
        "detect COCO's eighty classes, light", "COCO mAP 32.5", _PICODET + "picodet_s_416_coco_lcnet.tar"
    ),
    "picodet_xs_320_coco_lcnet": Official(
        "detect COCO's eighty classes, light", "COCO mAP 23.5", _PICODET + "picodet_xs_320_coco_lcnet.tar"
    ),
}
