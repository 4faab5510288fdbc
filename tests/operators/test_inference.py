"""Loading and running exported networks, and what people are told when that cannot be."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from operators.detect import BUNDLED
from operators.inference import ModelError, _use_gpu, find_model_file, open_predictor


def field(number: int, value: int | bytes) -> bytes:
    """One field of a protocol buffer message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    head = bytearray()
    while value > 0x7F:
        head.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*head, value])


def onnx_doubling(path: Path) -> Path:
    """An ONNX file that adds its input (batch, 3) to itself."""

    def tensor(name: bytes) -> bytes:
        sides = field(1, field(2, b"batch")) + field(1, field(1, 3))
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, sides)))

    node = field(1, b"x") + field(1, b"x") + field(2, b"y") + field(4, b"Add")
    graph = field(1, node) + field(2, b"g") + field(11, tensor(b"x")) + field(12, tensor(b"y"))
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 13)))
    return path


@pytest.fixture(scope="module")
def paddle_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two inputs in the format of the Paddle that is installed: their difference and their product."""
    import paddle

    class TwoInputs(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.factor = self.create_parameter([1], default_initializer=paddle.nn.initializer.Constant(2.0))

        def forward(self, first: paddle.Tensor, second: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
            return first - second, first * second * self.factor

    folder = tmp_path_factory.mktemp("two_inputs")
    specification = [paddle.static.InputSpec([None, 2], "float32", name) for name in ("image", "scale_factor")]
    paddle.jit.save(TwoInputs(), str(folder / "model"), input_spec=specification)
    return folder


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A copy of the bundled model to spoil."""
    return Path(shutil.copytree(BUNDLED, tmp_path / "model"))


def test_the_bundled_model_says_what_it_takes_and_gives_one_row_per_picture() -> None:
    predictor = open_predictor(BUNDLED)
    assert predictor.input_names == ("image",)
    assert predictor.input_shapes == ((-1, 3, -1, -1),)
    boxes, scores = predictor.run([np.zeros((2, 3, 64, 96), np.float32)])
    anchors = 64 * 96 * 21 // 1024
    assert boxes.shape == (2, anchors, 4)
    assert scores.shape == (2, 6, anchors)


def test_a_model_of_the_installed_paddle_is_bound_by_position(paddle_export: Path) -> None:
    predictor = open_predictor(paddle_export)
    assert predictor.input_shapes == ((-1, 2), (-1, 2))
    first, second = np.float32([[1, 2]]), np.float32([[3, 5]])
    difference, product = predictor.run([first, second])
    assert difference.tolist() == [[-2, -3]]
    assert product.tolist() == [[6, 20]]


def test_an_onnx_file_runs_in_batches(tmp_path: Path) -> None:
    predictor = open_predictor(onnx_doubling(tmp_path / "doubling.onnx"))
    assert predictor.input_shapes == ((-1, 3),)
    (doubled,) = predictor.run([np.float32([[1, 2, 3], [4, 5, 6]])])
    assert doubled.tolist() == [[2, 4, 6], [8, 10, 12]]


def test_the_model_file_is_found_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "label_list.json").write_text("[]")
    (tmp_path / "other.onnx").write_bytes(b"")
    (tmp_path / "inference.json").write_text("{}")
    (tmp_path / "inference.pdiparams").write_bytes(b"")
    assert find_model_file(tmp_path) == tmp_path / "inference.json"
    (tmp_path / "model.pdmodel").write_bytes(b"")
    assert find_model_file(tmp_path) == tmp_path / "model.pdmodel"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no model"),
        (["labels.json"], "holds no model"),
        (["a.onnx", "b.onnx"], "holds 2 .onnx files: name the one to use"),
    ],
)
def test_a_folder_without_one_clear_model_is_refused(tmp_path: Path, files: list[str], message: str) -> None:
    for file in files:
        (tmp_path / file).write_text("{}")
    with pytest.raises(ModelError, match=message):
        open_predictor(tmp_path)


