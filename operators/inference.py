"""Run exported networks: Paddle Inference for Paddle's own formats, ONNX Runtime for `.onnx` files.

Both stand behind one `Predictor`. A predictor belongs to one thread: open one per actor.
"""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from operators.paddle_program import DamagedProgram, format_version, input_shapes, joins_found_rows
from operators.records import CrosscamError

Array = NDArray[Any]

PRECISIONS = ("fp32", "fp16", "trt-fp32", "trt-fp16", "trt-int8")
"""How to compute. All but fp32 need a GPU; `trt-` goes through TensorRT."""

_SUFFIXES = (".pdmodel", ".json", ".onnx")
_STEMS = ("model", "inference")
_WEIGHTS = (".pdparams", ".pdopt", ".pdema")
_READ_BY_3_2 = 3  # the newest format of `.json` programs that Paddle 3.2 writes
_CHILD_PATIENCE_S = 120.0
_POOL_MB = 256  # of a GPU, taken at the start


class ModelError(CrosscamError):
    """A model is missing, damaged, of an unknown kind, or cannot run where it was asked to."""


class Predictor(Protocol):
    """One loaded network.

    Attributes:
        name: where it came from, for messages and metrics.
        input_names: the inputs in their order. Paddle's names are what exporters gave; bind by position.
        input_shapes: a shape per input, -1 where a side is free, () where the file does not say.
    """

    name: str
    input_names: tuple[str, ...]
    input_shapes: tuple[tuple[int, ...], ...]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs in their order, for inputs in theirs; axis 0 is the batch where the network has one.

        Raises:
            ModelError: the network refused the inputs, or failed.
        """
        ...


@dataclass(frozen=True)
class _Device:
    """`index` is None for the CPU."""

    index: int | None

    @classmethod
    def parse(cls, text: str) -> _Device:
        found = re.fullmatch(r"cpu|gpu(?::(\d+))?", text)
        if found is None:
            raise ModelError(f"there is no device {text!r}: say cpu, gpu, or gpu:N with N the number of the GPU")
        return cls(None if text == "cpu" else int(found.group(1) or 0))


def open_predictor(
    path: str | Path,
    *,
    device: str = "cpu",
    threads: int = 1,
    precision: str = "fp32",
    gpu_memory_mb: int | None = None,
) -> Predictor:
    """Load an exported network.

    Args:
        path: a folder with one exported model, or the model file itself: `.pdmodel` or `.json` with its `.pdiparams`
            beside it (Paddle Inference), or `.onnx` (ONNX Runtime).
        device: `cpu`, `gpu`, or `gpu:N`.
        threads: CPU threads of one run. Several predictors on shared cores do best with 1: more threads spin.
        precision: one of `PRECISIONS`. ONNX files run as they are: only fp32 is accepted for them.
        gpu_memory_mb: most memory of the GPU that is taken, by all of the process's Paddle models together or by each
            ONNX file; None for no limit.

    Raises:
        ModelError: no model there, several, a damaged one, or a device or precision that this installation lacks.
    """
    file = find_model_file(Path(path))
    place = _Device.parse(device)
    if precision not in PRECISIONS:
        raise ModelError(f"there is no precision {precision!r}: choose one of {', '.join(PRECISIONS)}")
    if place.index is None and precision != "fp32":
        raise ModelError(f"precision {precision} needs a GPU: set device to gpu, or precision to fp32")
    if threads < 1:
        raise ModelError(f"a model cannot run on {threads} threads: set threads to 1 or more")
    if gpu_memory_mb is not None and (place.index is None or gpu_memory_mb < 1):
        raise ModelError(f"a limit of {gpu_memory_mb} MB of GPU memory needs a GPU, and one or more: leave it out")
    if file.suffix == ".onnx":
        if precision != "fp32":
            raise ModelError(f"{file} runs in the precision it was exported in: leave precision at fp32")
        return OnnxPredictor(file, place, threads, gpu_memory_mb)
    return PaddlePredictor(file, place, threads, precision, gpu_memory_mb)


def find_model_file(path: Path) -> Path:
    """The model file that `path` is, or the one in the folder that `path` is.

    Raises:
        ModelError: nothing there, none, or several without one called `model` or `inference`.
    """
    if path.is_file():
        if path.suffix in _WEIGHTS:
            raise ModelError(
                f"{path} holds trained weights without their network: export it with PaddleDetection's "
                "export_model.py, and give the folder that it writes"
            )
        if path.suffix not in _SUFFIXES:
            raise ModelError(f"{path} is no model: give a folder, or a {', '.join(_SUFFIXES[:-1])} or .onnx file")
        return path
    if not path.is_dir():
        raise ModelError(f"there is no model at {path}: give the folder of an exported model, or an .onnx file")
    for suffix in _SUFFIXES:
        found = sorted(path.glob(f"*{suffix}"))
        named = [file for file in found if file.stem in _STEMS]
        # A folder may hold other JSON files; a Paddle 3 program has its parameters beside it.
        if suffix == ".json":
            found = [file for file in found if file.with_suffix(".pdiparams").is_file()]
        if named or len(found) == 1:
            return (named or found)[0]
        if found:
            raise ModelError(f"{path} holds {len(found)} {suffix} files: name the one to use")
    raise ModelError(f"{path} holds no model: a .pdmodel or .json with its .pdiparams, or an .onnx file, is expected")


class PaddlePredictor:
    """A network under Paddle Inference.

    On a CPU it runs through oneDNN, which is on by default, except for programs that it would crash on
    (`joins_found_rows`); nothing else is switched on, because memory reuse raises on `.json` models and the new
    representation on `.pdmodel` ones. All that concerns GPUs (fp16, TensorRT) follows
    Paddle's documentation and has not been run: there was no GPU at hand.
    """

    def __init__(
        self, file: Path, device: _Device, threads: int, precision: str, gpu_memory_mb: int | None = None
    ) -> None:
        self.name = str(file)
        parameters = file.with_suffix(".pdiparams")
        if not parameters.is_file():
            raise ModelError(f"{parameters} is missing: copy it beside {file.name}, or export the model again")
        try:
            shapes = input_shapes(file)
            unsafe = joins_found_rows(file)
        except (DamagedProgram, OSError) as error:
            raise ModelError(f"{file} cannot be read as a Paddle model ({error}): copy or export it again") from error
        paddle_inference = _import_paddle()
        if file.suffix == ".json" and format_version(file) > _READ_BY_3_2:
            _try_in_a_child(file, parameters)
        config = paddle_inference.Config(str(file), str(parameters))
        config.disable_glog_info()
        if device.index is None:
            config.disable_gpu()
            config.set_cpu_math_library_num_threads(threads)
            if unsafe:
                config.disable_mkldnn()
        else:
            _use_gpu(config, paddle_inference.PrecisionType, device.index, precision, gpu_memory_mb)
        try:
            self._predictor = paddle_inference.create_predictor(config)
        except Exception as error:
            raise ModelError(
                f"Paddle cannot load {file} ({_gist(error)}): the files are damaged, or were exported by a newer Paddle"
            ) from error
        self.input_names = tuple(self._predictor.get_input_names())
        self.input_shapes = tuple(shapes.get(name, ()) for name in self.input_names)
        self._inputs = [self._predictor.get_input_handle(name) for name in self.input_names]
        self._outputs = [self._predictor.get_output_handle(name) for name in self._predictor.get_output_names()]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See `Predictor`."""
        _expect(self, inputs)
        try:
            for handle, value in zip(self._inputs, inputs, strict=True):
                handle.copy_from_cpu(np.ascontiguousarray(value))
            self._predictor.run()
            return [handle.copy_to_cpu() for handle in self._outputs]
        except Exception as error:
            raise _refusal(self.name, inputs, error) from error


