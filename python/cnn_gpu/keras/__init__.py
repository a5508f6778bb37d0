"""Keras's names for what the library has.

Whatever Keras has and this package lacks raises an error that names it: an unknown class an
``AttributeError`` or ``ImportError``, an argument a ``NotImplementedError``, a value a
``ValueError``. Nothing is ignored silently. The page ``docs/python.md`` of the repository lists the
differences.
"""

from __future__ import annotations

from typing import Any

from . import (
    activations,
    backend,
    callbacks,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
    utils,
)
from ._checks import missing
from .._native import __version__
from .layers import Input
from .models import Sequential

__all__ = [
    "Input",
    "Sequential",
    "__version__",
    "activations",
    "backend",
    "callbacks",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "regularizers",
    "utils",
]


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, __all__)