def test_a_path_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model at"):
        open_predictor(tmp_path / "nowhere")
    (tmp_path / "trained.pdparams").write_bytes(b"")
    with pytest.raises(ModelError, match=r"trained\.pdparams holds trained weights without their network: export it"):
        open_predictor(tmp_path / "trained.pdparams")
    (tmp_path / "weights.pt").write_bytes(b"")
    with pytest.raises(ModelError, match="is no model: give a folder"):
        open_predictor(tmp_path / "weights.pt")


def test_missing_parameters_are_named(damaged: Path) -> None:
    (damaged / "model.pdiparams").unlink()
    with pytest.raises(ModelError, match=r"model\.pdiparams is missing: copy it beside model\.pdmodel"):
        open_predictor(damaged)


@pytest.mark.parametrize(
    "content", [b"", b"hello " * 99, None, field(1, b""), field(1, field(3, field(1, b"x")))], ids=str
)
def test_a_damaged_program_is_told_and_does_not_end_the_process(damaged: Path, content: bytes | None) -> None:
    program = damaged / "model.pdmodel"
    program.write_bytes(program.read_bytes()[:40_000] if content is None else content)
    with pytest.raises(ModelError, match=r"model\.pdmodel cannot be read as a Paddle model"):
        open_predictor(damaged)


@pytest.mark.parametrize("content", ["", "[]", '{"program": {}}', '{"program": {"regions": []}}'])
def test_a_damaged_program_of_paddle_3_is_told(paddle_export: Path, tmp_path: Path, content: str) -> None:
    folder = Path(shutil.copytree(paddle_export, tmp_path / "model"))
    (folder / "model.json").write_text(content)
    with pytest.raises(ModelError, match=r"model\.json cannot be read as a Paddle model"):
        open_predictor(folder)


def test_a_program_of_a_newer_paddle_is_tried_where_a_crash_does_no_harm(paddle_export: Path, tmp_path: Path) -> None:
    """3.3 writes format 4; what 3.2 cannot make sense of may end the process that loads it."""
    folder = Path(shutil.copytree(paddle_export, tmp_path / "model"))
    program = folder / "model.json"
    text = program.read_text()
    assert '"version":3' in text
    program.write_text(text.replace('"version":3', '"version":4'))
    assert open_predictor(folder).run([np.float32([[1, 2]])] * 2)[0].tolist() == [[0, 0]]
    program.write_text(text.replace('"version":3', '"version":4').replace("1.subtract", "1.subtract_of_tomorrow"))
    with pytest.raises(ModelError, match=r"model\.json was exported by a newer Paddle than the .* installed here"):
        open_predictor(folder)


@pytest.mark.parametrize("keep", [0, 5000])
def test_damaged_parameters_are_told(damaged: Path, keep: int) -> None:
    parameters = damaged / "model.pdiparams"
    parameters.write_bytes(parameters.read_bytes()[:keep])
    with pytest.raises(ModelError, match="the files are damaged, or were exported by a newer Paddle"):
        open_predictor(damaged)


