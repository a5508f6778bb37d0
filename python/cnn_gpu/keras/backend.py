"""``clear_session`` and the names of what computes."""

from __future__ import annotations

from typing import Any

from . import _names
from ._checks import missing


def clear_session(free_memory: bool = True) -> None:
    """Names of layers begin anew."""
    _names.clear()


def backend() -> str:
    """``cnn_gpu``."""
    return "cnn_gpu"


def image_data_format() -> str:
    """``channels_last``."""
    return "channels_last"


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, ["backend", "clear_session", "image_data_format"])
