"""Initial values of kernels and biases: a name, a class or an object of it."""

from __future__ import annotations

from typing import Any, Union

from ._checks import missing, number, refuse


class Initializer:
    """Base class. ``seed`` of single initializers is not supported: the seed of a model, from
    ``keras.utils.set_random_seed``, determines all of its weights."""

    _value: Any = None

    def __init__(self, seed: Any = None) -> None:
        if seed is not None:
            raise NotImplementedError(
                f"{type(self).__name__}: the library has no seeds of single initializers (received "
                f"seed={seed!r}); call keras.utils.set_random_seed before building the model"
            )

    def _settings(self) -> Any:
        return self._value


def _plain(name: str, value: str, doc: str) -> type:
    return type(name, (Initializer,), {"_value": value, "__doc__": doc, "__module__": __name__})


GlorotUniform = _plain("GlorotUniform", "glorot_uniform", "Uniform, limit sqrt(6 / (fan_in + fan_out)).")
GlorotNormal = _plain("GlorotNormal", "glorot_normal", "Normal, stddev sqrt(2 / (fan_in + fan_out)).")
HeUniform = _plain("HeUniform", "he_uniform", "Uniform, limit sqrt(6 / fan_in).")
HeNormal = _plain("HeNormal", "he_normal", "Normal, stddev sqrt(2 / fan_in).")
LecunUniform = _plain("LecunUniform", "lecun_uniform", "Uniform, limit sqrt(3 / fan_in).")
LecunNormal = _plain("LecunNormal", "lecun_normal", "Normal, stddev sqrt(1 / fan_in).")
Zeros = _plain("Zeros", "zeros", "Zeros.")
Ones = _plain("Ones", "ones", "Ones.")


class Orthogonal(Initializer):
    """Orthonormal columns or rows; ``gain`` other than 1 is not supported."""

    _value = "orthogonal"

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__(seed)
        _fixed(self, gain=(gain, 1.0))


class Identity(Initializer):
    """The identity, of a dense kernel; ``gain`` other than 1 is not supported."""

    _value = "dirac"

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        _fixed(self, gain=(gain, 1.0))


class RandomNormal(Initializer):
    """Normal with mean 0 and stddev 0.05; others are not supported."""

    _value = "random_normal"

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        _fixed(self, mean=(mean, 0.0), stddev=(stddev, 0.05))


class TruncatedNormal(RandomNormal):
    """Normal with mean 0 and stddev 0.05, cut at two deviations; others are not supported."""

    _value = "truncated_normal"


class RandomUniform(Initializer):
    """Uniform from -0.05 to 0.05; others are not supported."""

    _value = "random_uniform"

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        _fixed(self, minval=(minval, -0.05), maxval=(maxval, 0.05))


class Constant(Initializer):
    """One number for all values."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.value = number("Constant", "value", value)

    def _settings(self) -> Any:
        return {"constant": self.value}


def _fixed(initializer: Initializer, **given: tuple[float, float]) -> None:
    for name, (value, supported) in given.items():
        if value != supported:
            refuse(type(initializer).__name__, **{f"{name} other than {supported}": value or repr(value)})


_CLASSES = {
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "orthogonal": Orthogonal,
    "identity": Identity,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "constant": Constant,
    "zeros": Zeros,
    "ones": Ones,
}
_NAMES = {**_CLASSES, **{one.__name__: one for one in _CLASSES.values()}}

#: What ``kernel_initializer=`` takes.
Identifier = Union[str, Initializer, type]


def get(identifier: Identifier) -> Initializer:
    """The initializer of this name."""
    if isinstance(identifier, Initializer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if isinstance(identifier, str) and identifier in _NAMES:
        made: Initializer = _NAMES[identifier]()
        return made
    raise ValueError(
        f"the library has no initializer {identifier!r}: expected one of {', '.join(_CLASSES)}"
    )


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return _CLASSES[name]
    raise missing(__name__, name, _NAMES)
