"""Penalties on weights, added to the loss: ``l1 * sum(|w|) + l2 * sum(w**2)``."""

from __future__ import annotations

from typing import Any, Optional, Union

from ._checks import missing, number


class Regularizer:
    """Base class: both factors."""

    l1: float = 0.0
    l2: float = 0.0

    def _settings(self) -> dict[str, float]:
        return {"l1": self.l1, "l2": self.l2}


class L1L2(Regularizer):
    """Both penalties."""

    def __init__(self, l1: Optional[float] = 0.0, l2: Optional[float] = 0.0) -> None:
        for name, value in (("l1", l1), ("l2", l2)):
            value = number(type(self).__name__, name, 0.0 if value is None else value)
            if value < 0:
                raise ValueError(f"{name} must be at least 0, received {value}")
            setattr(self, name, value)


class L1(L1L2):
    """The penalty on absolute values."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)


class L2(L1L2):
    """The penalty on squares."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)


l1, l2, l1_l2 = L1, L2, L1L2

_NAMES = {"l1": L1, "l2": L2, "l1_l2": L1L2, "L1": L1, "L2": L2, "L1L2": L1L2}

#: What ``kernel_regularizer=`` takes.
Identifier = Optional[Union[str, Regularizer]]


def get(identifier: Identifier) -> Optional[Regularizer]:
    """The regularizer of this name; ``None`` is none."""
    if identifier is None or isinstance(identifier, Regularizer):
        return identifier
    if isinstance(identifier, str) and identifier in _NAMES:
        return _NAMES[identifier]()
    raise ValueError(
        f"the library has no regularizer {identifier!r}: expected L1, L2 or L1L2"
    )


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, _NAMES)
