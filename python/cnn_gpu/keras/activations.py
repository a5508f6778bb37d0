"""The activations of layers: ``activation="relu"`` or ``activation=activations.relu``."""

from __future__ import annotations

from typing import Any, Optional, Union

from ._checks import missing


class Function:
    """The name of an activation that a layer computes."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __repr__(self) -> str:
        return f"<activation {self.__name__}>"

    def __call__(self, x: Any) -> Any:
        raise NotImplementedError(
            f"activations.{self.__name__}: only layers compute activations; give it to a layer"
        )


linear = Function("linear")
relu = Function("relu")
leaky_relu = Function("leaky_relu")
elu = Function("elu")
selu = Function("selu")
gelu = Function("gelu")
silu = swish = Function("silu")
softplus = Function("softplus")
sigmoid = Function("sigmoid")
tanh = Function("tanh")
softmax = Function("softmax")

_NAMES = [
    "linear",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "swish",
    "softplus",
    "sigmoid",
    "tanh",
    "softmax",
]

#: What ``activation=`` takes.
Activation = Optional[Union[str, Function, Any]]


def get(identifier: Activation) -> Function:
    """The activation of this name; ``None`` is ``linear``."""
    if identifier is None:
        return linear
    if isinstance(identifier, Function):
        return identifier
    if isinstance(identifier, str) and identifier in _NAMES:
        found: Function = globals()[identifier]
        return found
    # A layer `Activation`, as the lab writes it.
    function = getattr(identifier, "activation", None)
    if isinstance(function, Function):
        return function
    raise ValueError(
        f"the library has no activation {identifier!r}: expected one of {', '.join(_NAMES)}"
    )


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, _NAMES)
