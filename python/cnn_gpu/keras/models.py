"""``Sequential`` and ``load_model``."""

from __future__ import annotations

import json
import os
import time
import warnings
from typing import Any, Callable, Iterable, Optional, Sequence, Union

import numpy as np

from .. import _native
from . import _data, _names, _progress, callbacks as _callbacks, layers as _layers
from . import losses as _losses, metrics as _metrics, optimizers as _optimizers
from ._checks import count, missing, number, only, refuse, refuse_rest
from ._training import Hooks

_Path = Union[str, "os.PathLike[str]"]

#: The name of a layer that users do not see: it makes images of vectors' features.
_HIDDEN = "features_of_vector"


class Sequential:
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
        if name is not None and not isinstance(name, str):
            raise ValueError(f"Sequential: name must be a string, received {name!r}")
        self.name = _names.automatic("Sequential") if name is None else name
        self._trainable = bool(trainable)
        self._fits = 0
        self._layers: list[_layers.Layer] = []
        self._shape: Optional[tuple[int, ...]] = None
        self._network: Optional[_native.Network] = None
        self._description: Optional[str] = None
        self._seed = _names.next_seed()
        self.optimizer: Any = None
        self._loss: Optional[_losses.Loss] = None
        self._metric: Optional[Union[str, _metrics.Metric]] = None
        self._applied = False
        self.stop_training = False
        self.history: Optional[_callbacks.History] = None
        for layer in layers or []:
            self.add(layer)

    def __setattr__(self, name: str, value: Any) -> None:
        known = ("name", "trainable", "optimizer", "stop_training", "history")
        if not (name.startswith("_") or name in known) and type(self) is Sequential:
            raise AttributeError(f"Sequential: the library has no {name} to set; received {value!r}")
        object.__setattr__(self, name, value)

    @property
    def trainable(self) -> bool:
        """Whether ``fit`` changes weights; set it for all layers, and call ``compile`` afterwards."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self._layers:
            layer.trainable = self._trainable

    # Layers.

    def add(self, layer: _layers.Layer, rebuild: bool = True) -> None:
        """Appends a layer. Weights of the layers before it are kept."""
        only("Sequential.add", "rebuild", rebuild, True)
        if isinstance(layer, type) and issubclass(layer, _layers.Layer):
            raise ValueError(f"add: expected an object, received the class {layer.__name__}")
        if isinstance(layer, Sequential):
            raise NotImplementedError("add: the library has no models within models")
        if not isinstance(layer, _layers.Layer):
            raise ValueError(
                "add: expected a layer of cnn_gpu.keras.layers, received "
                f"{type(layer).__module__}.{type(layer).__name__}"
            )
        if isinstance(layer, _layers.InputLayer):
            if self._layers or self._shape is not None:
                raise ValueError("add: an Input must come first, once")
            self._shape = layer._input_shape
            return
        if _layers.CLASSES.get(type(layer).__name__) is not type(layer):
            raise NotImplementedError(
                f"add: the library has no layers of your own; received {type(layer).__name__}"
            )
        if layer._model is not None:
            raise ValueError(f"add: the layer {layer.name!r} belongs to a model already")
        if any(other.name == layer.name for other in self._layers):
            raise ValueError(
                f"add: layers need names of their own; received a second layer {layer.name!r}"
            )
        if not self._layers and self._shape is None:
            self._shape = layer._input_shape
        elif layer._input_shape is not None and self._layers:
            raise ValueError("add: only the first layer has an input_shape")
        self._layers.append(layer)
        if not self._trainable:
            layer.trainable = False
        layer._model = self
        try:
            self._changed()
        except Exception:
            self._layers.pop()
            layer._model = None
            raise

    def pop(self, rebuild: bool = True) -> _layers.Layer:
        """Takes the last layer away and returns it."""
        only("Sequential.pop", "rebuild", rebuild, True)
        if not self._layers:
            raise ValueError("pop: the model has no layers")
        last = self._layers.pop()
        last._model = None
        self._changed()
        return last

    def _changed(self) -> None:
        self._applied = False
        if self._shape is not None and self._layers:
            self._build()
        else:
            self._network = None

    @property
    def layers(self) -> list[_layers.Layer]:
        """The layers, first to last."""
        return list(self._layers)

    def get_layer(self, name: Optional[str] = None, index: Optional[int] = None) -> _layers.Layer:
        """The layer of this name or number."""
        if (name is None) == (index is None):
            raise ValueError("get_layer: expected either a name or an index")
        if index is not None:
            if not -len(self._layers) <= index < len(self._layers):
                raise ValueError(
                    f"get_layer: the model has {len(self._layers)} layers, received index {index}"
                )
            return self._layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in self._layers)
        raise ValueError(f"get_layer: no layer is named {name!r}; expected one of {names}")

    # Building.

    def _described(self) -> str:
        assert self._shape is not None
        first = self._layers[0]
        seen = self._shape
        hidden: list[dict[str, Any]] = []
        if len(seen) == 3:
            image = seen
        elif len(seen) == 2 and isinstance(first, _layers.Flatten):
            image = (*seen, 1)
        elif len(seen) == 1:
            image = (1, 1, *seen)
            if not isinstance(first, _layers.Flatten):
                hidden = [{"type": "Flatten", "name": _HIDDEN}]
        else:
            raise NotImplementedError(
                f"{type(first).__name__}: the library takes images (height, width, channels), or "
                f"(height, width) before Flatten; received the input_shape {seen}"
            )
        described = {
            "name": self.name,
            "input_shape": list(image),
            "layers": hidden + [layer._layer() for layer in self._layers],
        }
        return json.dumps(described)

    def _build(self) -> None:
        description = self._described()
        if description == self._description and self._network is not None:
            return
        if self._network is None:
            self._network = _native.Network(description, self._seed)
        else:
            self._network.rebuild(description)
        self._description = description
        self._applied = False

    def build(self, input_shape: Optional[Sequence[Optional[int]]] = None) -> None:
        """Draws the weights, for inputs of the shape ``(None, height, width, channels)``."""
        if input_shape is not None:
            shape = _layers.checked_shape("build", tuple(input_shape)[1:])
            if self._shape is not None and shape != self._shape:
                raise ValueError(f"build: the model takes {self._shape}, received {shape}")
            self._shape = shape
        if not self._layers or self._shape is None:
            raise ValueError("build: expected layers, and an input_shape on the first")
        self._build()

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self._network is not None

    def _net(self) -> _native.Network:
        if self._network is None:
            raise ValueError(
                f"model {self.name!r} has no weights yet: give its first layer an input_shape, or call "
                "build or fit"
            )
        return self._network

    def _rows(self) -> list[tuple[str, str, list[int], int, int]]:
        return [row for row in self._net().layers() if row[0] != _HIDDEN]

    def _row(self, name: str) -> tuple[tuple[Optional[int], ...], int]:
        for row in self._rows():
            if row[0] == name:
                return (None, *row[2]), row[3]
        raise ValueError(f"no layer is named {name!r}")

    def _owners(self) -> list[str]:
        return [name.rsplit("/", 1)[0] for name, _, _ in self._net().parameters()]

    @property
    def input_shape(self) -> tuple[Optional[int], ...]:
        """The shape of the inputs, the first size ``None``."""
        if self._shape is None:
            raise ValueError(f"model {self.name!r} does not know its input_shape yet")
        return (None, *self._shape)

    @property
    def output_shape(self) -> tuple[Optional[int], ...]:
        """The shape of the outputs, the first size ``None``."""
        return (None, *self._rows()[-1][2])

    def count_params(self) -> int:
        """The number of weights."""
        return sum(row[3] for row in self._rows())

    # Weights.

    def get_weights(self) -> list[np.ndarray]:
        """The weights, layer by layer, as copies; within ``fit``, those after the last epoch."""
        return self._net().weights()

    @property
    def weights(self) -> list[np.ndarray]:
        """The weights, as copies."""
        return self.get_weights()

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets the weights, in the order and of the shapes of :meth:`get_weights`."""
        given = [np.require(_data.array("weights", one), np.float32) for one in list(weights)]
        self._net().set_weights(given)

    def load_weights(self, filepath: _Path, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Reads the weights of a ``.weights.h5``, ``.h5`` or ``.keras`` file of this model."""
        refuse("load_weights", skip_mismatch=skip_mismatch)
        refuse_rest("load_weights", kwargs)
        _existing("load_weights", filepath)
        _warn(self._net().load_weights(os.fspath(filepath)), filepath)

    def save_weights(self, filepath: _Path, overwrite: bool = True, **kwargs: Any) -> None:
        """Not supported: :meth:`save` writes a ``.keras`` file, whose weights can be loaded."""
        raise NotImplementedError(
            "save_weights: the library writes no files of weights alone; use save('model.keras'), from "
            "which load_weights reads, too"
        )

    def save(
        self, filepath: _Path, overwrite: bool = True, zipped: Optional[bool] = None, **kwargs: Any
    ) -> None:
        """Writes a ``.keras`` file, which Keras 3 loads; with the optimizer and its state if the model
        is compiled."""
        refuse_rest("save", kwargs)
        only("save", "zipped", zipped, None, True)
        path = os.fspath(filepath)
        if not path.endswith(".keras"):
            raise ValueError(f"save: the file's name must end with `.keras`, received {path!r}")
        if not overwrite and os.path.exists(path):
            raise FileExistsError(f"save: {path} exists; remove it, or call save with overwrite=True")
        network = self._net()
        rate = None
        if self.optimizer is not None:
            self._apply()
            rate = float(self.optimizer.learning_rate)
        one_hot = self._loss is not None and not self._loss.sparse
        _warn(network.save(path, rate, one_hot), path)

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
            metrics: ``["accuracy"]`` or none.
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
        if isinstance(metrics, (str, _metrics.Metric)):
            raise ValueError(f"compile: metrics must be a list, received {metrics!r}")
        measured = list(metrics or [])
        if len(measured) > 1:
            raise NotImplementedError(
                f"compile: the library measures one metric, the accuracy; received {measured}"
            )
        for one in measured:
            # Whether it is known at all; whether it fits the outputs is known once they are.
            _metrics.get(one, False, 2) if isinstance(one, str) and one in ("accuracy", "acc") else None
            if not isinstance(one, _metrics.Metric) and one not in _metrics._NAMES:
                _metrics.get(one, False, 2)
        before = (self.optimizer, self._loss, self._metric, self._applied, self._description)
        self.optimizer, self._loss = chosen, chosen_loss
        self._metric = measured[0] if measured else None
        self._applied = False
        # A model that still grows is checked by fit.
        if self._network is not None and self._layers and len(self._rows()[-1][2]) == 1:
            try:
                self._apply()
            except Exception:
                self.optimizer, self._loss, self._metric, applied, description = before
                self._applied = applied and self._description == description
                raise

    def _apply(self, training: bool = False) -> None:
        """Hands optimizer and loss to the library, once per ``compile``."""
        if self.optimizer is None or self._loss is None:
            raise ValueError("the model must be compiled: call compile(optimizer=..., loss=...)")
        if self._applied:
            if training and self._described() != self._description:
                raise ValueError(
                    "layers were changed, such as by trainable=False: call compile again, which begins with "
                    "a new optimizer's state"
                )
            return
        self._build()
        if self.optimizer._network not in (None, self._network):
            raise ValueError(
                "the optimizer belongs to another model: make one for each, or give its name"
            )
        if self._metric is not None:
            self._metric = _metrics.get(self._metric, self._loss.sparse, self._outputs())
        self.optimizer._first_rate = self.optimizer._rate
        self._net().compile(self.optimizer._described(), json.dumps(self._loss._described()))
        self.optimizer._network = self._network
        self._applied = True

    def _outputs(self) -> int:
        shape = self._rows()[-1][2]
        if len(shape) != 1:
            raise NotImplementedError(
                f"the library trains and predicts with outputs of the shape (classes,); the model's are "
                f"{tuple(shape)}: end it with Flatten and Dense, or global pooling"
            )
        return shape[0]

    def _form(self, sparse: Optional[bool] = None, loss: str = "") -> _data.Form:
        image = json.loads(self._described())["input_shape"]
        assert self._shape is not None
        return _data.Form(image, self._shape, self._outputs(), sparse, loss)

    def _labelled_form(self) -> _data.Form:
        assert self._loss is not None
        # The binary cross-entropy of one output takes the class itself.
        return self._form(self._loss.sparse, self._loss.name)

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
            batch_size: Default 32; a batch of a ``Sequence`` or generator has its own size.
            epochs: The number of the last epoch.
            verbose: 0: nothing; 1 or ``"auto"``: a bar per epoch; 2: a line per epoch.
            callbacks: Of ``keras.callbacks``, or your own.
            validation_split: The share of the last samples to validate on.
            validation_data: ``(x, y)``, or beside batches a ``Sequence`` or generator.
            shuffle: Whether the samples, or the batches of a ``Sequence``, come in a new order in each
                epoch.
            class_weight: Factors of the loss by class.
            initial_epoch: Epochs that count as done.
            steps_per_epoch: Of a generator; for arrays, epochs of so many steps, which continue where
                the one before ended.
            validation_steps: Batches to validate on.
            validation_freq: Epochs from validation to validation.
        """
        refuse("fit", sample_weight=None if sample_weight is None else "...")
        verbose = _progress.level(verbose)
        every = _callbacks.checked(callbacks, unsupported=("on_test_begin", "on_test_end", *_callbacks._UNCALLED))
        epochs = count("fit", "epochs", epochs, 0)
        initial_epoch = count("fit", "initial_epoch", initial_epoch, 0)
        if not isinstance(shuffle, (bool, np.bool_)):
            raise NotImplementedError(f"fit: shuffle must be True or False, received {shuffle!r}")
        if isinstance(validation_freq, (list, tuple, set)):
            raise NotImplementedError("fit: the library takes validation_freq as a number only")
        options: dict[str, Any] = {
            "epochs": epochs,
            "initial_epoch": initial_epoch,
            "shuffle": bool(shuffle),
            "validation_freq": count("fit", "validation_freq", validation_freq),
        }
        for name, value in (
            ("batch_size", batch_size),
            ("steps_per_epoch", steps_per_epoch),
            ("validation_steps", validation_steps),
            ("validation_batch_size", validation_batch_size),
        ):
            if value is not None:
                options[name] = count("fit", name, value)
        if self.optimizer is None:
            raise ValueError("fit: the model must be compiled: call compile(optimizer=..., loss=...)")
        self._take_shape(x)
        self._apply(training=True)
        form = self._labelled_form()
        if class_weight is not None:
            options["class_weight"] = _class_weight(class_weight, form.classes)
        first = None
        source: Union[_native.Arrays, _native.Batches]
        if _data.is_stream(x):
            if y is not None:
                raise ValueError("fit: y must not be given beside batches, which hold their labels")
            if batch_size is not None:
                raise ValueError("fit: batch_size must not be given beside batches, which have their own")
            if validation_split:
                raise ValueError("fit: validation_split needs arrays; give validation_data")
            steps = steps_per_epoch
            if steps is None:
                if not isinstance(x, _data.BatchSequence):
                    raise ValueError(
                        "fit: expected steps_per_epoch, as a generator does not say how many batches it has"
                    )
                steps = len(x)
            options["steps_per_epoch"] = steps
            order = f"{self._seed}" if self._fits == 0 else f"{self._seed} {self._fits}"
            first = _data.Stream("x", x, form, bool(shuffle), order, initial_epoch * steps)
            if epochs > initial_epoch:
                options["batch_size"] = first.peek()
            source = first.batches()
        else:
            options.setdefault("batch_size", 32)
            source = _data.labelled(("x", "y"), x, y, form)
        rows = options.get("validation_batch_size", batch_size or 32)
        validation, validated = self._validation(validation_data, form, options, rows)
        options.pop("validation_batch_size", None)
        split = number("fit", "validation_split", validation_split)
        if not 0 <= split < 1:
            raise ValueError(f"fit: validation_split must lie in [0, 1), received {validation_split}")
        options["validation_split"] = 0.0 if validation is not None else split
        history = _callbacks.History()
        history.set_model(self)
        self.history = history
        self.stop_training = False
        if epochs <= initial_epoch:
            return history
        self._fits += 1
        metric = self._metric.name if isinstance(self._metric, _metrics.Metric) else None
        hooks = Hooks(self, every, metric, verbose, history)
        optimizer = self.optimizer
        optimizer._assigned = None
        native = [one for one in every if isinstance(one, _callbacks.Native)]
        try:
            found = self._net().fit(
                source,
                validation,
                json.dumps(options),
                float(optimizer._rate),
                [one._settings() for one in native],
                hooks,
                hooks.batches,
            )
        finally:
            if first is not None and hooks.whole_epoch:
                first.finish((hooks.epoch + 1) * options["steps_per_epoch"])
        if validated is not None:
            validated.close()
        optimizer._rate = found["rate"]
        self.stop_training = found["ending"] == "stopped"
        for own, state in zip(native, found["callbacks"]):
            own._found(json.loads(state))
        for one in [*every, history]:
            one.on_train_end(hooks.logs)
        return history

    def _validation(
        self, given: Any, form: _data.Form, options: dict[str, Any], size: int
    ) -> tuple[Optional[Union[_native.Arrays, _native.Batches]], Optional[_data.Stream]]:
        """Validation data for the library, of batches of ``size`` rows, and its stream."""
        if given is None:
            if "validation_batch_size" in options and "validation_steps" in options:
                raise NotImplementedError(
                    "fit: validation_batch_size with validation_steps needs validation_data"
                )
            return None, None
        if _data.is_stream(given):
            stream = _data.Stream("validation_data", given, form, False, "")
            if "validation_steps" not in options:
                if stream.length is None:
                    raise ValueError(
                        "fit: expected validation_steps, as a generator does not say how many batches it has"
                    )
            return stream.batches(), stream
        x, y = _data.batch_of("validation_data", given)
        rows = None
        if "validation_steps" in options:
            rows = options.pop("validation_steps") * size
        names = ("x of validation_data", "y of validation_data")
        return _data.labelled(names, x, y, form, rows), None

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
            batch_size: Default 32. With ``steps`` it says how many samples to take; the result does
                not depend on it otherwise.
            steps: Batches to take.
            return_dict: Return a dict by name.
        """
        refuse("evaluate", sample_weight=None if sample_weight is None else "...")
        refuse_rest("evaluate", kwargs)
        verbose = _progress.level(verbose)
        every = _callbacks.checked(callbacks, unsupported=_callbacks._UNCALLED)
        steps = None if steps is None else count("evaluate", "steps", steps)
        rows = count("evaluate", "batch_size", 32 if batch_size is None else batch_size)
        if self.optimizer is None:
            raise ValueError("evaluate: the model must be compiled")
        self._take_shape(x)
        self._apply()
        form = self._labelled_form()
        source: Union[_native.Arrays, _native.Batches]
        stream: Optional[_data.Stream] = None
        if _data.is_stream(x):
            if y is not None:
                raise ValueError("evaluate: y must not be given beside batches, which hold their labels")
            stream = _data.Stream("x", x, form, False, "")
            if steps is None and stream.length is None:
                raise ValueError("evaluate: expected steps, as a generator does not say its length")
            source = stream.batches()
            taken = steps or stream.length or 1
        else:
            most = None if steps is None else steps * rows
            source = _data.labelled(("x", "y"), x, y, form, most)
            total = _data.array("x", x).shape[0]
            taken = -(-(total if most is None else min(total, most)) // rows)
        _begin(every, self, verbose, taken)
        _each(every, "on_test_begin", {})
        loss, accuracy, _, seconds = self._net().evaluate(source, steps)
        if stream is not None:
            stream.close()
        found = {"loss": loss}
        if isinstance(self._metric, _metrics.Metric):
            found[self._metric.name] = accuracy
        _progress.Bar(verbose, taken).end(seconds, dict(sorted(found.items())))
        _each(every, "on_test_end", found)
        if return_dict:
            return found
        values = list(found.values())
        return values if len(values) > 1 else values[0]

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
            batch_size: Default 32. With ``steps`` it says how many samples to take; the result does
                not depend on it otherwise.
            steps: Batches to take.
        """
        verbose = _progress.level(verbose)
        unsupported = ("on_predict_batch_begin", "on_predict_batch_end")
        every = _callbacks.checked(callbacks, unsupported=unsupported)
        steps = None if steps is None else count("predict", "steps", steps)
        rows = count("predict", "batch_size", 32 if batch_size is None else batch_size)
        self._take_shape(x)
        self._ready_to_predict()
        form = self._form()
        started = time.monotonic()
        stream = _data.is_stream(x)
        taken: Optional[int] = steps
        if isinstance(x, _data.BatchSequence):
            taken = min(_data.length_of("x", x), steps or len(x))
        elif not stream:
            x = _data.array("x", x)
            x = x if steps is None else x[: steps * rows]
            taken = max(1, -(-len(x) // rows)) if x.ndim else 1
        _begin(every, self, verbose, taken)
        _each(every, "on_predict_begin", {})
        batches = [self._predict(one, form) for one in (_images(x, steps) if stream else [x])]
        if not batches:
            raise ValueError("x: the generator has no batches")
        outputs = np.concatenate(batches) if stream else batches[0]
        bar = _progress.Bar(0 if verbose == 2 else verbose, len(batches) if stream else taken or 1)
        bar.end(time.monotonic() - started, {})
        _each(every, "on_predict_end", {"outputs": outputs})
        return outputs

    def _predict(self, x: Any, form: _data.Form) -> np.ndarray:
        outputs = self._net().predict(_data.unlabelled("x", x, form))
        # The library gives both classes of a single sigmoid.
        return outputs if form.outputs == outputs.shape[1] else outputs[:, 1:].copy()

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """:meth:`predict` for one array."""
        return self.predict(x, verbose=0)

    def _ready_to_predict(self) -> None:
        network = self._net()
        if self.optimizer is not None:
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


def _existing(owner: str, path: _Path) -> None:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{owner}: no such file: {os.fspath(path)!r}")


def _warn(notes: Iterable[str], path: _Path) -> None:
    for note in notes:
        warnings.warn(f"{os.fspath(path)}: {note}", stacklevel=3)


def load_model(
    filepath: _Path, custom_objects: None = None, compile: bool = True, safe_mode: bool = True
) -> Sequential:
    """Reads a model from a ``.keras`` or ``.h5`` file of Keras or of this package: compiled, with the
    optimizer's state, if the file says how.

    What the file holds and the library lacks is named by a warning, or an error if the model cannot
    be computed without it.
    """
    refuse("load_model", custom_objects=custom_objects)
    only("load_model", "safe_mode", safe_mode, True)
    _existing("load_model", filepath)
    model = Sequential(name="loaded")
    network, notes, one_hot = _native.Network.load(os.fspath(filepath), model._seed)
    _warn(notes, filepath)
    described = json.loads(network.model())
    model.name = described["name"]
    described_layers = described["layers"]
    shape = tuple(described["input_shape"])
    if described_layers and described_layers[0].get("name") == _HIDDEN:
        described_layers = described_layers[1:]
        shape = shape[2:]
    names = [row[0] for row in network.layers() if row[0] != _HIDDEN]
    for one, name in zip(described_layers, names):
        layer = _layers.of_description({**one, "name": name})
        layer._model = model
        model._layers.append(layer)
    model._shape = shape
    model._network = network
    # The same parameters under the same names.
    description = model._described()
    model._description = description
    optimizer = network.optimizer()
    if compile and optimizer is not None:
        model.optimizer = _optimizers.of_description(json.loads(optimizer))
        model.optimizer._network = network
        model._loss = _losses.of_description(described.get("loss", {}), one_hot)
        model._metric = _metrics.Metric("accuracy")
        model._applied = True
    return model


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, ["Sequential", "load_model"])
