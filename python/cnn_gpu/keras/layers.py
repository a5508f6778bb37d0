"""Layers, with Keras's arguments and defaults. Shapes are those of one sample: images
``(height, width, channels)``."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Union

import numpy as np

from . import activations, initializers, regularizers
from ._checks import channels_last, count, factor, missing, number, only, pair, refuse, refuse_rest
from ._names import automatic

_Pair = Union[int, Sequence[int]]
_Factor = Union[float, Sequence[float]]
_Activation = activations.Activation
_Initializer = initializers.Identifier
_Regularizer = regularizers.Identifier


class Layer:
    """Base class: ``name``, ``trainable``, and on the first layer ``input_shape``.

    Args:
        name: By default the class's name in lower case, with a number from the second on.
        trainable: Whether ``fit`` changes the weights; call ``compile`` after a change.
        input_shape: Of one sample, on the first layer of a model.
        dtype: ``"float32"``, the only one.
    """

    _model: Any = None

    def __init__(
        self,
        *,
        name: Optional[str] = None,
        trainable: bool = True,
        dtype: Optional[str] = None,
        input_shape: Optional[Sequence[int]] = None,
        **rest: Any,
    ) -> None:
        owner = type(self).__name__
        if name is not None and not isinstance(name, str):
            raise ValueError(f"{owner}: name must be a string, received {name!r}")
        if dtype is not None:
            only(owner, "dtype", str(np.dtype(dtype)) if dtype != "float32" else dtype, "float32")
        refuse(owner, batch_size=rest.pop("batch_size", None), weights=rest.pop("weights", None))
        if "input_dim" in rest:
            if input_shape is not None:
                raise ValueError(f"{owner}: received both input_shape and input_dim")
            input_shape = (count(owner, "input_dim", rest.pop("input_dim")),)
        if "batch_input_shape" in rest:
            shape = rest.pop("batch_input_shape")
            only(owner, "the batch size of batch_input_shape", shape[0], None)
            input_shape = tuple(shape[1:])
        refuse_rest(owner, rest)
        self.name = automatic(owner) if name is None else name
        self.trainable = bool(trainable)
        self._input_shape = None if input_shape is None else checked_shape(owner, input_shape)
        self._values: dict[str, Any] = {}

    def _set(self, **values: Any) -> None:
        self._values = values
        for name, value in values.items():
            object.__setattr__(self, name, tuple(value) if isinstance(value, list) else value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "name" and self._model is not None:
            raise AttributeError(f"{self!r} belongs to a model: give a name where the layer is made")
        own = name.startswith("_") or name in ("name", "trainable")
        if not own and CLASSES.get(type(self).__name__) is type(self):
            raise AttributeError(
                f"{self!r}: {name} cannot be set; make another layer with the {name} wanted"
            )
        object.__setattr__(self, name, bool(value) if name == "trainable" else value)

    def _layer(self) -> dict[str, Any]:
        """The layer in the library's description."""
        given = {
            name: value._settings() if hasattr(value, "_settings") else value
            for name, value in self._values.items()
            if value is not None
        }
        given = {
            name: value.__name__ if isinstance(value, activations.Function) else value
            for name, value in given.items()
        }
        described = {"type": type(self).__name__, "name": self.name, **given}
        if not self.trainable:
            described["trainable"] = False
        return described

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"name": self.name, "trainable": self.trainable, **self._values}

    # What follows needs a model that has been built.

    def _built(self) -> Any:
        if self._model is None or self._model._network is None:
            raise ValueError(
                f"layer {self.name!r} has no weights yet: add it to a model whose first layer has "
                "an input_shape"
            )
        return self._model

    def get_weights(self) -> list[np.ndarray]:
        """The weights, kernel before bias, as copies."""
        model = self._built()
        return [values for values, mine in zip(model.get_weights(), model._owners()) if mine == self.name]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets the weights, in the order of :meth:`get_weights`."""
        model = self._built()
        weights = list(weights)
        own = [i for i, owner in enumerate(model._owners()) if owner == self.name]
        if len(own) != len(weights):
            raise ValueError(
                f"layer {self.name!r}: expected {len(own)} arrays of weights, received {len(weights)}"
            )
        every = model.get_weights()
        for i, values in zip(own, weights):
            every[i] = values
        model.set_weights(every)

    @property
    def weights(self) -> list[np.ndarray]:
        """The weights, as copies."""
        return self.get_weights()

    @property
    def output_shape(self) -> tuple[Optional[int], ...]:
        """The shape of the output; the first size is that of the batch, ``None``."""
        shape: tuple[Optional[int], ...] = self._built()._row(self.name)[0]
        return shape

    def count_params(self) -> int:
        """The number of weights."""
        return int(self._built()._row(self.name)[1])

    def __call__(self, *inputs: Any) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__}: the library has no functional models and computes no single "
            "layers; add the layer to a Sequential"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def checked_shape(owner: str, shape: Any) -> tuple[int, ...]:
    """An input's shape: an image's, or that of what ``Flatten`` or ``Dense`` takes."""
    if isinstance(shape, (int, np.integer)) or not isinstance(shape, (tuple, list)):
        raise ValueError(
            f"{owner}: the shape of inputs must be a tuple such as (28, 28, 1), received {shape!r}"
        )
    if not 1 <= len(shape) <= 3:
        raise NotImplementedError(
            f"{owner}: the library takes images (height, width, channels), or (height, width) and "
            f"(features,) before Flatten and Dense; received {tuple(shape)}"
        )
    return tuple(count(owner, "each size of the input's shape", size) for size in shape)


class InputLayer(Layer):
    """The shape of the inputs. ``Input(shape=(28, 28, 1))`` is the same."""

    def __init__(
        self,
        shape: Optional[Sequence[int]] = None,
        batch_size: Optional[int] = None,
        dtype: Optional[str] = None,
        sparse: Optional[bool] = None,
        ragged: Optional[bool] = None,
        batch_shape: Optional[Sequence[Optional[int]]] = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: Optional[str] = None,
        **rest: Any,
    ) -> None:
        refuse(
            "Input",
            batch_size=batch_size,
            sparse=sparse,
            ragged=ragged,
            input_tensor=input_tensor,
            optional=optional,
        )
        if batch_shape is not None:
            only("Input", "the batch size of batch_shape", batch_shape[0], None)
            shape = checked_shape("Input", tuple(batch_shape[1:]))
        if shape is None:
            raise ValueError("Input: expected a shape such as (28, 28, 1)")
        super().__init__(name=name, dtype=dtype, input_shape=tuple(shape), **rest)


def Input(
    shape: Optional[Sequence[int]] = None,
    batch_size: Optional[int] = None,
    dtype: Optional[str] = None,
    sparse: Optional[bool] = None,
    ragged: Optional[bool] = None,
    batch_shape: Optional[Sequence[Optional[int]]] = None,
    name: Optional[str] = None,
    tensor: Any = None,
    optional: bool = False,
) -> InputLayer:
    """The first entry of a ``Sequential``: the shape of one sample."""
    return InputLayer(
        shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name
    )


class Conv2D(Layer):
    """Slides ``filters`` kernels over an image and adds up the products.

    Input ``(h, w, d)``, output ``((h - kh) // sh + 1, (w - kw) // sw + 1, filters)`` with
    ``padding="valid"``, ``(ceil(h / sh), ceil(w / sw), filters)`` with ``"same"``. Weights: a
    kernel ``(kh, kw, d // groups, filters)`` and a bias ``(filters,)``.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: _Pair,
        strides: _Pair = (1, 1),
        padding: str = "valid",
        data_format: Optional[str] = None,
        dilation_rate: _Pair = (1, 1),
        groups: int = 1,
        activation: _Activation = None,
        use_bias: bool = True,
        kernel_initializer: _Initializer = "glorot_uniform",
        bias_initializer: _Initializer = "zeros",
        kernel_regularizer: _Regularizer = None,
        bias_regularizer: _Regularizer = None,
        activity_regularizer: None = None,
        kernel_constraint: None = None,
        bias_constraint: None = None,
        **kwargs: Any,
    ) -> None:
        channels_last("Conv2D", data_format)
        refuse(
            "Conv2D",
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        super().__init__(**kwargs)
        self._set(
            filters=count("Conv2D", "filters", filters),
            kernel_size=pair("Conv2D", "kernel_size", kernel_size),
            strides=pair("Conv2D", "strides", strides),
            padding=_padding("Conv2D", padding),
            dilation_rate=pair("Conv2D", "dilation_rate", dilation_rate),
            groups=count("Conv2D", "groups", groups),
            activation=activations.get(activation),
            use_bias=bool(use_bias),
            kernel_initializer=initializers.get(kernel_initializer),
            bias_initializer=initializers.get(bias_initializer),
            kernel_regularizer=regularizers.get(kernel_regularizer),
            bias_regularizer=regularizers.get(bias_regularizer),
        )


class DepthwiseConv2D(Layer):
    """Slides kernels of their own over each channel.

    Input ``(h, w, d)``, output as of :class:`Conv2D` with ``d * depth_multiplier`` channels.
    Weights: a kernel ``(kh, kw, d, depth_multiplier)`` and a bias ``(d * depth_multiplier,)``.
    """

    def __init__(
        self,
        kernel_size: _Pair,
        strides: _Pair = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: Optional[str] = None,
        dilation_rate: _Pair = (1, 1),
        activation: _Activation = None,
        use_bias: bool = True,
        depthwise_initializer: _Initializer = "glorot_uniform",
        bias_initializer: _Initializer = "zeros",
        depthwise_regularizer: _Regularizer = None,
        bias_regularizer: _Regularizer = None,
        activity_regularizer: None = None,
        depthwise_constraint: None = None,
        bias_constraint: None = None,
        **kwargs: Any,
    ) -> None:
        channels_last("DepthwiseConv2D", data_format)
        refuse(
            "DepthwiseConv2D",
            activity_regularizer=activity_regularizer,
            depthwise_constraint=depthwise_constraint,
            bias_constraint=bias_constraint,
        )
        super().__init__(**kwargs)
        self._set(
            kernel_size=pair("DepthwiseConv2D", "kernel_size", kernel_size),
            strides=pair("DepthwiseConv2D", "strides", strides),
            padding=_padding("DepthwiseConv2D", padding),
            depth_multiplier=count("DepthwiseConv2D", "depth_multiplier", depth_multiplier),
            dilation_rate=pair("DepthwiseConv2D", "dilation_rate", dilation_rate),
            activation=activations.get(activation),
            use_bias=bool(use_bias),
            depthwise_initializer=initializers.get(depthwise_initializer),
            bias_initializer=initializers.get(bias_initializer),
            depthwise_regularizer=regularizers.get(depthwise_regularizer),
            bias_regularizer=regularizers.get(bias_regularizer),
        )


class Dense(Layer):
    """``activation(x @ kernel + bias)``.

    Input ``(features,)``, output ``(units,)``. Weights: a kernel ``(features, units)`` and a bias
    ``(units,)``.
    """

    def __init__(
        self,
        units: int,
        activation: _Activation = None,
        use_bias: bool = True,
        kernel_initializer: _Initializer = "glorot_uniform",
        bias_initializer: _Initializer = "zeros",
        kernel_regularizer: _Regularizer = None,
        bias_regularizer: _Regularizer = None,
        activity_regularizer: None = None,
        kernel_constraint: None = None,
        bias_constraint: None = None,
        lora_rank: None = None,
        lora_alpha: None = None,
        quantization_config: None = None,
        **kwargs: Any,
    ) -> None:
        refuse(
            "Dense",
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
        )
        super().__init__(**kwargs)
        self._set(
            units=count("Dense", "units", units),
            activation=activations.get(activation),
            use_bias=bool(use_bias),
            kernel_initializer=initializers.get(kernel_initializer),
            bias_initializer=initializers.get(bias_initializer),
            kernel_regularizer=regularizers.get(kernel_regularizer),
            bias_regularizer=regularizers.get(bias_regularizer),
        )


class _Pooling2D(Layer):
    def __init__(
        self,
        pool_size: _Pair,
        strides: Optional[_Pair] = None,
        padding: str = "valid",
        data_format: Optional[str] = None,
        name: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        channels_last(owner, data_format)
        super().__init__(name=name, **kwargs)
        size = pair(owner, "pool_size", pool_size)
        self._set(
            pool_size=size,
            strides=size if strides is None else pair(owner, "strides", strides),
            padding=_padding(owner, padding),
        )


class MaxPooling2D(_Pooling2D):
    """The maximum of each window and channel.

    Input ``(h, w, d)``, output ``((h - ph) // sh + 1, (w - pw) // sw + 1, d)`` with
    ``padding="valid"``; ``strides`` are ``pool_size`` by default.
    """

    def __init__(
        self,
        pool_size: _Pair = (2, 2),
        strides: Optional[_Pair] = None,
        padding: str = "valid",
        data_format: Optional[str] = None,
        name: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling2D(_Pooling2D):
    """The mean of each window and channel, of the cells within the image; shapes as of
    :class:`MaxPooling2D`."""


class SumPooling2D(_Pooling2D):
    """The sum of each window and channel, which Keras lacks; shapes as of :class:`MaxPooling2D`."""


MaxPool2D = MaxPooling2D
AvgPool2D = AveragePooling2D


class _GlobalPooling2D(Layer):
    def __init__(
        self, data_format: Optional[str] = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        channels_last(type(self).__name__, data_format)
        super().__init__(**kwargs)
        self._set(keepdims=bool(keepdims))


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of each channel: ``(h, w, d)`` to ``(d,)``, or ``(1, 1, d)`` with ``keepdims``."""


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The maximum of each channel: ``(h, w, d)`` to ``(d,)``, or ``(1, 1, d)`` with ``keepdims``."""


GlobalAvgPool2D = GlobalAveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D


class Flatten(Layer):
    """``(h, w, d)`` to ``(h * w * d,)``, row by row."""

    def __init__(self, data_format: Optional[str] = None, **kwargs: Any) -> None:
        channels_last("Flatten", data_format)
        super().__init__(**kwargs)


class Activation(Layer):
    """An activation as a layer: ``Activation("relu")``. The shape stays."""

    def __init__(self, activation: _Activation, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set(activation=activations.get(activation))


class ZeroPadding2D(Layer):
    """Zeros around the image: ``padding`` rows and columns on all sides, ``(rows, columns)``, or
    ``((top, bottom), (left, right))``."""

    def __init__(
        self,
        padding: Union[int, Sequence[Any]] = (1, 1),
        data_format: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        channels_last("ZeroPadding2D", data_format)
        super().__init__(**kwargs)
        sides = padding if isinstance(padding, (tuple, list)) else (padding, padding)
        if len(sides) != 2:
            raise ValueError(f"ZeroPadding2D: padding must be one or two values, received {padding!r}")
        self._set(padding=[pair("ZeroPadding2D", "padding", side, 0) for side in sides])


class Rescaling(Layer):
    """``x * scale + offset``. The shape stays."""

    def __init__(self, scale: float, offset: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set(
            scale=number("Rescaling", "scale", scale), offset=number("Rescaling", "offset", offset)
        )


class Dropout(Layer):
    """Sets a share ``rate`` of the values to 0 in training and scales the others. The shape stays."""

    def __init__(
        self, rate: float, noise_shape: None = None, seed: None = None, **kwargs: Any
    ) -> None:
        refuse("Dropout", noise_shape=noise_shape)
        _no_seed("Dropout", seed)
        super().__init__(**kwargs)
        self._set(rate=_rate("Dropout", rate))


class SpatialDropout2D(Layer):
    """As :class:`Dropout`, for whole channels."""

    def __init__(
        self,
        rate: float,
        data_format: Optional[str] = None,
        seed: None = None,
        name: Optional[str] = None,
        dtype: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        channels_last("SpatialDropout2D", data_format)
        _no_seed("SpatialDropout2D", seed)
        super().__init__(name=name, dtype=dtype, **kwargs)
        self._set(rate=_rate("SpatialDropout2D", rate))


class BatchNormalization(Layer):
    """Normalizes each channel by the batch's statistics, in inference by moving ones. The shape
    stays. Weights of ``(channels,)``: gamma, beta, moving mean, moving variance."""

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: _Initializer = "zeros",
        gamma_initializer: _Initializer = "ones",
        moving_mean_initializer: _Initializer = "zeros",
        moving_variance_initializer: _Initializer = "ones",
        beta_regularizer: _Regularizer = None,
        gamma_regularizer: _Regularizer = None,
        beta_constraint: None = None,
        gamma_constraint: None = None,
        renorm: bool = False,
        renorm_clipping: None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        owner = "BatchNormalization"
        only(owner, "axis", axis, -1)
        only(owner, "renorm_momentum", renorm_momentum, 0.99)
        refuse(
            owner,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
            renorm=renorm,
            renorm_clipping=renorm_clipping,
            synchronized=synchronized,
        )
        for name, value, expected in (
            ("moving_mean_initializer", moving_mean_initializer, "zeros"),
            ("moving_variance_initializer", moving_variance_initializer, "ones"),
        ):
            if initializers.get(value)._settings() != expected:
                only(owner, name, value, expected)
        super().__init__(**kwargs)
        self._set(
            momentum=number(owner, "momentum", momentum),
            epsilon=number(owner, "epsilon", epsilon),
            center=bool(center),
            scale=bool(scale),
            beta_initializer=initializers.get(beta_initializer),
            gamma_initializer=initializers.get(gamma_initializer),
            beta_regularizer=regularizers.get(beta_regularizer),
            gamma_regularizer=regularizers.get(gamma_regularizer),
        )


class _Random(Layer):
    """A layer that varies images in training and leaves them alone in inference. It comes before
    all layers with weights."""

    def __init__(self, seed: None = None, data_format: Optional[str] = None, **kwargs: Any) -> None:
        _no_seed(type(self).__name__, seed)
        channels_last(type(self).__name__, data_format)
        super().__init__(**kwargs)


class RandomFlip(_Random):
    """Mirrors images: ``horizontal``, ``vertical`` or ``horizontal_and_vertical``."""

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: None = None,
        data_format: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self._set(mode=mode)


class RandomRotation(_Random):
    """Rotates by up to ``factor`` full turns."""

    def __init__(
        self,
        factor: _Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: None = None,
        fill_value: float = 0.0,
        data_format: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self._set(
            factor=_factor(self, "factor", factor),
            fill_mode=fill_mode,
            interpolation=interpolation,
            fill_value=number("RandomRotation", "fill_value", fill_value),
        )


class RandomTranslation(_Random):
    """Shifts by shares of the height and the width."""

    def __init__(
        self,
        height_factor: _Factor,
        width_factor: _Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: None = None,
        fill_value: float = 0.0,
        data_format: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self._set(
            height_factor=_factor(self, "height_factor", height_factor),
            width_factor=_factor(self, "width_factor", width_factor),
            fill_mode=fill_mode,
            interpolation=interpolation,
            fill_value=number("RandomTranslation", "fill_value", fill_value),
        )


class RandomZoom(_Random):
    """Zooms; without ``width_factor`` the aspect stays."""

    def __init__(
        self,
        height_factor: _Factor,
        width_factor: Optional[_Factor] = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: None = None,
        fill_value: float = 0.0,
        data_format: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self._set(
            height_factor=_factor(self, "height_factor", height_factor),
            width_factor=None if width_factor is None else _factor(self, "width_factor", width_factor),
            fill_mode=fill_mode,
            interpolation=interpolation,
            fill_value=number("RandomZoom", "fill_value", fill_value),
        )


class RandomShear(_Random):
    """Shears rows and columns."""

    def __init__(
        self,
        x_factor: _Factor = 0.0,
        y_factor: _Factor = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: Optional[str] = None,
        seed: None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self._set(
            x_factor=_factor(self, "x_factor", x_factor),
            y_factor=_factor(self, "y_factor", y_factor),
            interpolation=interpolation,
            fill_mode=fill_mode,
            fill_value=number("RandomShear", "fill_value", fill_value),
        )


class RandomContrast(_Random):
    """Changes the contrast, within ``value_range``."""

    def __init__(
        self,
        factor: _Factor,
        value_range: Sequence[float] = (0, 255),
        seed: None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        self._set(
            factor=_factor(self, "factor", factor),
            value_range=_factor(self, "value_range", list(value_range)),
        )


class RandomBrightness(_Random):
    """Changes the brightness, within ``value_range``."""

    def __init__(
        self,
        factor: _Factor,
        value_range: Sequence[float] = (0, 255),
        seed: None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        self._set(
            factor=_factor(self, "factor", factor),
            value_range=_factor(self, "value_range", list(value_range)),
        )


class RandomErasing(_Random):
    """Erases a rectangle."""

    def __init__(
        self,
        factor: _Factor = 1.0,
        scale: _Factor = (0.02, 0.33),
        fill_value: Optional[float] = None,
        value_range: Sequence[float] = (0, 255),
        seed: None = None,
        data_format: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self._set(
            factor=_factor(self, "factor", factor),
            scale=_factor(self, "scale", scale),
            fill_value=None if fill_value is None else number("RandomErasing", "fill_value", fill_value),
            value_range=_factor(self, "value_range", list(value_range)),
        )


class RandomElasticTransform(_Random):
    """Distorts images smoothly."""

    def __init__(
        self,
        factor: _Factor = 1.0,
        scale: _Factor = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Sequence[float] = (0, 255),
        seed: None = None,
        data_format: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self._set(
            factor=_factor(self, "factor", factor),
            scale=_factor(self, "scale", scale),
            interpolation=interpolation,
            fill_mode=fill_mode,
            fill_value=number("RandomElasticTransform", "fill_value", fill_value),
            value_range=_factor(self, "value_range", list(value_range)),
        )


class RandomCrop(_Random):
    """Crops to ``(height, width)``: at a random place in training, otherwise the resized middle."""

    def __init__(
        self,
        height: int,
        width: int,
        seed: None = None,
        data_format: Optional[str] = None,
        name: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, name=name, **kwargs)
        self._set(
            height=count("RandomCrop", "height", height), width=count("RandomCrop", "width", width)
        )


class GaussianNoise(_Random):
    """Adds normal noise with this deviation in training."""

    def __init__(self, stddev: float, seed: None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self._set(stddev=number("GaussianNoise", "stddev", stddev))


def _padding(owner: str, padding: Any) -> str:
    lowered = padding.lower() if isinstance(padding, str) else padding
    if lowered not in ("valid", "same"):
        raise ValueError(f"{owner}: padding must be 'valid' or 'same', received {padding!r}")
    return lowered


def _rate(owner: str, rate: Any) -> float:
    found = number(owner, "rate", rate)
    if not 0 <= found < 1:
        raise ValueError(f"{owner}: rate must lie in [0, 1), received {rate}")
    return found


def _factor(layer: Layer, name: str, value: Any) -> Any:
    return factor(type(layer).__name__, name, value)


def _no_seed(owner: str, seed: Any) -> None:
    if seed is not None:
        raise NotImplementedError(
            f"{owner}: the library has no seeds of single layers (received seed={seed!r}); call "
            "keras.utils.set_random_seed before building the model"
        )


#: The layers by the names that models in files give them.
CLASSES = {
    one.__name__: one
    for one in (
        Conv2D,
        DepthwiseConv2D,
        Dense,
        MaxPooling2D,
        AveragePooling2D,
        SumPooling2D,
        GlobalAveragePooling2D,
        GlobalMaxPooling2D,
        Flatten,
        Activation,
        ZeroPadding2D,
        Rescaling,
        Dropout,
        SpatialDropout2D,
        BatchNormalization,
        RandomFlip,
        RandomRotation,
        RandomTranslation,
        RandomZoom,
        RandomShear,
        RandomContrast,
        RandomBrightness,
        RandomErasing,
        RandomElasticTransform,
        RandomCrop,
        GaussianNoise,
    )
}


def of_description(described: dict[str, Any]) -> Layer:
    """A layer from the library's description."""
    arguments = dict(described)
    kind = arguments.pop("type")
    for lacking in ("from", "learning_rate_factor", "bias_learning_rate_factor"):
        if lacking in arguments:
            raise NotImplementedError(
                f"the model has a {kind} with {lacking}: Sequential holds layers that follow each other"
            )
    if kind not in CLASSES:
        raise NotImplementedError(f"the model has a layer {kind}, which cnn_gpu.keras lacks")
    for name, value in arguments.items():
        if name.endswith("_regularizer") and isinstance(value, dict):
            arguments[name] = regularizers.L1L2(**value)
        elif name.endswith("_initializer"):
            if isinstance(value, dict) and "constant" in value:
                arguments[name] = initializers.Constant(value["constant"])
            elif value == "dirac":
                arguments[name] = initializers.Identity()
    return CLASSES[kind](**arguments)


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, [*CLASSES, "Input", "InputLayer"])
