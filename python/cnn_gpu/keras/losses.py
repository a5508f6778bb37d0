"""Losses, by name or as objects."""

from __future__ import annotations

from typing import Any, Union

from ._checks import missing, number, only, refuse


class Loss:
    """Base class."""

    _name = ""
    #: Whether labels are class numbers, not one-hot rows.
    sparse = False

    def __init__(self, label_smoothing: float = 0.0, name: Any = None) -> None:
        self.label_smoothing = number(type(self).__name__, "label_smoothing", label_smoothing)
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"{type(self).__name__}: label_smoothing must lie in [0, 1), received {label_smoothing}"
            )
        self.name = self._name if name is None else name

    def _described(self) -> dict[str, Any]:
        described: dict[str, Any] = {"name": self._name}
        if self.label_smoothing:
            described["label_smoothing"] = self.label_smoothing
        return described


def _plain(owner: str, from_logits: bool, axis: int, reduction: Any, dtype: Any) -> None:
    if from_logits:
        raise NotImplementedError(
            f"{owner}: the library takes no logits (received from_logits=True); end the model with "
            "activation='softmax', or 'sigmoid' for the binary cross-entropy"
        )
    only(owner, "axis", axis, -1)
    only(owner, "reduction", reduction, "sum_over_batch_size")
    only(owner, "dtype", dtype, None, "float32")


class CategoricalCrossentropy(Loss):
    """For one-hot labels ``(n, classes)`` and a softmax: ``-sum(t * log(y))``."""

    _name = "categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        _plain("CategoricalCrossentropy", from_logits, axis, reduction, dtype)
        super().__init__(label_smoothing, name)


class SparseCategoricalCrossentropy(Loss):
    """For labels as class numbers ``(n,)`` and a softmax."""

    _name = "sparse_categorical_crossentropy"
    sparse = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: None = None,
        reduction: str = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        if ignore_class is not None:
            refuse("SparseCategoricalCrossentropy", ignore_class=repr(ignore_class))
        _plain("SparseCategoricalCrossentropy", from_logits, axis, reduction, dtype)
        super().__init__(0.0, name)


class BinaryCrossentropy(Loss):
    """For one sigmoid and labels 0 or 1, ``(n,)`` or ``(n, 1)``, or several and one-hot labels."""

    _name = "binary_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        _plain("BinaryCrossentropy", from_logits, axis, reduction, dtype)
        super().__init__(label_smoothing, name)


class MeanSquaredError(Loss):
    """For one-hot labels ``(n, classes)``: ``mean((y - t)**2)``. Other targets are not supported."""

    _name = "mean_squared_error"

    def __init__(
        self,
        reduction: str = "sum_over_batch_size",
        name: str = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        only("MeanSquaredError", "reduction", reduction, "sum_over_batch_size")
        only("MeanSquaredError", "dtype", dtype, None, "float32")
        super().__init__(0.0, name)


_CLASSES = {
    one._name: one
    for one in (
        CategoricalCrossentropy,
        SparseCategoricalCrossentropy,
        BinaryCrossentropy,
        MeanSquaredError,
    )
}
_NAMES = {
    **_CLASSES,
    **{one.__name__: one for one in _CLASSES.values()},
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
}


def get(identifier: Union[str, Loss, type]) -> Loss:
    """The loss of this name."""
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss) and identifier is not Loss:
        return identifier()
    if isinstance(identifier, str) and identifier in _NAMES:
        return _NAMES[identifier]()
    raise ValueError(
        f"the library has no loss {identifier!r}: expected one of {', '.join(_CLASSES)}"
    )


def of_description(described: dict[str, Any], one_hot: bool) -> Loss:
    """A loss from the library's description, for labels as one-hot rows or class numbers."""
    arguments = dict(described)
    found = _CLASSES[arguments.pop("name", "categorical_crossentropy")]
    if found is CategoricalCrossentropy and not one_hot and not arguments.get("label_smoothing"):
        return SparseCategoricalCrossentropy()
    return found(**arguments)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return _NAMES[name]
    raise missing(__name__, name, [one.__name__ for one in _CLASSES.values()])
