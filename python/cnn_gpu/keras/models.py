"""``Sequential`` and ``load_model``."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterable, Optional, Sequence, Union

import numpy as np

from . import _data, _files, _fit, _progress, _scores, callbacks as _callbacks, layers as _layers
from . import losses as _losses, metrics as _metrics, optimizers as _optimizers
from ._checks import missing, only, refuse, refuse_rest
from ._stack import Stack


class Sequential(Stack):
    """Layers that follow each other.

    Args:
        layers: The layers, first to last, as with :meth:`add`.
        name: By default ``sequential``, then ``sequential_1``, ...

    The first layer has an ``input_shape``, or an ``Input`` comes first; otherwise ``fit`` takes the
    shape from its data. Inputs are images ``(n, height, width, channels)``, or ``(n, height,
    width)`` before ``Flatten``, or ``(n, features)`` before ``Dense``.
    """

    def __init__(
        self,
        layers: Optional[Iterable[_layers.Layer]] = None,
        trainable: bool = True,
        name: Optional[str] = None,
    ) -> None:
        self._fits = 0
        self._optimizer: Optional[_optimizers.Optimizer] = None
        self._loss: Optional[_losses.Loss] = None
        self._metrics: list[Union[str, _metrics.Metric]] = []
        self.stop_training = False
        self.history: Optional[_callbacks.History] = None
        super().__init__(layers, trainable, name)

    def __setattr__(self, name: str, value: Any) -> None:
        known = ("name", "trainable", "optimizer", "stop_training", "history")
        if not (name.startswith("_") or name in known) and type(self) is Sequential:
            raise AttributeError(f"Sequential: the library has no {name} to set; received {value!r}")
        object.__setattr__(self, name, value)

    @property
    def optimizer(self) -> Any:
        """The optimizer that :meth:`compile` chose, ``None`` before."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        raise AttributeError(
            f"Sequential: optimizer cannot be set; call compile(optimizer=..., loss=...), received {value!r}"
        )

    # Training.

    def compile(
        self,
        optimizer: Union[str, _optimizers.Optimizer] = "rmsprop",
        loss: Union[str, _losses.Loss, None] = None,
        loss_weights: None = None,
        metrics: Optional[Sequence[Union[str, _metrics.Metric]]] = None,
        weighted_metrics: None = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Union[str, bool] = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Sets optimizer, loss and metrics. The state of an earlier optimizer is forgotten.

        Args:
            optimizer: ``"adam"``, ``"adamw"``, ``"rmsprop"``, ``"sgd"`` or an object.
            loss: ``"categorical_crossentropy"``, ``"sparse_categorical_crossentropy"``,
                ``"binary_crossentropy"``, ``"mean_squared_error"`` or an object.
            metrics: None, ``["accuracy"]``, or several of its names.
        """
        refuse(
            "compile",
            loss_weights=loss_weights,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
        )
        only("compile", "steps_per_execution", steps_per_execution, 1)
        only("compile", "jit_compile", jit_compile, "auto", True, False)
        only("compile", "auto_scale_loss", auto_scale_loss, True)
        if loss is None:
            raise ValueError("compile: expected a loss, such as 'categorical_crossentropy'")
        if isinstance(loss, (list, tuple, dict)):
            raise NotImplementedError("compile: the library's models have one output and one loss")
        chosen, chosen_loss = _optimizers.get(optimizer), _losses.get(loss)
        before = (self._optimizer, self._loss, self._metrics, self._applied, self._description)
        self._metrics = _metrics.checked(metrics)
        self._optimizer, self._loss = chosen, chosen_loss
        self._applied = False
        # A model that still grows is checked by fit.
        if self._network is not None and self._layers and len(self._rows()[-1][2]) == 1:
            try:
                self._apply()
            except Exception:
                self._optimizer, self._loss, self._metrics, applied, description = before
                self._applied = applied and self._description == description
                raise

    def _apply(self, training: bool = False) -> None:
        """Hands optimizer and loss to the library, once per ``compile``."""
        if self._optimizer is None or self._loss is None:
            raise ValueError("the model must be compiled: call compile(optimizer=..., loss=...)")
        if self._applied:
            if training and self._described() != self._description:
                raise ValueError(
                    "layers were changed, such as by trainable=False: call compile again, which begins with "
                    "a new optimizer's state"
                )
            return
        self._build()
        if self._optimizer._network not in (None, self._network):
            raise ValueError(
                "the optimizer belongs to another model: make one for each, or give its name"
            )
        self._metrics = [
            _metrics.get(one, self._loss.sparse, self._outputs()) for one in self._metrics
        ]
        self._optimizer._first_rate = self._optimizer._rate
        self._net().compile(self._optimizer._described(), json.dumps(self._loss._described()))
        self._optimizer._network = self._network
        self._applied = True

    def _labelled_form(self) -> _data.Form:
        assert self._loss is not None
        # The binary cross-entropy of one output takes the class itself.
        return self._form(self._loss.sparse, self._loss.name)

    def _metric_names(self) -> list[str]:
        """Once the optimizer and the loss have been applied."""
        return [one.name for one in self._metrics if isinstance(one, _metrics.Metric)]

    def _take_shape(self, x: Any) -> None:
        """The input's shape from the first data, if there is none yet."""
        if self._shape is None and not _data.is_stream(x):
            if not self._layers:
                raise ValueError("the model has no layers")
            shape = _data.array("x", x).shape[1:]
            self._shape = _layers.checked_shape("x", tuple(shape))
            try:
                self._build()
            except Exception:
                self._shape = None
                raise

    def fit(
        self,
        x: _data.Data = None,
        y: Any = None,
        batch_size: Optional[int] = None,
        epochs: int = 1,
        verbose: Union[str, int] = "auto",
        callbacks: Optional[Sequence[_callbacks.Callback]] = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Optional[dict[int, float]] = None,
        sample_weight: None = None,
        initial_epoch: int = 0,
        steps_per_epoch: Optional[int] = None,
        validation_steps: Optional[int] = None,
        validation_batch_size: Optional[int] = None,
        validation_freq: int = 1,
    ) -> _callbacks.History:
        """Trains, and returns the history. A second call goes on from the weights and the optimizer's
        state of the first.

        Args:
            x: Images ``(n, height, width, channels)``; float32 in C order is taken without a copy,
                and must not be changed meanwhile. Or a ``Sequence`` or generator of batches.
            y: One-hot rows ``(n, classes)`` or class numbers ``(n,)``, as the loss takes them.
            batch_size: Default 32, or with ``steps_per_epoch`` as many as fill the steps; a batch of a
                ``Sequence`` or generator has its own size.
            epochs: The number of the last epoch.
            verbose: 0: nothing; 1 or ``"auto"``: a bar per epoch; 2: a line per epoch.
            callbacks: Of ``keras.callbacks``, or your own.
            validation_split: The share of the last samples to validate on.
            validation_data: ``(x, y)``, a ``Sequence`` or a generator of batches, whatever ``x`` is.
            shuffle: Whether the samples, or the batches of a ``Sequence``, come in a new order in each
                epoch.
            class_weight: Factors of the loss by class.
            initial_epoch: Epochs that count as done.
            steps_per_epoch: Of a generator; for arrays, epochs of so many steps, which continue where
                the one before ended.
            validation_steps: Batches to validate on; a generator needs them.
            validation_freq: Epochs from validation to validation.
        """
        return _fit.fit(
            self,
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )

    def fit_generator(
        self,
        generator: _data.Data,
        steps_per_epoch: Optional[int] = None,
        epochs: int = 1,
        verbose: Union[str, int] = 1,
        callbacks: Optional[Sequence[_callbacks.Callback]] = None,
        validation_data: Any = None,
        validation_steps: Optional[int] = None,
        validation_freq: int = 1,
        class_weight: Optional[dict[int, float]] = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        shuffle: bool = True,
        initial_epoch: int = 0,
    ) -> _callbacks.History:
        """The older name of :meth:`fit` with a ``Sequence`` or generator. ``validation_data`` is
        ``(x, y)``, a ``Sequence`` or a generator."""
        only("fit_generator", "max_queue_size", max_queue_size, 10)
        only("fit_generator", "workers", workers, 1)
        only("fit_generator", "use_multiprocessing", use_multiprocessing, False)
        if not _data.is_stream(generator):
            raise ValueError(
                "fit_generator: expected a keras.utils.Sequence or a generator, received "
                f"{type(generator).__name__}"
            )
        return self.fit(
            generator,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
        )

    def evaluate(
        self,
        x: _data.Data = None,
        y: Any = None,
        batch_size: Optional[int] = None,
        verbose: Union[str, int] = "auto",
        sample_weight: None = None,
        steps: Optional[int] = None,
        callbacks: Optional[Sequence[_callbacks.Callback]] = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The loss, or ``[loss, accuracy]`` if the model was compiled with the accuracy.

        Args:
            x: As of :meth:`fit`.
            y: As of :meth:`fit`.
            batch_size: Default 32, or with ``steps`` as many as fill them. With ``steps`` it says how many
                samples to take; the result does not depend on it otherwise.
            steps: Batches to take.
            return_dict: Return a dict by name.
        """
        refuse_rest("evaluate", kwargs)
        return _scores.evaluate(
            self,
            x,
            y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            steps=steps,
            callbacks=callbacks,
            return_dict=return_dict,
        )

    def predict(
        self,
        x: _data.Data,
        batch_size: Optional[int] = None,
        verbose: Union[str, int] = "auto",
        steps: Optional[int] = None,
        callbacks: Optional[Sequence[_callbacks.Callback]] = None,
    ) -> np.ndarray:
        """The outputs, float32 ``(n, classes)``.

        Args:
            x: Images ``(n, height, width, channels)``, or a ``Sequence`` or generator of batches, of
                images alone or with labels, which do not matter.
            batch_size: Default 32, or with ``steps`` as many as fill them. With ``steps`` it says how many
                samples to take; the result does not depend on it otherwise.
            steps: Batches to take.
        """
        return _scores.predict(
            self, x, batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks
        )

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """:meth:`predict` for one array."""
        return self.predict(x, verbose=0)

    def _ready_to_predict(self) -> None:
        network = self._net()
        if self._optimizer is not None:
            self._apply()
            return
        self._build()
        # The library wants to know what the outputs are; the loss follows from the last activation.
        self._outputs()
        last = json.loads(network.model())["layers"][-1].get("activation", "linear")
        names = {"softmax": "categorical_crossentropy", "sigmoid": "binary_crossentropy"}
        network.set_loss(json.dumps({"name": names.get(last, "mean_squared_error")}))

    def __call__(self, inputs: Any, training: Optional[bool] = None, mask: None = None) -> np.ndarray:
        """:meth:`predict`, for images in memory."""
        refuse("model", training=training, mask=None if mask is None else "...")
        return self.predict(inputs, verbose=0)

    # Files.

    def load_weights(self, filepath: _files.Path, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Reads the weights of a ``.weights.h5``, ``.h5`` or ``.keras`` file of this model."""
        refuse("load_weights", skip_mismatch=skip_mismatch)
        refuse_rest("load_weights", kwargs)
        _files.load_weights(self, filepath)

    def save_weights(self, filepath: _files.Path, overwrite: bool = True, **kwargs: Any) -> None:
        """Not supported: :meth:`save` writes a ``.keras`` file, whose weights can be loaded."""
        raise NotImplementedError(
            "save_weights: the library writes no files of weights alone; use save('model.keras'), from "
            "which load_weights reads, too"
        )

    def save(
        self, filepath: _files.Path, overwrite: bool = True, zipped: Optional[bool] = None, **kwargs: Any
    ) -> None:
        """Writes a ``.keras`` file, which Keras 3 loads; with the optimizer and its state if the model
        is compiled."""
        refuse_rest("save", kwargs)
        only("save", "zipped", zipped, None, True)
        _files.save(self, filepath, overwrite)

    # Words.

    def summary(
        self,
        line_length: Optional[int] = None,
        positions: None = None,
        print_fn: Optional[Callable[[str], Any]] = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: None = None,
    ) -> None:
        """Prints the layers with their output shapes and numbers of weights, as Keras does."""
        refuse(
            "summary",
            positions=positions,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
            layer_range=layer_range,
        )
        self._net()
        from . import _summary

        text = _summary.text(self, line_length)
        if print_fn is not None:
            print_fn(text)
        else:
            _progress.write(text)

    def __repr__(self) -> str:
        return f"<Sequential name={self.name}, built={self.built}>"

    def __reduce__(self) -> Any:
        raise TypeError(
            "a model can be neither pickled nor copied: use save and load_model, or build another one "
            "and set_weights"
        )


def load_model(
    filepath: _files.Path, custom_objects: None = None, compile: bool = True, safe_mode: bool = True
) -> Sequential:
    """Reads a model from a ``.keras`` or ``.h5`` file of Keras or of this package: compiled, with the
    optimizer's state, if the file says how.

    What the file holds and the library lacks is named by a warning, or an error if the model cannot
    be computed without it.
    """
    refuse("load_model", custom_objects=custom_objects)
    only("load_model", "safe_mode", safe_mode, True)
    return _files.load(Sequential(name="loaded"), filepath, compile)


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, ["Sequential", "load_model"])
