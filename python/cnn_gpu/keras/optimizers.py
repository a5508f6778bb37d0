"""Optimizers, with Keras's arguments and defaults."""

from __future__ import annotations

import json
from typing import Any, Optional, Union

from ._checks import count, missing, number, refuse, refuse_rest


class LearningRate(float):
    """A learning rate, with what Keras's variable has of it."""

    _optimizer: Optional[Optimizer] = None

    def numpy(self) -> float:
        """The number."""
        return float(self)

    def assign(self, value: float) -> None:
        """Sets the optimizer's learning rate."""
        if self._optimizer is not None:
            self._optimizer.learning_rate = value


class Optimizer:
    """Base class. ``learning_rate`` can be read and set, also by a callback during ``fit``."""

    def __init__(
        self,
        learning_rate: float,
        settings: dict[str, Any],
        weight_decay: Optional[float] = None,
        clipnorm: Optional[float] = None,
        clipvalue: Optional[float] = None,
        global_clipnorm: Optional[float] = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: Optional[int] = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: None = None,
        name: Optional[str] = None,
        **rest: Any,
    ) -> None:
        owner = type(self).__name__
        refuse(
            owner,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
        )
        refuse_rest(owner, rest)
        self.name = owner.lower() if name is None else name
        self._settings: dict[str, Any] = {}
        for key, value in {
            **settings,
            "weight_decay": weight_decay,
            "clipnorm": clipnorm,
            "clipvalue": clipvalue,
            "global_clipnorm": global_clipnorm,
        }.items():
            if value is not None and not isinstance(value, bool):
                value = number(owner, key, value)
            if value is not None:
                self._settings[key] = value
        if use_ema:
            self._settings["ema_momentum"] = number(owner, "ema_momentum", ema_momentum)
            if ema_overwrite_frequency is not None:
                every = count(owner, "ema_overwrite_frequency", ema_overwrite_frequency)
                self._settings["ema_overwrite_frequency"] = every
        elif ema_overwrite_frequency is not None:
            raise ValueError(f"{owner}: ema_overwrite_frequency needs use_ema=True")
        self._rate = 0.0
        self.learning_rate = learning_rate
        #: The rate that a compiled network starts from.
        self._first_rate = self._rate
        #: A rate that was set during `fit` and not yet told to it.
        self._assigned: Optional[float] = None
        self._network: Any = None

    @property
    def learning_rate(self) -> LearningRate:
        """The learning rate of the next step, or of the last one during ``fit``."""
        rate = LearningRate(self._rate)
        rate._optimizer = self
        return rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if hasattr(value, "get_config") or callable(value):
            raise NotImplementedError(
                f"{type(self).__name__}: the library takes no schedule objects as learning_rate; use "
                "callbacks.LearningRateScheduler"
            )
        value = number(type(self).__name__, "learning_rate", value)
        if value < 0:
            raise ValueError(
                f"{type(self).__name__}: learning_rate must be at least 0, received {value}"
            )
        self._rate = self._assigned = value

    @property
    def iterations(self) -> int:
        """Steps taken since the model was compiled."""
        return 0 if self._network is None else self._network.iterations()

    def get_config(self) -> dict[str, Any]:
        """The settings."""
        return {"name": self.name, "learning_rate": self._rate, **self._settings}

    def _described(self) -> str:
        settings = {"name": type(self).__name__.lower(), "learning_rate": self._first_rate}
        return json.dumps({**settings, **self._settings})


class Adam(Optimizer):
    """Adam: means of the gradients and of their squares."""

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: Optional[float] = None,
        clipnorm: Optional[float] = None,
        clipvalue: Optional[float] = None,
        global_clipnorm: Optional[float] = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: Optional[int] = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: None = None,
        name: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        refuse(type(self).__name__, amsgrad=amsgrad)
        settings = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        super().__init__(
            learning_rate,
            settings,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay."""

    def __init__(
        self,
        learning_rate: float = 0.001,
        weight_decay: Optional[float] = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        clipnorm: Optional[float] = None,
        clipvalue: Optional[float] = None,
        global_clipnorm: Optional[float] = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: Optional[int] = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: None = None,
        name: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )


class RMSprop(Optimizer):
    """RMSprop: a mean of the gradients' squares."""

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: Optional[float] = None,
        clipnorm: Optional[float] = None,
        clipvalue: Optional[float] = None,
        global_clipnorm: Optional[float] = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: Optional[int] = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: None = None,
        name: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        refuse("RMSprop", centered=centered)
        settings = {"rho": rho, "momentum": momentum, "epsilon": epsilon}
        super().__init__(
            learning_rate,
            settings,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )


class SGD(Optimizer):
    """Gradient descent, with momentum if it is not 0."""

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: Optional[float] = None,
        clipnorm: Optional[float] = None,
        clipvalue: Optional[float] = None,
        global_clipnorm: Optional[float] = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: Optional[int] = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: None = None,
        name: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        settings = {"momentum": momentum, "nesterov": bool(nesterov)}
        super().__init__(
            learning_rate,
            settings,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )


_CLASSES = {one.__name__.lower(): one for one in (Adam, AdamW, RMSprop, SGD)}


def get(identifier: Union[str, Optimizer, type]) -> Optimizer:
    """The optimizer of this name."""
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and identifier in _CLASSES.values():
        made: Optimizer = identifier()
        return made
    if isinstance(identifier, str) and identifier.lower() in _CLASSES:
        return _CLASSES[identifier.lower()]()
    raise ValueError(
        f"the library has no optimizer {identifier!r}: expected one of {', '.join(_CLASSES)}"
    )


def of_description(described: dict[str, Any]) -> Optimizer:
    """An optimizer from the library's description."""
    arguments = dict(described)
    arguments["use_ema"] = "ema_momentum" in arguments
    return _CLASSES[arguments.pop("name")](**arguments)


def __getattr__(name: str) -> Any:
    raise missing(__name__, name, [one.__name__ for one in _CLASSES.values()])
