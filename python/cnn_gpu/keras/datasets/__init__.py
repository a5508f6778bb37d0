"""Published data sets, found or downloaded by the library: see its ``docs/data.md``.

The library looks in the folder ``CNN_GPU_DATA_DIR``, in the user's cache, and at the mirrors.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Optional

import numpy as np

from ... import _native
from .._checks import missing

Labelled = tuple[np.ndarray, np.ndarray]


def load(spec: str, data_dir: Optional[str] = None) -> tuple[Labelled, Labelled]:
    """Loads a data set as the library names it, and tells on standard error what happens."""

    def event(line: str, is_progress: bool) -> None:
        if not is_progress:
            sys.stderr.write(f"cnn_gpu: {line}\n")

    return _native.load_data(spec, data_dir, event)


def grey(spec: str, default: str, path: str) -> tuple[Labelled, Labelled]:
    """Grey images ``(n, height, width)``; from a ``.npz`` file if ``path`` is one."""
    if path != default:
        if not os.path.isfile(path):
            raise ValueError(
                f"load_data: path names no file: {path!r}; leave it out to find or download the data"
            )
        spec = f"npz:{path}"
    (train, train_labels), (test, test_labels) = load(spec)
    return (train[..., 0], train_labels), (test[..., 0], test_labels)


from . import cifar10, digits, fashion_mnist, kmnist, mnist  # noqa: E402

__all__ = ["cifar10", "digits", "fashion_mnist", "kmnist", "mnist"]


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, __all__)
