"""Errors for what the library lacks."""

from __future__ import annotations

import math
import numbers
from typing import Any, Iterable, Optional

import numpy as np


def missing(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error for a name that a module lacks."""
    if name.startswith("__"):
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    return AttributeError(
        f"{module} has no {name}: the library lacks it; expected one of {', '.join(sorted(known))}"
    )


def short(value: Any) -> str:
    """The value on one line, cut if it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:59] + "…"


def refuse(owner: str, **given: Any) -> None:
    """Refuses arguments that the library lacks unless they are off: None, False or 0."""
    for name, value in given.items():
        if value is None or value is False or (isinstance(value, (int, float)) and value == 0):
            continue
        raise NotImplementedError(
            f"{owner}: the library has no {name}; leave it out (received {name}={short(value)})"
        )


def refuse_rest(owner: str, rest: dict[str, Any]) -> None:
    """Refuses arguments that nobody knows."""
    if rest:
        names = ", ".join(rest)
        raise ValueError(f"{owner}: received unknown or unsupported arguments: {names}")


def only(owner: str, name: str, value: Any, *allowed: Any) -> None:
    """Refuses a value other than these."""
    for one in allowed:
        if value is one or (type(value) is type(one) and value == one):
            return
    expected = " or ".join(repr(one) for one in allowed)
    raise NotImplementedError(
        f"{owner}: the library supports {name}={expected} only, received {short(value)}"
    )


def channels_last(owner: str, data_format: Optional[str]) -> None:
    """Refuses another order of an image's axes."""
    if data_format not in (None, "channels_last"):
        raise NotImplementedError(
            f"{owner}: the library supports data_format='channels_last' only, images of "
            f"(height, width, channels); received {data_format!r}"
        )


def count(owner: str, name: str, value: Any, least: int = 1) -> int:
    """A whole number of at least ``least``."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(
            f"{owner}: {name} must be a whole number of at least {least}, received {value!r}"
        )
    return int(value)


def number(owner: str, name: str, value: Any) -> float:
    """A finite number."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise ValueError(f"{owner}: {name} must be a number, received {value!r}")
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"{owner}: {name} must be finite, received {value!r}")
    return found


def pair(owner: str, name: str, value: Any, least: int = 1) -> list[int]:
    """One whole number for both axes, or two."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(
                f"{owner}: {name} must be a whole number or two, received {value!r}"
            )
        return [count(owner, name, one, least) for one in value]
    return [count(owner, name, value, least)] * 2


def factor(owner: str, name: str, value: Any) -> Any:
    """A number, or the two ends of a range."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{owner}: {name} must be a number or two, received {value!r}")
        return [number(owner, name, one) for one in value]
    return number(owner, name, value)
