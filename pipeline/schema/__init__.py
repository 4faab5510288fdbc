"""What the topics hold: a JSON Schema and an Arrow schema of each, versioned, and the codecs that write them.

The `*.json` files beside this module are the published JSON Schemas, one a topic and version. Nothing here
validates against them: records are made right, and tests hold them to it.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from pipeline.schema.arrow import arrow_schema
from pipeline.schema.codec import Codec, CodecError, decode, open_codec

__all__ = ["Codec", "CodecError", "arrow_schema", "decode", "json_schema", "open_codec"]


def json_schema(topic: str, version: int = 1) -> dict[str, Any]:
    """The JSON Schema (2020-12) of `topic`.

    Raises:
        FileNotFoundError: there is no such topic or version.
    """
    schema: dict[str, Any] = json.loads(files(__name__).joinpath(f"{topic}.v{version}.json").read_text("utf-8"))
    return schema