def _import_paddle() -> Any:
    try:
        with warnings.catch_warnings():
            # It warns that no compiler cache is installed, which nobody here needs.
            warnings.simplefilter("ignore")
            import paddle.inference as paddle_inference
    except ImportError as error:
        raise ModelError(
            f"Paddle cannot be imported ({error}): pip install crosscam[cpu], or crosscam[gpu] for NVIDIA GPUs"
        ) from error
    return paddle_inference


def _try_in_a_child(program: Path, parameters: Path) -> None:
    """Load a program of a newer format where a crash does no harm: Paddle may end its process instead of refusing.

    Raises:
        ModelError: it does not load.
    """
    import paddle

    code = (
        "import sys, paddle.inference as p; c = p.Config(sys.argv[1], sys.argv[2]); c.disable_gpu();"
        " c.disable_glog_info(); p.create_predictor(c)"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, str(program), str(parameters)],
            capture_output=True,
            timeout=_CHILD_PATIENCE_S,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        done = -1
    if done != 0:
        raise ModelError(
            f"{program} was exported by a newer Paddle than the {paddle.__version__} installed here, which cannot load"
            " it: export it with that version, or with Paddle 2.6 (a .pdmodel loads everywhere)"
        )


def _use_gpu(config: Any, kinds: Any, index: int, precision: str, memory_mb: int | None) -> None:
    """Unverified: written from Paddle's documentation."""
    import paddle

    if not paddle.is_compiled_with_cuda():
        raise ModelError("the installed Paddle knows no GPU: install crosscam[gpu], or set device to cpu")
    if index >= paddle.device.cuda.device_count():
        raise ModelError(f"there is no GPU {index}: this machine has {paddle.device.cuda.device_count()}")
    if memory_mb is not None:
        # Of the process, and heeded from its first allocation on.
        paddle.set_flags({"FLAGS_gpu_memory_limit_mb": memory_mb})
    pool_mb = min(_POOL_MB, memory_mb or _POOL_MB)
    config.enable_use_gpu(pool_mb, index, kinds.Half if precision == "fp16" else kinds.Float32)
    if precision.startswith("trt-"):
        kind = {"trt-fp32": kinds.Float32, "trt-fp16": kinds.Half, "trt-int8": kinds.Int8}[precision]
        config.enable_tensorrt_engine(
            workspace_size=1 << 30, max_batch_size=32, precision_mode=kind, use_calib_mode=precision == "trt-int8"
        )
        # Shapes are learned from the first runs; an engine is rebuilt when a larger batch comes.
        config.enable_tuned_tensorrt_dynamic_shape("", True)


