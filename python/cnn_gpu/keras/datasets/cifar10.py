"""CIFAR-10's colour pictures."""

from __future__ import annotations

import os

from . import Labelled, load

_FOLDERS = ("cifar-10-batches-bin", "cifar10", "")


def load_data() -> tuple[Labelled, Labelled]:
    """``(x_train, y_train), (x_test, y_test)``: images uint8 ``(50000, 32, 32, 3)`` and
    ``(10000, 32, 32, 3)``, labels uint8 ``(50000, 1)`` and ``(10000, 1)``.

    The library does not download CIFAR-10: unpack its binary version in the folder
    ``CNN_GPU_DATA_DIR``, in ``cifar-10-batches-bin`` or ``cifar10``.
    """
    root = os.environ.get("CNN_GPU_DATA_DIR", "")
    found = [os.path.join(root, name) for name in _FOLDERS]
    found = [folder for folder in found if os.path.isfile(os.path.join(folder, "test_batch.bin"))]
    if not root or not found:
        raise FileNotFoundError(
            "cifar10: the library does not download it: unpack the binary version (cifar-10-binary.tar.gz) "
            "and set CNN_GPU_DATA_DIR to the folder that has cifar-10-batches-bin"
        )
    (train, train_labels), (test, test_labels) = load(f"cifar10:{found[0]}")
    return (train, train_labels.reshape(-1, 1)), (test, test_labels.reshape(-1, 1))
