"""Weights that come from anywhere: read as Paddle reads them, and nothing that a file says is run."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

from operators.inference import ModelError
from operators.networks.tensor_file import read_saved
from operators.networks.training.errors import TrainingError
from operators.networks.training.loop import CHECKPOINT, _restore
from operators.networks.weights import read_state


def network() -> nn.Layer:
    return nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4))


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_weights_are_read_as_paddle_reads_them(tmp_path: Path, protocol: int) -> None:
    file = tmp_path / "w.pdparams"
    paddle.save(network().state_dict(), str(file), protocol=protocol)
    expected = paddle.load(str(file), return_numpy=True)
    found = read_state(file)
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, strict=True)


@pytest.mark.parametrize("protocol", [2, 4])
def test_whatever_a_checkpoint_nests_is_read(tmp_path: Path, protocol: int) -> None:
    saved = {
        "layer": network().state_dict(),
        "moments": [{"m": paddle.ones([2])}, {}],
        "log": [{"epoch": 1, "loss": np.float32(0.5), "name": "café"}],
        "plan": ("adam", 3, None),
        "table": OrderedDict(a=np.arange(3)),
    }
    paddle.save(saved, str(tmp_path / "c"), protocol=protocol)
    found = read_saved(tmp_path / "c")
    assert isinstance(found["layer"]["0.weight"], np.ndarray)
    np.testing.assert_array_equal(found["moments"][0]["m"], np.ones(2, np.float32), strict=True)
    assert found["log"] == saved["log"] and found["plan"] == saved["plan"] and found["moments"][1] == {}
    np.testing.assert_array_equal(found["table"]["a"], np.arange(3))


def test_an_array_of_gigabytes_is_put_together_from_its_pieces(tmp_path: Path) -> None:
    whole = np.arange(12, dtype=np.float32).reshape(3, 4)
    pieces = {f"w@@.{n}": part for n, part in enumerate(np.split(whole.ravel(), 3))}
    about = {"w": {"OriginShape": (3, 4), "slices": [*pieces]}}
    names = {"StructuredToParameterName@@": {"w": "w_0"}}
    (tmp_path / "w").write_bytes(pickle.dumps({"b": np.ones(1), **pieces, "UnpackBigParamInfor@@": about, **names}))
    found = read_state(tmp_path / "w")
    assert set(found) == {"w", "b"}
    np.testing.assert_array_equal(found["w"], whole, strict=True)


class Calls:
    """Pickled as a call."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize(
    "call",
    [
        Calls(os.system, "touch touched"),
        Calls(eval, "open('touched', 'w')", {"data": np.zeros(1)}),
        Calls(eval, "data", {"data": Calls(os.system, "touch touched")}),
        Calls(getattr, np.ndarray, "tofile"),
    ],
    ids=["a command", "an expression", "a command in an array's place", "an attribute"],
)
def test_what_a_file_asks_to_be_run_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Calls) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(pickle.dumps({"weight": call, "plan": {}, "facts": {}}))
    with pytest.raises(ModelError, match="cannot be read as Paddle's weights"):
        read_state(tmp_path / CHECKPOINT)
    with pytest.raises(TrainingError, match="is no checkpoint of a training"):
        _restore(tmp_path / CHECKPOINT, {}, network(), None, None)
    assert not (tmp_path / "touched").exists()
