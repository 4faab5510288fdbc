"""What data sets call their classes."""

from __future__ import annotations

_COCO_NAMES = """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
    parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
    handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove,
    skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple,
    sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining
    table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink,
    refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush
"""
COCO = tuple(name.strip() for name in _COCO_NAMES.split(","))
"""What detectors trained on COCO call their eighty classes."""
VISDRONE = ("pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle", "awning-tricycle", "bus", "motor")
"""What models trained on VisDrone call its ten classes."""

_PLAIN_NAMES = {"pedestrian": "person", "motorbike": "motorcycle", "motor": "motorcycle", "aeroplane": "airplane"}


def plain_name(label: str) -> str:
    """A class by the name that COCO has for it; data sets differ."""
    return _PLAIN_NAMES.get(label, label)
