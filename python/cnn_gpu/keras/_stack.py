"""Layers that follow each other, with their weights: what a model is before it is compiled."""

from __future__ import annotations

import json
from typing import Any, Iterable, Optional, Sequence

import numpy as np

from .. import _native
from . import _data, _names, layers as _layers
from ._checks import only


class Stack:
    """The part of ``Sequential`` that needs no optimizer."""

    def __init__(self, layers: Optional[Iterable[_layers.Layer]], trainable: bool, name: Optional[str]) -> None:
        if name is not None and not isinstance(name, str):
            raise ValueError(f"Sequential: name must be a string, received {name!r}")
        self.name = _names.automatic("Sequential") if name is None else name
        self._trainable = bool(trainable)
        self._layers: list[_layers.Layer] = []
        self._shape: Optional[tuple[int, ...]] = None
        self._network: Optional[_native.Network] = None
        self._description: Optional[str] = None
        self._seed = _names.next_seed()
        #: Whether the library has the optimizer and the loss for these layers.
        self._applied = False
        for layer in layers or []:
            self.add(layer)

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
        if isinstance(layer, Stack):
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
                hidden = [{"type": "Flatten", "name": _native.FEATURES}]
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
        return [row for row in self._net().layers() if row[0] != _native.FEATURES]

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