class OnnxPredictor:
    """A network under ONNX Runtime. The CUDA provider has not been run: there was no GPU at hand."""

    def __init__(self, file: Path, device: _Device, threads: int, gpu_memory_mb: int | None = None) -> None:
        self.name = str(file)
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelError(f"{file} needs ONNX Runtime: pip install crosscam[onnx]") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers: list[Any] = ["CPUExecutionProvider"]
        if device.index is not None:
            if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
                raise ModelError(
                    "the installed ONNX Runtime knows no GPU: install onnxruntime-gpu, or set device to cpu"
                )
            limit = {} if gpu_memory_mb is None else {"gpu_mem_limit": gpu_memory_mb << 20}
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index, **limit}))
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=providers)
        except Exception as error:
            raise ModelError(f"ONNX Runtime cannot load {file} ({_gist(error)}): copy or export it again") from error
        inputs = self._session.get_inputs()
        self.input_names = tuple(i.name for i in inputs)
        self.input_shapes = tuple(tuple(s if isinstance(s, int) else -1 for s in i.shape) for i in inputs)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See `Predictor`."""
        _expect(self, inputs)
        try:
            return list(self._session.run(None, dict(zip(self.input_names, inputs, strict=True))))
        except Exception as error:
            raise _refusal(self.name, inputs, error) from error


def _expect(predictor: Predictor, inputs: Sequence[Array]) -> None:
    if len(inputs) != len(predictor.input_names):
        raise ModelError(
            f"{predictor.name} takes {len(predictor.input_names)} inputs ({', '.join(predictor.input_names)}),"
            f" not {len(inputs)}"
        )


def _refusal(name: str, inputs: Sequence[Array], error: Exception) -> ModelError:
    shapes = ", ".join("x".join(map(str, value.shape)) for value in inputs)
    return ModelError(
        f"{name} failed on inputs of {shapes} ({_gist(error)}): is it the model its configuration describes?"
    )


def _gist(error: Exception) -> str:
    """The first line of a library's error that says something, without its decoration."""
    for line in str(error).splitlines():
        said = re.sub(r"^\s*(\([A-Za-z]+\)|\[[A-Za-z]*\s*:?[^\]]*\])\s*:?\s*|-+$", "", line).strip(" :.")
        if said and not set(said) <= set("-=*") and "Traceback" not in said and "C++" not in said:
            return said[:160]
    return type(error).__name__
