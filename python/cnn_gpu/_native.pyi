"""The library's calls; ``cnn_gpu.keras`` has the interface to use."""

from os import PathLike
from typing import Any, Callable, Optional, Protocol, TypedDict, Union, final, type_check_only

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEATURES", "Arrays", "Batches", "Network", "__version__", "device", "devices", "load_data", "set_device"]

FEATURES: str
__version__: str

@type_check_only
class Device(TypedDict, total=False):
    backend: str
    adapter: str
    driver: str
    software: bool
    reason: str

def set_device(backend: str, adapter: Optional[str] = None) -> None: ...
def device() -> Device: ...
def devices() -> list[Device]: ...

_Labelled = tuple[NDArray[np.uint8], NDArray[np.uint8]]

def load_data(
    spec: str, data_dir: Optional[Union[str, PathLike[str]]], event: Callable[[str, bool], object]
) -> tuple[_Labelled, _Labelled]: ...

@final
class Arrays:
    def __new__(
        cls,
        images: NDArray[np.float32],
        labels: NDArray[np.uint8],
        classes: int,
        name: str,
    ) -> Arrays: ...

_Batch = tuple[NDArray[np.float32], NDArray[np.uint8]]

@type_check_only
class Maker(Protocol):
    def ask(self, number: int) -> None: ...
    def answer(self, seconds: float) -> Optional[tuple[Optional[_Batch]]]: ...

@final
class Batches:
    def __new__(
        cls,
        maker: Maker,
        shape: tuple[int, int, int],
        steps: Optional[int],
        name: str,
    ) -> Batches: ...

_Answer = Optional[tuple[bool, Optional[float]]]

@type_check_only
class Hooks(Protocol):
    def train_begin(self, initial_epoch: int, epochs: int, steps: int) -> _Answer: ...
    def epoch_begin(self, epoch: int) -> _Answer: ...
    def batch_begin(self, step: int) -> _Answer: ...
    def steps(self, first: int, progress: dict[str, Any]) -> _Answer: ...
    def rate(self, rate: float) -> None: ...
    def epoch_end(self, logs: dict[str, Any], steps: int) -> _Answer: ...

@final
class Network:
    def __new__(cls, model: str, seed: int) -> Network: ...
    @staticmethod
    def load(path: Union[str, PathLike[str]], seed: int) -> tuple[Network, list[str], bool, list[int]]: ...
    def rebuild(self, model: str) -> None: ...
    def compile(self, optimizer: str, loss: str) -> None: ...
    def set_loss(self, loss: str) -> None: ...
    def model(self) -> str: ...
    def optimizer(self) -> Optional[str]: ...
    def iterations(self) -> int: ...
    def layers(self) -> list[tuple[str, str, list[int], int, int]]: ...
    def parameters(self) -> list[tuple[str, list[int], bool]]: ...
    def weights(self) -> list[NDArray[np.float32]]: ...
    def set_weights(self, weights: list[NDArray[np.float32]]) -> None: ...
    def load_weights(self, path: Union[str, PathLike[str]]) -> list[str]: ...
    def save(
        self,
        path: Union[str, PathLike[str]],
        rate: Optional[float],
        one_hot_labels: bool,
        input_shape: list[int],
    ) -> list[str]: ...
    def evaluate(
        self, source: Union[Arrays, Batches], steps: Optional[int]
    ) -> tuple[float, float, int, float]: ...
    def predict(self, arrays: Arrays) -> NDArray[np.float32]: ...
    def fit(
        self,
        source: Union[Arrays, Batches],
        validation: Optional[Union[Arrays, Batches]],
        options: str,
        rate: float,
        callbacks: list[tuple[str, str]],
        hooks: Hooks,
        batches: bool,
    ) -> dict[str, Any]: ...
