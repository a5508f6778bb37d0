"""The table of ``model.summary()``, as Keras 3 prints it where it does not draw colours."""

from __future__ import annotations

import math
import shutil
from typing import Any, Optional

_POSITIONS = (0.45, 0.80, 1.0)
_HEADER = ("Layer (type)", "Output Shape", "Param #")


def size(values: int) -> str:
    """``364.54 KB``: of so many float32."""
    found, units = 4.0 * values, ["B", "KB", "MB", "GB", "TB"]
    while found >= 1024 and len(units) > 1:
        found /= 1024
        units.pop(0)
    return f"{found:.2f} {units[0]}"


def _cell(text: str, width: int, right: bool) -> list[str]:
    """The lines of a cell; a word that is too long is cut."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if len(joined) <= width:
            lines[-1] = joined
        elif lines[-1]:
            lines.append(word)
        else:
            lines[-1] = word
    lines = [line if len(line) <= width else line[: width - 1] + "…" for line in lines]
    return [line.rjust(width) if right else line.ljust(width) for line in lines]


def _table(rows: list[tuple[str, str, str]], length: int) -> list[str]:
    widths: list[int] = []
    for position in _POSITIONS:
        widths.append(int(position * length) - sum(widths))
    inner = _inner(widths, length)

    def rule(left: str, line: str, joint: str, right: str) -> str:
        return left + joint.join(line * (width + 2) for width in inner) + right

    def lines(bar: str, row: tuple[str, str, str]) -> list[str]:
        cells = [_cell(text, width, i == 2) for i, (text, width) in enumerate(zip(row, inner))]
        height = max(map(len, cells))
        padded = [cell + [" " * width] * (height - len(cell)) for cell, width in zip(cells, inner)]
        return [bar + bar.join(f" {part} " for part in parts) + bar for parts in zip(*padded)]

    found = [rule("┏", "━", "┳", "┓"), *lines("┃", _HEADER), rule("┡", "━", "╇", "┩")]
    for i, row in enumerate(rows):
        if i:
            found.append(rule("├", "─", "┼", "┤"))
        found.extend(lines("│", row))
    found.append(rule("└", "─", "┴", "┘"))
    return found


def _inner(widths: list[int], length: int) -> list[int]:
    """The widths of the texts: Keras's do not count bars and spaces, and rich, which draws its table,
    takes what is too much from all columns alike."""
    excess = sum(widths) + 2 * len(widths) - (length - len(widths) - 1)
    found = []
    for left, width in zip(range(len(widths), 0, -1), widths):
        less = min(width + 2, round(excess / left))
        found.append(width - less)
        excess -= less
    return found


def text(model: Any, line_length: Optional[int]) -> str:
    """The table and the totals."""
    length = line_length or min(88, shutil.get_terminal_size().columns - 4)
    rows = []
    for name, kind, shape, params, _ in model._rows():
        written = ", ".join(["None", *map(str, shape)])
        rows.append((f"{name} ({kind})", f"({written})", f"{params:,}"))
    trainable = sum(_trainable_now(model, name) for name, *_ in model._rows())
    others = sum(row[3] for row in model._rows()) - trainable
    optimizer = _optimizer_values(model, sum(row[4] for row in model._rows()))
    totals = [("Total", trainable + others + (optimizer or 0)), ("Trainable", trainable)]
    totals.append(("Non-trainable", others))
    if optimizer is not None:
        totals.append(("Optimizer", optimizer))
    lines = [f'Model: "{model.name}"', *_table(rows, length)]
    lines += [f" {what} params: {values:,} ({size(values)})" for what, values in totals]
    return "\n".join(lines) + "\n"


def _trainable_now(model: Any, name: str) -> int:
    """The values of a layer that training would change after another ``compile``."""
    if not model.get_layer(name).trainable:
        return 0
    mine = [
        math.prod(shape)
        for parameter, shape, _ in model._net().parameters()
        if parameter.rsplit("/", 1)[0] == name and "moving_" not in parameter
    ]
    return sum(mine)


def _optimizer_values(model: Any, trainable: int) -> Optional[int]:
    """What Keras's optimizer keeps once training has begun: its step, its rate and its moments."""
    if model.optimizer is None or not model.optimizer.iterations:
        return None
    settings = model.optimizer._settings
    kind = type(model.optimizer).__name__
    moments = {"Adam": 2, "AdamW": 2, "RMSprop": 1 + bool(settings.get("momentum")), "SGD": int(bool(settings.get("momentum")))}
    averages = int("ema_momentum" in settings)
    return 2 + (moments[kind] + averages) * trainable
