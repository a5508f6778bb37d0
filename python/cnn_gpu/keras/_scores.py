"""``evaluate`` and ``predict``."""

from __future__ import annotations

import time
from typing import Any, Iterable, Optional, Sequence, TYPE_CHECKING, Union

import numpy as np

from .. import _native
from . import _data, _progress, callbacks as _callbacks
from ._checks import count, refuse

if TYPE_CHECKING:
    from .models import Sequential


def evaluate(
    model: Sequential,
    x: Any,
    y: Any,
    *,
    batch_size: Optional[int],
    verbose: Union[str, int],
    sample_weight: None,
    steps: Optional[int],
    callbacks: Optional[Sequence[_callbacks.Callback]],
    return_dict: bool,
) -> Any:
    """See ``Sequential.evaluate``."""
    refuse("evaluate", sample_weight=None if sample_weight is None else "...")
    verbose = _progress.level(verbose)
    every = _callbacks.checked(callbacks, unsupported=_callbacks._UNCALLED)
    steps = None if steps is None else count("evaluate", "steps", steps)
    rows = None if batch_size is None else count("evaluate", "batch_size", batch_size)
    if model.optimizer is None:
        raise ValueError("evaluate: the model must be compiled")
    model._take_shape(x)
    model._apply()
    source, stream, taken = _source(x, y, model._labelled_form(), steps, rows)
    _begin(every, model, verbose, taken)
    _each(every, "on_test_begin", {})
    with _data.served(stream):
        loss, accuracy, _, seconds = model._net().evaluate(source, steps)
    if stream is not None:
        stream.close()
    found = {"loss": loss, **dict.fromkeys(model._metric_names(), accuracy)}
    _progress.Bar(verbose, taken).end(seconds, dict(sorted(found.items())))
    _each(every, "on_test_end", found)
    if return_dict:
        return found
    values = list(found.values())
    return values if len(values) > 1 else values[0]


def _source(
    x: Any, y: Any, form: _data.Form, steps: Optional[int], rows: Optional[int]
) -> tuple[Union[_native.Arrays, _native.Batches], Optional[_data.Stream], int]:
    """What to evaluate on, its stream, and the number of batches."""
    if _data.is_stream(x):
        if y is not None:
            raise ValueError("evaluate: y must not be given beside batches, which hold their labels")
        stream = _data.Stream("x", x, form, False, "")
        if steps is None and stream.length is None:
            raise ValueError("evaluate: expected steps, as a generator does not say its length")
        return stream.batches(), stream, steps or stream.length or 1
    total = len(_data.array("x", x))
    rows = _data.batch_size(rows, total, steps)
    most = None if steps is None else steps * rows
    taken = -(-(total if most is None else min(total, most)) // rows)
    return _data.labelled(("x", "y"), x, y, form, most), None, taken


def predict(
    model: Sequential,
    x: Any,
    *,
    batch_size: Optional[int],
    verbose: Union[str, int],
    steps: Optional[int],
    callbacks: Optional[Sequence[_callbacks.Callback]],
) -> np.ndarray:
    """See ``Sequential.predict``."""
    verbose = _progress.level(verbose)
    unsupported = ("on_predict_batch_begin", "on_predict_batch_end")
    every = _callbacks.checked(callbacks, unsupported=unsupported)
    steps = None if steps is None else count("predict", "steps", steps)
    rows = None if batch_size is None else count("predict", "batch_size", batch_size)
    model._take_shape(x)
    model._ready_to_predict()
    form = model._form()
    started = time.monotonic()
    stream = _data.is_stream(x)
    taken: Optional[int] = steps
    if isinstance(x, _data.BatchSequence):
        taken = min(_data.length_of("x", x), steps or len(x))
    elif not stream:
        x = _data.array("x", x)
        if x.ndim:
            size = _data.batch_size(rows, len(x), steps)
            x = x if steps is None else x[: steps * size]
            taken = max(1, -(-len(x) // size))
    _begin(every, model, verbose, taken)
    _each(every, "on_predict_begin", {})
    batches = [_outputs(model, one, form) for one in (_images(x, steps) if stream else [x])]
    if not batches:
        raise ValueError("x: the generator has no batches")
    outputs = np.concatenate(batches) if stream else batches[0]
    bar = _progress.Bar(0 if verbose == 2 else verbose, len(batches) if stream else taken or 1)
    bar.end(time.monotonic() - started, {})
    _each(every, "on_predict_end", {"outputs": outputs})
    return outputs

def _outputs(model: Sequential, x: Any, form: _data.Form) -> np.ndarray:
    outputs: np.ndarray = model._net().predict(_data.unlabelled("x", x, form))
    # The library gives both classes of a single sigmoid.
    return outputs if form.outputs == outputs.shape[1] else outputs[:, 1:].copy()


def _images(x: Any, steps: Optional[int]) -> Iterable[Any]:
    """The images of batches."""
    batches: Iterable[Any] = x
    if isinstance(x, _data.BatchSequence):
        x.on_epoch_begin()
        batches = (x[i] for i in range(len(x)))
    for number, made in enumerate(batches):
        yield made[0] if isinstance(made, (tuple, list)) else made
        if number + 1 == steps:
            break
    if isinstance(x, _data.BatchSequence):
        x.on_epoch_end()


def _begin(
    callbacks: list[_callbacks.Callback], model: Sequential, verbose: int, steps: Optional[int]
) -> None:
    for one in callbacks:
        one.set_params({"verbose": verbose, "epochs": 1, "steps": steps})
        one.set_model(model)


def _each(callbacks: list[_callbacks.Callback], hook: str, logs: dict[str, Any]) -> None:
    for one in callbacks:
        getattr(one, hook)(dict(logs))
