"""Exported folders as ONNX files, by paddle2onnx."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from operators.inference import ModelError, find_model_file

OPSET = 13
TOO_NEW = (3, 12)
"""The first Python that paddle2onnx's own requirements are not published for."""


def to_onnx(folder: Path) -> Path:
    """Write `model.onnx` beside an exported model.

    A network that suppresses by itself takes one picture at a time as ONNX: paddle2onnx's suppression knows no batch.

    Raises:
        ModelError: paddle2onnx is not installed, or cannot convert the model.
    """
    try:
        import onnx
        import paddle2onnx
    except ImportError as error:
        remedy = "pip install 'crosscam[onnx-export]'"
        if sys.version_info >= TOO_NEW:
            remedy = "it is published for Python 3.11 and earlier, so export there"
        raise ModelError(f"ONNX files are written by paddle2onnx: {remedy} ({error})") from error
    program = find_model_file(folder)
    if program.suffix == ".onnx":
        raise ModelError(f"{program} is an ONNX file already")
    target = program.with_suffix(".onnx")
    try:
        paddle2onnx.export(
            str(program), str(program.with_suffix(".pdiparams")), save_file=str(target), opset_version=OPSET
        )
        model = onnx.load(str(target))
    except Exception as error:
        target.unlink(missing_ok=True)
        raise ModelError(f"paddle2onnx cannot convert {program} ({type(error).__name__}: {error})") from error
    _count_by_scalars(model, onnx)
    if any(node.op_type == "NonMaxSuppression" for node in model.graph.node):
        _one_at_a_time(model)
    whole = target.with_suffix(".onnx.part")
    onnx.save(model, str(whole))
    whole.replace(target)
    return target


def _one_at_a_time(model: Any) -> None:
    for given in model.graph.input:
        given.type.tensor_type.shape.dim[0].dim_value = 1


def _count_by_scalars(model: Any, onnx: Any) -> None:
    """Give `Range` the scalars that ONNX asks for: paddle2onnx hands it vectors of one number, and newer versions of
    ONNX Runtime refuse the file for that."""
    nodes = list(model.graph.node)
    if all(node.op_type != "Range" for node in nodes):
        return
    empty = "crosscam.scalar"
    model.graph.initializer.append(onnx.helper.make_tensor(empty, onnx.TensorProto.INT64, [0], []))
    done: list[Any] = []
    for node in nodes:
        if node.op_type == "Range":
            for place, name in enumerate(node.input):
                scalar = f"{name}.scalar.{len(done)}"
                done.append(onnx.helper.make_node("Reshape", [name, empty], [scalar], name=scalar))
                node.input[place] = scalar
        done.append(node)
    del model.graph.node[:]
    model.graph.node.extend(done)
