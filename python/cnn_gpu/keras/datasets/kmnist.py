"""KMNIST: ten cursive Japanese characters."""

from __future__ import annotations

from . import Labelled, grey


def load_data() -> tuple[Labelled, Labelled]:
    """``(x_train, y_train), (x_test, y_test)``: images uint8 ``(60000, 28, 28)`` and
    ``(10000, 28, 28)``, labels uint8 ``(60000,)`` and ``(10000,)``."""
    return grey("kmnist", "", "")
