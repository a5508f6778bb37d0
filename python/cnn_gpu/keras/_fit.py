"""``fit``."""

from __future__ import annotations

import json
import math
from typing import Any, Optional, Sequence, TYPE_CHECKING, Union

import numpy as np

from .. import _native
from . import _data, _progress, callbacks as _callbacks
from ._checks import count, number, refuse
from ._training import Hooks

if TYPE_CHECKING:
    from .models import Sequential

_Source = Union[_native.Arrays, _native.Batches]


def fit(
    model: Sequential,
    x: Any,
    y: Any,
    *,
    batch_size: Optional[int],
    epochs: int,
    verbose: Union[str, int],
    callbacks: Optional[Sequence[_callbacks.Callback]],
    validation_split: float,
    validation_data: Any,
    shuffle: bool,
    class_weight: Optional[dict[int, float]],
    sample_weight: None,
    initial_epoch: int,
    steps_per_epoch: Optional[int],
    validation_steps: Optional[int],
    validation_batch_size: Optional[int],
    validation_freq: int,
) -> _callbacks.History:
    """See ``Sequential.fit``."""
    refuse("fit", sample_weight=None if sample_weight is None else "...")
    level = _progress.level(verbose)
    unsupported = ("on_test_begin", "on_test_end", *_callbacks._UNCALLED)
    every = _callbacks.checked(callbacks, unsupported=unsupported)
    if isinstance(validation_freq, (list, tuple, set)):
        raise NotImplementedError("fit: the library takes validation_freq as a number only")
    options = _options(
        shuffle,
        epochs=count("fit", "epochs", epochs, 0),
        initial_epoch=count("fit", "initial_epoch", initial_epoch, 0),
        validation_freq=count("fit", "validation_freq", validation_freq),
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch,
        validation_steps=validation_steps,
        validation_batch_size=validation_batch_size,
    )
    if model.optimizer is None:
        raise ValueError("fit: the model must be compiled: call compile(optimizer=..., loss=...)")
    model._take_shape(x)
    model._apply(training=True)
    form = model._labelled_form()
    if class_weight is not None:
        options["class_weight"] = _class_weight(class_weight, form.classes)
    if _data.is_stream(x) and validation_split:
        raise ValueError("fit: validation_split needs arrays; give validation_data")
    split = number("fit", "validation_split", validation_split)
    if not 0 <= split < 1:
        raise ValueError(f"fit: validation_split must lie in [0, 1), received {validation_split}")
    options["validation_split"] = 0.0 if validation_data is not None else split
    validation, validated = _validation(validation_data, form, options)
    source, stream = _training(model, x, y, form, options)
    history = _callbacks.History()
    history.set_model(model)
    model.history = history
    model.stop_training = False
    if options["epochs"] > options["initial_epoch"]:
        hooks = Hooks(model, every, model._metric_names(), level, history)
        _train(model, (source, stream), (validation, validated), options, every, hooks)
        for one in [*every, history]:
            one.on_train_end(hooks.logs)
    return history


def _options(shuffle: Any, **given: Optional[int]) -> dict[str, Any]:
    """The library's options."""
    if not isinstance(shuffle, (bool, np.bool_)):
        raise NotImplementedError(f"fit: shuffle must be True or False, received {shuffle!r}")
    options: dict[str, Any] = {"shuffle": bool(shuffle)}
    for name, value in given.items():
        if value is not None:
            least = 0 if name in ("epochs", "initial_epoch") else 1
            options[name] = count("fit", name, value, least)
    return options


