"""What exports do after the heads, inside the graph: suppression, top scores, the way back to the picture."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
from paddle import Tensor, _C_ops

TOP = 1000


def suppress_in_graph(boxes: Tensor, scores: Tensor, floor: float, iou: float, limit: int) -> tuple[Tensor, ...]:
    """Non-maximum suppression per class, as PaddleDetection's exports do it.

    Args:
        boxes: (B, A, 4), xyxy.
        scores: (B, C, A).
        floor: boxes that score less are left out.
        iou: overlap that two boxes of one class may have.
        limit: boxes kept a picture at most.

    Returns:
        rows (N, 6) of class, score, xyxy; the rows' places (N, 1) in `boxes` flattened; counts (B,) int32.
    """
    if paddle.in_dynamic_mode() or paddle.framework.in_pir_mode():
        rows, places, counts = _C_ops.multiclass_nms3(boxes, scores, None, floor, TOP, limit, iou, False, 1.0, -1)
        return rows, places, counts
    from paddle.base.layer_helper import LayerHelper

    helper = LayerHelper("multiclass_nms3")
    rows = helper.create_variable_for_type_inference(dtype=boxes.dtype)
    places, counts = (helper.create_variable_for_type_inference(dtype="int32") for _ in range(2))
    attributes = {
        "background_label": -1,
        "score_threshold": floor,
        "nms_top_k": TOP,
        "nms_threshold": iou,
        "keep_top_k": limit,
        "nms_eta": 1.0,
        "normalized": False,
    }
    helper.append_op(
        type="multiclass_nms3",
        inputs={"BBoxes": boxes, "Scores": scores},
        attrs=attributes,
        outputs={"Out": rows, "Index": places, "NmsRoisNum": counts},
    )
    return rows, places, counts


def to_picture(boxes: Tensor, scale_factor: Tensor) -> Tensor:
    """Boxes (B, A, 4) in input pixels, in pixels of pictures scaled by (B, 2) y, x that lie top left."""
    factors = paddle.concat([scale_factor.flip([1])] * 2, axis=1).unsqueeze(1)
    return boxes / factors


def out_of_letterbox(rows: Tensor, image: Tensor, im_shape: Tensor, scale_factor: Tensor) -> Tensor:
    """Rows (N, 6) of class, score, xyxy in input pixels, in pixels of the one picture in the middle of its input.

    N may be 0, so nothing is concatenated along it: oneDNN ends the process there (`joins_found_rows`).
    """
    size = paddle.concat([im_shape[:, 1:], im_shape[:, :1]], axis=1)
    whole = paddle.stack([paddle.shape(image)[3], paddle.shape(image)[2]]).astype("float32").reshape([1, 2])
    # As the picture was placed: a whole pixel.
    offset = paddle.floor((whole - size) / 2)
    scale = paddle.concat([scale_factor[:, 1:], scale_factor[:, :1]], axis=1)
    none = paddle.zeros([1, 2])
    return (rows - paddle.concat([none, offset, offset], axis=1)) / paddle.concat([none + 1, scale, scale], axis=1)


def peaks(heat: Tensor, top: int) -> tuple[Tensor, Tensor, Tensor]:
    """The highest cells of a heat map that are the highest of their 3x3 surroundings.

    Args:
        heat: (1, C, H, W) in [0, 1].
        top: how many.

    Returns:
        scores (K,), classes (K,) int64, cells (K,) int64 counted row by row.
    """
    surviving = heat * (F.max_pool2d(heat, 3, stride=1, padding=1) == heat).astype(heat.dtype)
    cells = paddle.shape(heat)[2] * paddle.shape(heat)[3]
    scores, places = paddle.topk(surviving.flatten(), top)
    cells = cells.astype("int64")
    return scores, places // cells, places % cells
