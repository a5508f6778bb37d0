"""Callbacks, with Keras's arguments, and the base class of your own."""

from __future__ import annotations

import csv
import json
import math
import os
import warnings
from typing import Any, Callable, Optional, Union

from . import _progress
from ._checks import count, missing, number, only, refuse, refuse_rest

_Logs = Optional[dict[str, Any]]

#: Hooks that `fit` does not call.
_UNCALLED = ("on_test_batch_begin", "on_test_batch_end")


class Callback:
    """Base class of your own callbacks: override the hooks that you need.

    ``self.model`` is the model; set ``self.model.stop_training = True`` to end ``fit``, and
    ``self.model.optimizer.learning_rate`` to change it. ``epoch`` counts from 0. Hooks run in the
    thread that called ``fit``. Training waits for hooks of batches. In these, weights, scores and
    ``optimizer.iterations`` are those of the last epoch's end: the library hands them over there.
    """

    def __init__(self) -> None:
        self.params: Optional[dict[str, Any]] = None
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return getattr(self, "_model", None)

    def set_params(self, params: dict[str, Any]) -> None:
        """Receives ``epochs``, ``steps`` and ``verbose``."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Receives the model."""
        self._model = model

    def on_train_begin(self, logs: _Logs = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: _Logs = None) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: _Logs = None) -> None:
        """Before an epoch."""

    def on_epoch_end(self, epoch: int, logs: _Logs = None) -> None:
        """After an epoch and its validation; ``logs`` has the values of ``History.history``."""

    def on_batch_begin(self, batch: int, logs: _Logs = None) -> None:
        """The same as ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: _Logs = None) -> None:
        """The same as ``on_train_batch_end``."""

    def on_train_batch_begin(self, batch: int, logs: _Logs = None) -> None:
        """Before a batch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: _Logs = None) -> None:
        """After a batch."""
        self.on_batch_end(batch, logs=logs)

    def on_test_begin(self, logs: _Logs = None) -> None:
        """Before ``evaluate``."""

    def on_test_end(self, logs: _Logs = None) -> None:
        """After ``evaluate``."""

    def on_test_batch_begin(self, batch: int, logs: _Logs = None) -> None:
        """Not supported."""

    def on_test_batch_end(self, batch: int, logs: _Logs = None) -> None:
        """Not supported."""

    def on_predict_begin(self, logs: _Logs = None) -> None:
        """Before ``predict``."""

    def on_predict_end(self, logs: _Logs = None) -> None:
        """After ``predict``."""

    def on_predict_batch_begin(self, batch: int, logs: _Logs = None) -> None:
        """Not supported."""

    def on_predict_batch_end(self, batch: int, logs: _Logs = None) -> None:
        """Not supported."""


def overrides(callback: Callback, *hooks: str) -> list[str]:
    """Those of the hooks that the callback has of its own."""
    return [hook for hook in hooks if getattr(type(callback), hook) is not getattr(Callback, hook)]


