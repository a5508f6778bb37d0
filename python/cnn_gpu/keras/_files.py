"""Models in files."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any, Iterable, TYPE_CHECKING, Union

from .. import _native
from . import layers as _layers, losses as _losses, metrics as _metrics, optimizers as _optimizers

if TYPE_CHECKING:
    from .models import Sequential

Path = Union[str, "os.PathLike[str]"]


def _existing(owner: str, path: Path) -> None:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{owner}: no such file: {os.fspath(path)!r}")


def _warn(notes: Iterable[str], path: Path) -> None:
    for note in notes:
        warnings.warn(f"{os.fspath(path)}: {note}", stacklevel=4)


def load_weights(model: Sequential, filepath: Path) -> None:
    """Reads the weights of a model."""
    _existing("load_weights", filepath)
    _warn(model._net().load_weights(os.fspath(filepath)), filepath)


def save(model: Sequential, filepath: Path, overwrite: bool) -> None:
    """Writes a model, with the optimizer if it is compiled."""
    path = os.fspath(filepath)
    if not path.endswith(".keras"):
        raise ValueError(f"save: the file's name must end with `.keras`, received {path!r}")
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"save: {path} exists; remove it, or call save with overwrite=True")
    network = model._net()
    assert model._shape is not None
    rate = None
    if model.optimizer is not None:
        model._apply()
        rate = float(model.optimizer.learning_rate)
    one_hot = model._loss is not None and not model._loss.sparse
    _warn(network.save(path, rate, one_hot, list(model._shape)), path)


def load(model: Sequential, filepath: Path, compile: bool) -> Sequential:
    """Makes an empty model that of a file."""
    _existing("load_model", filepath)
    network, notes, one_hot, shape = _native.Network.load(os.fspath(filepath), model._seed)
    _warn(notes, filepath)
    described = json.loads(network.model())
    model.name = described["name"]
    names = [row[0] for row in network.layers()]
    for one, name in zip(described["layers"], names):
        if name != _native.FEATURES:
            layer = _layers.of_description({**one, "name": name})
            layer._model = model
            model._layers.append(layer)
    model._shape = tuple(shape)
    model._network = network
    # The same parameters under the same names.
    model._description = model._described()
    optimizer = network.optimizer()
    if compile and optimizer is not None:
        model._optimizer = _optimizers.of_description(json.loads(optimizer))
        model._optimizer._network = network
        model._loss = _losses.of_description(described.get("loss", {}), one_hot)
        model._metrics = [_metrics.Metric("accuracy")]
        model._applied = True
    return model