def test_a_damaged_onnx_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"hello")
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot load .*model\.onnx"):
        open_predictor(file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "there is no device 'tpu': say cpu, gpu, or gpu:N"),
        ({"device": "gpu:x"}, "there is no device 'gpu:x'"),
        ({"precision": "fp8"}, "there is no precision 'fp8': choose one of fp32, fp16"),
        ({"precision": "fp16"}, "precision fp16 needs a GPU"),
        ({"threads": 0}, "cannot run on 0 threads"),
        ({"gpu_memory_mb": 500}, "a limit of 500 MB of GPU memory needs a GPU"),
        ({"device": "gpu", "gpu_memory_mb": 0}, "a limit of 0 MB"),
    ],
)
def test_what_cannot_be_had_is_refused_before_loading(options: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        open_predictor(BUNDLED, **options)  # type: ignore[arg-type]


def test_a_gpu_that_paddle_was_not_built_for_is_refused() -> None:
    import paddle

    if paddle.is_compiled_with_cuda():
        pytest.skip("this Paddle knows GPUs")
    with pytest.raises(ModelError, match=r"install crosscam\[gpu\], or set device to cpu"):
        open_predictor(BUNDLED, device="gpu:0")


class Asked:
    """Stands for Paddle's `Config`, and keeps what it is asked for."""

    def __init__(self) -> None:
        self.calls: dict[str, tuple[tuple[object, ...], dict[str, object]]] = {}

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *values, **named: self.calls.__setitem__(name, (values, named))


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A Paddle that says it knows GPUs and has two; the flags that it is given."""
    import paddle

    flags: dict[str, object] = {}
    monkeypatch.setattr(paddle, "is_compiled_with_cuda", lambda: True)
    monkeypatch.setattr(paddle.device.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(paddle, "set_flags", flags.update)
    return flags


@pytest.mark.parametrize(
    ("precision", "computes", "engine"),
    [
        ("fp32", "Float32", None),
        ("fp16", "Half", None),
        ("trt-fp32", "Float32", ("Float32", False)),
        ("trt-fp16", "Float32", ("Half", False)),
        ("trt-int8", "Float32", ("Int8", True)),
    ],
)
def test_a_gpu_is_configured_as_paddles_documentation_says(
    precision: str, computes: str, engine: tuple[str, bool] | None, two_gpus: dict[str, object]
) -> None:
    from paddle.inference import PrecisionType

    asked = Asked()
    _use_gpu(asked, PrecisionType, 1, precision, None)
    assert asked.calls["enable_use_gpu"] == ((256, 1, getattr(PrecisionType, computes)), {})
    assert two_gpus == {}
    assert ("enable_tensorrt_engine" in asked.calls) == (engine is not None)
    if engine is not None:
        (_, told), kind = asked.calls["enable_tensorrt_engine"], getattr(PrecisionType, engine[0])
        assert (told["precision_mode"], told["use_calib_mode"]) == (kind, engine[1])
        assert asked.calls["enable_tuned_tensorrt_dynamic_shape"] == (("", True), {})


def test_gpu_memory_has_a_limit(two_gpus: dict[str, object]) -> None:
    from paddle.inference import PrecisionType

    asked = Asked()
    _use_gpu(asked, PrecisionType, 0, "fp32", 100)
    assert two_gpus == {"FLAGS_gpu_memory_limit_mb": 100}
    assert asked.calls["enable_use_gpu"][0][0] == 100, "and what is taken at the start is no more"


def test_a_gpu_that_is_not_there_is_refused(two_gpus: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="there is no GPU 2: this machine has 2"):
        open_predictor(BUNDLED, device="gpu:2")


@pytest.mark.parametrize(("limit", "told"), [(None, {}), (100, {"gpu_mem_limit": 100 * 2**20})])
def test_an_onnx_file_goes_to_its_gpu_with_the_limit(
    limit: int | None, told: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    asked: list[object] = []

    def session(file: str, options: object, providers: list[object]) -> object:
        asked.extend(providers)
        raise RuntimeError("no GPU here")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with pytest.raises(ModelError, match="no GPU here"):
        open_predictor(onnx_doubling(tmp_path / "d.onnx"), device="gpu:1", gpu_memory_mb=limit)
    assert asked == [("CUDAExecutionProvider", {"device_id": 1, **told}), "CPUExecutionProvider"]


def test_an_onnx_file_keeps_its_precision(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="leave precision at fp32"):
        open_predictor(onnx_doubling(tmp_path / "d.onnx"), device="gpu", precision="fp16")


def test_onnx_runtime_is_asked_for_by_the_name_of_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match=r"pip install crosscam\[onnx\]"):
        open_predictor(onnx_doubling(tmp_path / "d.onnx"))


def test_wrong_inputs_are_told_with_their_shapes(tmp_path: Path) -> None:
    predictor = open_predictor(onnx_doubling(tmp_path / "d.onnx"))
    with pytest.raises(ModelError, match=r"takes 1 inputs \(x\), not 2"):
        predictor.run([np.zeros((1, 3), np.float32)] * 2)
    with pytest.raises(ModelError, match="failed on inputs of 1x4"):
        predictor.run([np.zeros((1, 4), np.float32)])
    with pytest.raises(ModelError, match="failed on inputs of 1x5x32x32"):
        open_predictor(BUNDLED).run([np.zeros((1, 5, 32, 32), np.float32)])
