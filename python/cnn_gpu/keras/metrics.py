"""Metrics: the accuracy, by the names that Keras has for it."""

from __future__ import annotations

from typing import Any, Optional, Union

from ._checks import missing, number, only


class Metric:
    """The share of samples whose most probable class is the label; of a single sigmoid, whose
    probability is above one half on the label's side."""

    _name = "accuracy"

    def __init__(self, name: Optional[str] = None, dtype: Any = None) -> None:
        only(type(self).__name__, "dtype", dtype, None, "float32")
        self.name = self._name if name is None else name


class CategoricalAccuracy(Metric):
    """For one-hot labels."""

    _name = "categorical_accuracy"


class SparseCategoricalAccuracy(Metric):
    """For labels as class numbers."""

    _name = "sparse_categorical_accuracy"


class BinaryAccuracy(Metric):
    """For a single sigmoid."""

    _name = "binary_accuracy"

    def __init__(
        self, name: Optional[str] = None, dtype: Any = None, threshold: float = 0.5
    ) -> None:
        only("BinaryAccuracy", "threshold", number("BinaryAccuracy", "threshold", threshold), 0.5)
        super().__init__(name, dtype)


_NAMES = {
    "accuracy": Metric,
    "acc": Metric,
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "binary_accuracy": BinaryAccuracy,
    "CategoricalAccuracy": CategoricalAccuracy,
    "SparseCategoricalAccuracy": SparseCategoricalAccuracy,
    "BinaryAccuracy": BinaryAccuracy,
}


def get(identifier: Union[str, Metric], sparse: bool, outputs: int) -> Metric:
    """The metric of this name, for labels of this form and a model with so many outputs."""
    metric = identifier
    if isinstance(metric, str):
        # Keras names it as it was written.
        metric = _NAMES[metric](name=metric if metric.islower() else None)
    fits = {
        BinaryAccuracy: outputs == 1,
        CategoricalAccuracy: outputs > 1 and not sparse,
        SparseCategoricalAccuracy: outputs > 1 and sparse,
    }
    if not fits.get(type(metric), True):
        raise NotImplementedError(
            f"the library has no {metric.name} of {outputs} outputs and such labels; use 'accuracy'"
        )
    return metric


def checked(given: Any) -> list[Union[str, Metric]]:
    """The metrics of ``compile``, known ones, of names of their own. Whether they fit the outputs is known once these
    are."""
    if isinstance(given, (str, Metric)):
        raise ValueError(f"compile: metrics must be a list, received {given!r}")
    every = list(given or [])
    for one in every:
        if not isinstance(one, Metric) and not (isinstance(one, str) and one in _NAMES):
            raise NotImplementedError(
                f"the library has no metric {one!r} in training: expected 'accuracy'"
            )
    names = [one if isinstance(one, str) else one.name for one in every]
    if len(set(names)) < len(names):
        raise ValueError(f"compile: metrics need names of their own, received {names}")
    return every


def __getattr__(name: str) -> Any:
    raise missing(
        __name__, name, ["BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy"]
    )
