"""``to_categorical``, ``Sequence`` and the seed."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from . import _names
from ._checks import count, missing


def to_categorical(x: Any, num_classes: Optional[int] = None) -> np.ndarray:
    """Class numbers as one-hot rows: ``(n,)`` or ``(n, 1)`` to ``(n, num_classes)``, float64.

    Args:
        x: Whole numbers from 0 to ``num_classes - 1``.
        num_classes: By default one more than the largest number.
    """
    numbers = np.asarray(x)
    if numbers.dtype.kind not in "iufb":
        raise ValueError(f"to_categorical: expected numbers, received dtype {numbers.dtype}")
    if numbers.size == 0:
        raise ValueError("to_categorical: expected at least one number, received an empty array")
    whole = numbers.astype(np.int64)
    if (whole != numbers).any() or (whole < 0).any():
        raise ValueError("to_categorical: expected whole numbers of at least 0")
    shape = whole.shape
    if len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    whole = whole.reshape(-1)
    largest = int(whole.max())
    classes = largest + 1 if not num_classes else count("to_categorical", "num_classes", num_classes)
    if largest >= classes:
        raise ValueError(
            f"to_categorical: num_classes={classes} needs numbers below {classes}, received {largest}"
        )
    rows = np.zeros((whole.size, classes))
    rows[np.arange(whole.size), whole] = 1
    return rows.reshape((*shape, classes))


class Sequence:
    """Batches by number, for data that do not fit into memory: override ``__len__``, the number of
    batches, and ``__getitem__(index)``, which returns ``(images, labels)``; and, if you like,
    ``on_epoch_begin`` and ``on_epoch_end``. Batches are made in one thread, while the device trains."""

    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a method __getitem__(self, index)")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs a method __len__(self)")

    @property
    def num_batches(self) -> int:
        """The number of batches."""
        return len(self)

    def on_epoch_begin(self) -> None:
        """Before the first batch of each pass."""

    def on_epoch_end(self) -> None:
        """After the last batch of each pass, at the latest before the next one."""


PyDataset = Sequence


def set_random_seed(seed: int) -> None:
    """Sets the seed of the library, NumPy and Python. The next model has it, later ones the
    following numbers; it determines weights, shuffling and dropout."""
    import random

    seed = count("set_random_seed", "seed", seed, 0)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    _names.set_seed(seed)


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, ["PyDataset", "Sequence", "set_random_seed", "to_categorical"])
