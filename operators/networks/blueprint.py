"""What it takes to build a network again and to export it: kept beside the weights of a training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from paddle import nn

from operators.inference import ModelError
from operators.networks import picodet, ppyoloe
from operators.networks.export import export
from operators.networks.fairmot import FairMot
from operators.networks.jde import Jde
from operators.networks.reid import LCNetEmbedding

FILE = "network.json"
_KINDS: Mapping[str, type[nn.Layer]] = {
    kind.__name__: kind for kind in (picodet.PicoDet, ppyoloe.PPYoloE, FairMot, Jde, LCNetEmbedding)
}
_SIZES = {"PicoDet": picodet.Size, "PPYoloE": ppyoloe.Size}


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A network.

    Attributes:
        kind: name of its class.
        arguments: that it is made with, plain values.
        height, width: of its input, pixels.
        labels: the classes' names; none of a network that makes embeddings.
    """

    kind: str
    arguments: Mapping[str, Any]
    height: int
    width: int
    labels: tuple[str, ...] = ()

    def build(self) -> nn.Layer:
        """The network, with random weights."""
        arguments = dict(self.arguments)
        if isinstance(arguments.get("size"), Mapping):
            arguments["size"] = _SIZES[self.kind](**arguments["size"])
        return _KINDS[self.kind](**arguments)

    def export(self, network: nn.Layer, folder: Path) -> Path:
        """The folder that `open_detector` or `open_embedder` reads, in PaddleDetection's layout."""
        return export(network, folder, height=self.height, width=self.width, labels=self.labels)

    def write(self, folder: Path) -> None:
        """Into a training's folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read_blueprint(folder: Path) -> Blueprint:
    """What a training has written into its folder.

    Raises:
        ModelError: it is not there, or says nothing that can be built.
    """
    file = folder / FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        found = Blueprint(**{**content, "labels": tuple(content["labels"])})
    except FileNotFoundError:
        raise ModelError(f"{file} is missing: {folder} is no folder that crosscam train has written") from None
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file} describes no network ({error}): train again, or restore the file") from error
    if found.kind not in _KINDS:
        raise ModelError(f"{file}: there is no network {found.kind!r}; there are {', '.join(_KINDS)}")
    return found
