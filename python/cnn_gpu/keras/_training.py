"""What a call of ``fit`` tells and asks Python: the library calls these hooks, in the thread that
called ``fit``."""

from __future__ import annotations

from typing import Any, Optional

from . import _progress
from .callbacks import (
    Callback,
    History,
    ReduceLROnPlateau,
    overrides,
)

_Answer = tuple[bool, Optional[float]]


class Hooks:
    """Callbacks of Python's own, the progress bar and the history."""

    def __init__(
        self,
        model: Any,
        callbacks: list[Callback],
        metrics: list[str],
        verbose: int,
        history: History,
    ) -> None:
        self._model = model
        self._all = callbacks
        self._metrics = metrics
        self._verbose = verbose
        self._history = history
        self._reduces = any(isinstance(one, ReduceLROnPlateau) for one in callbacks)
        self._announces = any(
            isinstance(one, ReduceLROnPlateau) and one.verbose for one in callbacks
        )
        self._epochs = 0
        self.epoch = 0
        self._batch_hooks = any(
            overrides(one, "on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
            or _has_functions(one)
            for one in callbacks
        )
        self._bar: Optional[_progress.Bar] = None
        self.whole_epoch = False
        #: The logs of the last epoch.
        self.logs: dict[str, Any] = {}

    @property
    def batches(self) -> bool:
        """Whether a callback wants to know of each batch."""
        return self._batch_hooks

    def _answer(self) -> _Answer:
        optimizer = self._model.optimizer
        rate, optimizer._assigned = optimizer._assigned, None
        return bool(self._model.stop_training), rate

    def _named(self, loss: float, accuracy: float) -> dict[str, float]:
        named = {**dict.fromkeys(self._metrics, accuracy), "loss": loss}
        return dict(sorted(named.items()))

    # What the library calls.

    def train_begin(self, initial_epoch: int, epochs: int, steps: int) -> _Answer:
        self._epochs = epochs
        self._steps = steps
        params = {"verbose": self._verbose, "epochs": epochs, "steps": steps}
        for one in [*self._all, self._history]:
            one.set_params(params)
            one.set_model(self._model)
        for one in [*self._all, self._history]:
            one.on_train_begin({})
        return self._answer()

    def epoch_begin(self, epoch: int) -> _Answer:
        self.epoch = epoch
        self.whole_epoch = False
        for one in self._all:
            one.on_epoch_begin(epoch, {})
        if self._verbose:
            _progress.line(f"Epoch {epoch + 1}/{self._epochs}")
        self._bar = _progress.Bar(self._verbose, self._steps)
        return self._answer()

    def batch_begin(self, step: int) -> _Answer:
        for one in self._all:
            one.on_train_batch_begin(step, {})
        return self._answer()

    def steps(self, first: int, progress: dict[str, Any]) -> _Answer:
        logs = self._named(progress["loss"], progress["accuracy"])
        if self._batch_hooks:
            for step in range(first, progress["step"]):
                for one in self._all:
                    one.on_train_batch_end(step, dict(logs))
        if self._bar is not None and progress["step"] < progress["steps"]:
            self._bar.show(progress["step"], progress["seconds"], logs)
        return self._answer()

    def rate(self, rate: float) -> None:
        self._model.optimizer._rate = rate
        if self._announces:
            _progress.line(
                f"\nEpoch {self.epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}."
            )

    def epoch_end(self, measured: dict[str, Any], steps: int) -> _Answer:
        logs = self._named(measured["loss"], measured["accuracy"])
        if measured["val_loss"] is not None:
            validated = self._named(measured["val_loss"], measured["val_accuracy"])
            logs.update({f"val_{name}": value for name, value in validated.items()})
        if self._reduces:
            logs["learning_rate"] = measured["learning_rate"]
        self.whole_epoch = steps == self._steps
        for one in self._all:
            one.on_epoch_end(measured["epoch"], logs)
        if self._bar is not None:
            self._bar.end(measured["seconds"], logs)
        self._history.on_epoch_end(measured["epoch"], logs)
        self.logs = logs
        return self._answer()


def _has_functions(callback: Callback) -> bool:
    """Whether a `LambdaCallback` has functions of batches."""
    return any(name in vars(callback) for name in ("on_train_batch_begin", "on_train_batch_end"))