def _training(
    model: Sequential, x: Any, y: Any, form: _data.Form, options: dict[str, Any]
) -> tuple[_Source, Optional[_data.Stream]]:
    """What to train on, and its stream."""
    if not _data.is_stream(x):
        samples = math.floor(len(_data.array("x", x)) * (1 - options["validation_split"]))
        size = _data.batch_size(options.get("batch_size"), samples, options.get("steps_per_epoch"))
        options["batch_size"] = size
        return _data.labelled(("x", "y"), x, y, form), None
    if y is not None:
        raise ValueError("fit: y must not be given beside batches, which hold their labels")
    if "batch_size" in options:
        raise ValueError("fit: batch_size must not be given beside batches, which have their own")
    if "steps_per_epoch" not in options:
        if not isinstance(x, _data.BatchSequence):
            raise ValueError(
                "fit: expected steps_per_epoch, as a generator does not say how many batches it has"
            )
        options["steps_per_epoch"] = len(x)
    order = f"{model._seed}" if model._fits == 0 else f"{model._seed} {model._fits}"
    first = options["initial_epoch"] * options["steps_per_epoch"]
    stream = _data.Stream("x", x, form, options["shuffle"], order, first)
    if options["epochs"] > options["initial_epoch"]:
        options["batch_size"] = stream.peek()
    return stream.batches(), stream


def _validation(
    given: Any, form: _data.Form, options: dict[str, Any]
) -> tuple[Optional[_Source], Optional[_data.Stream]]:
    """What to validate on beside a split, and its stream."""
    own = options.pop("validation_batch_size", None)
    size = own or options.get("batch_size")
    if given is None:
        if own is not None and "validation_steps" in options:
            raise NotImplementedError(
                "fit: validation_batch_size with validation_steps needs validation_data"
            )
        if size is None:
            # Batches that fill the steps.
            options.pop("validation_steps", None)
        return None, None
    if _data.is_stream(given):
        stream = _data.Stream("validation_data", given, form, False, "")
        if "validation_steps" not in options and stream.length is None:
            raise ValueError(
                "fit: expected validation_steps, as a generator does not say how many batches it has"
            )
        return stream.batches(), stream
    x, y = _data.batch_of("validation_data", given)
    rows = None
    if "validation_steps" in options:
        steps = options.pop("validation_steps")
        rows = steps * _data.batch_size(size, len(_data.array("x of validation_data", x)), steps)
    names = ("x of validation_data", "y of validation_data")
    return _data.labelled(names, x, y, form, rows), None


def _train(
    model: Sequential,
    training: tuple[_Source, Optional[_data.Stream]],
    validation: tuple[Optional[_Source], Optional[_data.Stream]],
    options: dict[str, Any],
    callbacks: list[_callbacks.Callback],
    hooks: Hooks,
) -> None:
    """Has the library train."""
    (source, stream), (validated, validating) = training, validation
    model._fits += 1
    optimizer = model.optimizer
    optimizer._assigned = None
    native = [one for one in callbacks if isinstance(one, _callbacks.Native)]
    try:
        with _data.served(stream, validating):
            found = model._net().fit(
                source,
                validated,
                json.dumps(options),
                float(optimizer._rate),
                [one._settings() for one in native],
                hooks,
                hooks.batches,
            )
    finally:
        if stream is not None and hooks.whole_epoch:
            stream.finish((hooks.epoch + 1) * options["steps_per_epoch"])
    if validating is not None:
        validating.close()
    optimizer._rate = found["rate"]
    model.stop_training = found["ending"] == "stopped"
    for own, state in zip(native, found["callbacks"]):
        own._found(json.loads(state))


def _class_weight(given: Any, classes: int) -> dict[str, float]:
    if not isinstance(given, dict):
        raise ValueError(f"fit: class_weight must be a dict of numbers by class, received {given!r}")
    weights = {}
    for key, value in given.items():
        key = count("fit", "each class of class_weight", key, 0)
        value = number("fit", "each weight of class_weight", value)
        if key >= classes or value < 0:
            raise ValueError(
                f"fit: class_weight: expected classes from 0 to {classes - 1} and weights of at least 0, "
                f"received {key}: {value}"
            )
        weights[str(key)] = value
    return weights
