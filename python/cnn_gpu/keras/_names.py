"""Names of layers and models, and the seed: what Keras keeps for the whole program."""

from __future__ import annotations

import re

#: The library's default.
DEFAULT_SEED = 42

_counts: dict[str, int] = {}
_seed = DEFAULT_SEED
_models = 0


def automatic(class_name: str) -> str:
    """``conv2d``, then ``conv2d_1``, ... over all models, as in Keras."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    used = _counts.get(name, 0)
    _counts[name] = used + 1
    return f"{name}_{used}" if used else name


def clear() -> None:
    """Names begin anew."""
    _counts.clear()


def set_seed(seed: int) -> None:
    """Sets the seed of the next model; later ones have the following numbers."""
    global _seed, _models
    _seed, _models = seed, 0


def next_seed() -> int:
    """The seed of a new model."""
    global _models
    seed = (_seed + _models) % 2**64
    _models += 1
    return seed
