"""Keras's lines about progress, on standard output."""

from __future__ import annotations

import sys
from typing import Optional

_WIDTH = 20


#: For terminals that lack the characters of bars and tables.
_PLAIN = str.maketrans(
    {**dict.fromkeys("━─", "-"), **dict.fromkeys("┃│", "|"), **dict.fromkeys("┏┳┓┡╇┩├┼┤└┴┘", "+"), "…": "."}
)


def write(text: str) -> None:
    """Writes to standard output."""
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:
        sys.stdout.write(text.translate(_PLAIN))
    sys.stdout.flush()


def _metric(value: float) -> str:
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"


def metrics(logs: dict[str, float]) -> str:
    """`` - accuracy: 0.9441 - loss: 0.1804``."""
    return "".join(f" - {name}: {_metric(value)}" for name, value in logs.items())


def _step_time(seconds: float) -> str:
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/step"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms/step"
    return f"{seconds * 1e6:.0f}us/step"


class Bar:
    """The progress of one epoch: a bar that moves on a terminal and in a notebook, otherwise one line
    at the end."""

    def __init__(self, verbose: int, steps: int) -> None:
        self._verbose = verbose
        self._steps = steps
        self._length = 0
        terminal = hasattr(sys.stdout, "isatty") and sys.stdout.isatty()
        self._moves = verbose == 1 and (terminal or "ipykernel" in sys.modules)

    def show(self, step: int, seconds: float, logs: dict[str, float]) -> None:
        """Within the epoch."""
        if self._moves and step:
            done = _WIDTH * step // self._steps
            bar = "━" * done + "─" * (_WIDTH - done)
            left = seconds / step * (self._steps - step)
            digits = len(str(self._steps))
            self._write(
                f"\r{step:>{digits}}/{self._steps} {bar} {left:.0f}s {_step_time(seconds / step)}"
                f"{metrics(logs)}"
            )

    def end(self, seconds: float, logs: dict[str, float]) -> None:
        """At the end of the epoch."""
        if self._verbose == 0:
            return
        bar = f" {'━' * _WIDTH}" if self._verbose == 1 else " -"
        dash = "" if self._verbose == 1 else " -"
        line = (
            f"{self._steps}/{self._steps}{bar} {seconds:.0f}s{dash} "
            f"{_step_time(seconds / max(self._steps, 1))}{metrics(logs)}"
        )
        self._write(("\r" if self._moves else "") + line)
        write("\n")

    def _write(self, line: str) -> None:
        length = len(line)
        write(line + " " * max(self._length - length, 0))
        self._length = length


def level(verbose: object) -> int:
    """0, 1 or 2, from Keras's ``verbose``."""
    if verbose == "auto" or verbose is True:
        return 1
    if verbose is False:
        return 0
    if isinstance(verbose, int) and 0 <= verbose <= 2:
        return verbose
    raise ValueError(f"verbose must be 0, 1, 2 or 'auto', received {verbose!r}")


def line(text: str, verbose: Optional[int] = 1) -> None:
    """A line of its own."""
    if verbose:
        write(f"{text}\n")