def checked(callbacks: Any, *, unsupported: tuple[str, ...]) -> list[Callback]:
    """A list of callbacks without hooks that are not called."""
    if callbacks is None:
        return []
    every = [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
    for callback in every:
        if not isinstance(callback, Callback):
            raise TypeError(
                "callbacks: expected objects of cnn_gpu.keras.callbacks.Callback, received "
                f"{type(callback).__module__}.{type(callback).__name__}"
            )
        for hook in overrides(callback, *unsupported):
            raise NotImplementedError(
                f"{type(callback).__name__}: the library does not call {hook} here"
            )
    return every


class Native(Callback):
    """A callback of the library, which runs in Rust; its class cannot be extended."""

    _base: type

    def _settings(self) -> tuple[str, str]:
        hooks = [name for name in vars(Callback) if name.startswith("on_")]
        changed = [hook for hook in hooks if getattr(type(self), hook) is not getattr(Callback, hook)]
        if changed:
            raise NotImplementedError(
                f"{type(self).__name__}: the library's own callbacks cannot be extended (received "
                f"{', '.join(changed)}); write another Callback beside it"
            )
        return self._described()

    def _described(self) -> tuple[str, str]:
        raise NotImplementedError

    def _found(self, found: dict[str, Any]) -> None:
        """Takes what the library found."""


def _monitor(owner: str, monitor: str, mode: str) -> dict[str, str]:
    names = {"acc": "accuracy", "val_acc": "val_accuracy"}
    monitor = names.get(monitor, monitor)
    if monitor not in ("loss", "accuracy", "val_loss", "val_accuracy"):
        raise NotImplementedError(
            f"{owner}: the library measures loss, accuracy, val_loss and val_accuracy; received "
            f"monitor={monitor!r}"
        )
    if mode not in ("auto", "min", "max"):
        raise ValueError(f"{owner}: mode must be 'auto', 'min' or 'max', received {mode!r}")
    return {"monitor": monitor, "mode": mode}


class EarlyStopping(Native):
    """Ends ``fit`` when a metric has not improved by more than ``min_delta`` for ``patience`` epochs.

    With ``restore_best_weights`` the model ends with the weights of its best epoch, however ``fit``
    ends. Afterwards ``best``, ``best_epoch``, ``wait`` and ``stopped_epoch`` tell how it went;
    epochs count from 0.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: Optional[float] = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__()
        owner = "EarlyStopping"
        self.monitor = monitor
        self.verbose = _progress.level(verbose)
        self.min_delta = abs(number(owner, "min_delta", min_delta))
        self.patience = count(owner, "patience", patience, 0)
        self.baseline = None if baseline is None else number(owner, "baseline", baseline)
        self.restore_best_weights = bool(restore_best_weights)
        self.start_from_epoch = count(owner, "start_from_epoch", start_from_epoch, 0)
        self._watched = _monitor(owner, monitor, mode)
        self.best: Optional[float] = None
        self.best_epoch = 0
        self.stopped_epoch = 0
        self.wait = 0

    def _described(self) -> tuple[str, str]:
        settings = {
            **self._watched,
            "min_delta": self.min_delta,
            "patience": self.patience,
            "restore_best_weights": self.restore_best_weights,
            "start_from_epoch": self.start_from_epoch,
        }
        if self.baseline is not None:
            settings["baseline"] = self.baseline
        return "EarlyStopping", json.dumps(settings)

    def _found(self, found: dict[str, Any]) -> None:
        self.best = found.get("best")
        self.best_epoch = (found.get("best_epoch") or 1) - 1
        self.wait = found.get("wait", 0)
        stopped = found.get("stopped_epoch")
        self.stopped_epoch = 0 if stopped is None else stopped - 1
        if stopped is not None:
            _progress.line(f"Epoch {stopped}: early stopping", self.verbose)
        if self.restore_best_weights and found.get("best_epoch"):
            _progress.line(
                f"Restoring model weights from the end of the best epoch: {found['best_epoch']}.",
                self.verbose,
            )


class ReduceLROnPlateau(Native):
    """Multiplies the learning rate by ``factor`` when a metric has not improved for ``patience``
    epochs, down to ``min_lr``."""

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        owner = "ReduceLROnPlateau"
        refuse_rest(owner, kwargs)
        self.monitor = monitor
        self.factor = number(owner, "factor", factor)
        if self.factor >= 1.0:
            raise ValueError(f"{owner}: factor must be less than 1, received {factor}")
        self.patience = count(owner, "patience", patience, 0)
        self.verbose = _progress.level(verbose)
        self.min_delta = number(owner, "min_delta", min_delta)
        self.cooldown = count(owner, "cooldown", cooldown, 0)
        self.min_lr = number(owner, "min_lr", min_lr)
        self._watched = _monitor(owner, monitor, mode)
        self.best: Optional[float] = None
        self.wait = 0

    def _described(self) -> tuple[str, str]:
        settings = {
            **self._watched,
            "factor": self.factor,
            "patience": self.patience,
            "min_delta": self.min_delta,
            "cooldown": self.cooldown,
            "min_lr": self.min_lr,
        }
        return "ReduceLROnPlateau", json.dumps(settings)

    def _found(self, found: dict[str, Any]) -> None:
        self.best = found.get("best")
        self.wait = found.get("wait", 0)


class TerminateOnNaN(Native):
    """Ends ``fit`` when the loss becomes NaN, with the weights of the last complete epoch. Without it
    ``fit`` raises ``FloatingPointError``."""

    def _described(self) -> tuple[str, str]:
        return "TerminateOnNaN", "{}"


class TensorBoard(Native):
    """Writes loss, accuracy, learning rate and histograms for TensorBoard."""

    def __init__(
        self,
        log_dir: Union[str, os.PathLike[str]] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: None = None,
    ) -> None:
        super().__init__()
        refuse(
            "TensorBoard",
            write_steps_per_second=write_steps_per_second,
            profile_batch=profile_batch,
            embeddings_freq=embeddings_freq,
            embeddings_metadata=embeddings_metadata,
        )
        only("TensorBoard", "update_freq", update_freq, "epoch")
        # Keras's default; the graph of TensorFlow is of no use here.
        self.write_graph = write_graph
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = count("TensorBoard", "histogram_freq", histogram_freq, 0)
        self.write_images = bool(write_images)

    def _described(self) -> tuple[str, str]:
        settings = {
            "log_dir": self.log_dir,
            "histogram_freq": self.histogram_freq,
            "write_images": self.write_images,
        }
        return "TensorBoard", json.dumps(settings)


class History(Callback):
    """What ``fit`` returns: ``history`` has the values of each metric, epoch by epoch, and ``epoch``
    the numbers of the epochs, from 0."""

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: _Logs = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: _Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LambdaCallback(Callback):
    """Calls functions."""

    def __init__(
        self,
        on_epoch_begin: Optional[Callable[[int, Any], Any]] = None,
        on_epoch_end: Optional[Callable[[int, Any], Any]] = None,
        on_train_begin: Optional[Callable[[Any], Any]] = None,
        on_train_end: Optional[Callable[[Any], Any]] = None,
        on_train_batch_begin: Optional[Callable[[int, Any], Any]] = None,
        on_train_batch_end: Optional[Callable[[int, Any], Any]] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        refuse_rest("LambdaCallback", kwargs)
        self._functions = {
            name: function
            for name, function in {
                "on_epoch_begin": on_epoch_begin,
                "on_epoch_end": on_epoch_end,
                "on_train_begin": on_train_begin,
                "on_train_end": on_train_end,
                "on_train_batch_begin": on_train_batch_begin,
                "on_train_batch_end": on_train_batch_end,
            }.items()
            if function is not None
        }
        self.__dict__.update(self._functions)


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch to ``schedule(epoch, learning_rate)`` or
    ``schedule(epoch)``."""

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise ValueError(f"LearningRateScheduler: expected a function, received {schedule!r}")
        self.schedule = schedule
        self.verbose = _progress.level(verbose)

    def on_epoch_begin(self, epoch: int, logs: _Logs = None) -> None:
        before = float(self.model.optimizer.learning_rate)
        try:
            rate = self.schedule(epoch, before)
        except TypeError:
            # The older form.
            rate = self.schedule(epoch)
        rate = number("LearningRateScheduler", "the result of schedule", rate)
        self.model.optimizer.learning_rate = rate
        _progress.line(
            f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.",
            self.verbose,
        )

    def on_epoch_end(self, epoch: int, logs: _Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class CSVLogger(Callback):
    """Writes a line per epoch: ``epoch``, from 0, and the metrics by name."""

    def __init__(
        self, filename: Union[str, os.PathLike[str]], separator: str = ",", append: bool = False
    ) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self._file: Any = None
        self._names: Optional[list[str]] = None
        self._header = True

    def on_train_begin(self, logs: _Logs = None) -> None:
        self._header = not (
            self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        )
        self._file = open(self.filename, "a" if self.append else "w", newline="")
        self._names = None

    def on_epoch_end(self, epoch: int, logs: _Logs = None) -> None:
        logs = logs or {}
        if self._names is None:
            self._names = sorted(logs)
            if "val_loss" not in self._names:
                self._names.extend(f"val_{name}" for name in list(self._names))
        writer = csv.DictWriter(
            self._file, ["epoch", *self._names], delimiter=self.separator, extrasaction="ignore"
        )
        if self._header:
            writer.writeheader()
            self._header = False
        writer.writerow({"epoch": epoch, **{name: logs.get(name, "NA") for name in self._names}})
        self._file.flush()

    def on_train_end(self, logs: _Logs = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class ModelCheckpoint(Callback):
    """Saves the model as a ``.keras`` file after each epoch, or after each that is better than all
    before; an epoch without the metric is saved with a warning. ``filepath`` may have ``{epoch:02d}``, counted from 1, and ``{val_loss:.2f}``."""

    def __init__(
        self,
        filepath: Union[str, os.PathLike[str]],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str = "epoch",
        initial_value_threshold: Optional[float] = None,
    ) -> None:
        super().__init__()
        owner = "ModelCheckpoint"
        refuse(owner, save_weights_only=save_weights_only)
        only(owner, "save_freq", save_freq, "epoch")
        self.filepath = os.fspath(filepath)
        if not self.filepath.endswith(".keras"):
            raise ValueError(
                f"{owner}: the file's name must end with `.keras`, received {self.filepath!r}"
            )
        self.monitor = monitor
        self.verbose = _progress.level(verbose)
        self.save_best_only = bool(save_best_only)
        watched = _monitor(owner, monitor, mode)
        self._monitored = watched["monitor"]
        rises = mode == "max" or (mode == "auto" and "acc" in watched["monitor"])
        self._better: Callable[[float, float], bool] = (
            (lambda a, b: a > b) if rises else (lambda a, b: a < b)
        )
        self.best: Optional[float] = initial_value_threshold

    def on_epoch_end(self, epoch: int, logs: _Logs = None) -> None:
        logs = logs or {}
        value = logs.get(self.monitor, logs.get(self._monitored))
        if self.save_best_only:
            if value is None:
                warnings.warn(
                    f"ModelCheckpoint: no {self.monitor} was measured in epoch {epoch + 1} to save the "
                    f"best by, so that the model is saved as it is; measured: {', '.join(logs)}",
                    stacklevel=2,
                )
            elif math.isnan(value) or (self.best is not None and not self._better(value, self.best)):
                _progress.line(
                    f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {self.best}",
                    self.verbose,
                )
                return
            else:
                self.best = value
        try:
            path = self.filepath.format(epoch=epoch + 1, **logs)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: {self.filepath!r} names {error}, which is not measured; measured: "
                f"epoch, {', '.join(logs)}"
            ) from None
        _progress.line(f"\nEpoch {epoch + 1}: saving model to {path}", self.verbose)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        self.model.save(path)


_NAMES = [
    "Callback",
    "CSVLogger",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, _NAMES)
