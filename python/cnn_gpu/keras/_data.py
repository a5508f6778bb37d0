"""NumPy's arrays as the library takes them: images float32, labels bytes."""

from __future__ import annotations

import contextlib
import queue
import random
import threading
from typing import Any, Callable, Iterator, Optional, Sequence, Union

import numpy as np

from .. import _native
from .utils import Sequence as BatchSequence

#: The library's labels are bytes.
MOST_CLASSES = 256


__all__ = ["BatchSequence", "Data", "Form", "Stream"]


class Form:
    """What a model takes and gives: the library's image, the shape that users see, the classes, and
    whether labels are class numbers (``None`` where only outputs matter)."""

    def __init__(
        self,
        image: Sequence[int],
        seen: Sequence[int],
        outputs: int,
        sparse: Optional[bool],
        loss: str,
    ) -> None:
        height, width, channels = image
        self.image = (height, width, channels)
        self.seen = tuple(seen)
        self.outputs = outputs
        self.sparse = sparse
        self.loss = loss

    @property
    def classes(self) -> int:
        """A single output tells two classes apart."""
        return max(self.outputs, 2)


def array(name: str, given: Any) -> np.ndarray:
    """An array of numbers, from NumPy or what converts itself to it."""
    if isinstance(given, np.ma.MaskedArray):
        raise ValueError(f"{name}: expected an array without a mask; fill it with numpy.ma.filled")
    if isinstance(given, np.ndarray):
        found = given
    elif hasattr(given, "__array__"):
        found = np.asarray(given)
    elif isinstance(given, (list, tuple)) and name.startswith("y"):
        found = np.asarray(given)
    else:
        raise ValueError(
            f"{name}: expected a NumPy array, received {type(given).__name__}; convert it with "
            "numpy.asarray"
        )
    if found.dtype.kind not in "fiub":
        raise ValueError(f"{name}: expected numbers, received an array of dtype {found.dtype}")
    return found


def images(name: str, given: Any, form: Form) -> np.ndarray:
    """Images ``(n, height, width, channels)``, float32 in C order: the array itself if it is one,
    otherwise a copy."""
    found = array(name, given)
    expected = ("n", *form.seen)
    shape = found.shape[1:]
    # As Keras does, an axis of one channel may be left out, or a superfluous one given.
    if shape != form.seen and shape != form.image:
        fits = (
            form.seen[-1:] == (1,) and shape == form.seen[:-1]
        ) or shape == (*form.seen, 1)
        if not fits:
            written = ", ".join(map(str, expected))
            raise ValueError(
                f"{name}: expected the shape ({written}), the input_shape of the model, received "
                f"{found.shape}"
            )
    if found.shape[0] == 0:
        raise ValueError(f"{name}: expected at least one image, received the shape {found.shape}")
    with np.errstate(over="ignore"):
        floats: np.ndarray = np.require(found, np.float32, ["C", "A"])
    shaped: np.ndarray = floats.reshape((found.shape[0], *form.image))
    return shaped


def labels(name: str, given: Any, rows: int, form: Form) -> np.ndarray:
    """Labels ``(n,)`` as bytes, from class numbers or one-hot rows, as the loss takes them."""
    found = array(name, given)
    if found.ndim == 0 or found.shape[0] != rows:
        received = found.shape[0] if found.ndim else "a single number"
        raise ValueError(f"{name}: expected {rows} labels, one for each image, received {received}")
    if form.outputs > MOST_CLASSES:
        raise NotImplementedError(
            f"the library's labels have at most {MOST_CLASSES} classes; the model has {form.outputs} "
            "outputs"
        )
    wide = found.ndim == 2 and found.shape[1] > 1
    one_hot_expected = not form.sparse and form.outputs > 1
    if one_hot_expected:
        if found.ndim != 2 or found.shape[1] != form.outputs:
            hint = ""
            if found.ndim == 1 or (found.ndim == 2 and found.shape[1] == 1):
                hint = "; convert class numbers with to_categorical"
                if form.loss == "categorical_crossentropy":
                    hint += ", or compile with loss='sparse_categorical_crossentropy'"
            raise ValueError(
                f"{name}: expected one-hot rows of the shape ({rows}, {form.outputs}) for "
                f"{form.loss}, received {found.shape}{hint}"
            )
        ones = found == 1
        is_one_hot = (ones.sum(axis=1) == 1).all() and (ones | (found == 0)).all()
        if not is_one_hot:
            _finite(name, found)
            raise NotImplementedError(
                f"{name}: the library takes one-hot rows, a single 1 and zeros; received other numbers"
            )
        classes: np.ndarray = ones.argmax(axis=1).astype(np.uint8)
        return classes
    if wide or found.ndim > 2:
        hint = ""
        if wide and form.loss.startswith("sparse"):
            hint = "; compile with loss='categorical_crossentropy' for one-hot rows"
        raise ValueError(
            f"{name}: expected class numbers of the shape ({rows},) for {form.loss}, received "
            f"{found.shape}{hint}"
        )
    found = found.reshape(rows)
    _finite(name, found)
    whole = found.astype(np.int64)
    wrong = (whole != found) | (whole < 0) | (whole >= form.classes)
    if wrong.any():
        at = int(wrong.argmax())
        raise ValueError(
            f"{name}: expected class numbers from 0 to {form.classes - 1}, received {found[at]} for "
            f"sample {at}"
        )
    return whole.astype(np.uint8)


def _finite(name: str, found: np.ndarray) -> None:
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise ValueError(f"{name}: expected finite numbers, received NaN or infinity")


def labelled(
    names: tuple[str, str], x: Any, y: Any, form: Form, rows: Optional[int] = None
) -> _native.Arrays:
    """Images and labels; the first ``rows`` if given."""
    if y is None:
        raise ValueError(f"{names[1]}: expected labels beside {names[0]}, received None")
    found = images(names[0], x, form)
    classes = labels(names[1], y, found.shape[0], form)
    return _native.Arrays(found[:rows], classes[:rows], form.classes, names[0])


def unlabelled(name: str, x: Any, form: Form) -> _native.Arrays:
    """Images whose labels do not matter."""
    found = images(name, x, form)
    return _native.Arrays(found, np.zeros(found.shape[0], np.uint8), form.classes, name)


def batch_size(given: Optional[int], samples: int, steps: Optional[int]) -> int:
    """The rows of a batch: as many as are given, or as fill the steps, or 32."""
    if given is not None:
        return given
    return 32 if steps is None else max(1, -(-samples // steps))


def is_stream(given: Any) -> bool:
    """Whether data come batch by batch."""
    return isinstance(given, BatchSequence) or (
        hasattr(given, "__next__") and hasattr(given, "__iter__")
    )


def batch_of(name: str, made: Any) -> tuple[Any, Any]:
    """Images and labels of a batch."""
    if isinstance(made, (tuple, list)) and len(made) == 3:
        if made[2] is not None:
            raise NotImplementedError(
                f"{name}: the library has no sample weights; give batches (images, labels)"
            )
        made = made[:2]
    if not isinstance(made, (tuple, list)) or len(made) != 2:
        received = f"{len(made)} values" if isinstance(made, (tuple, list)) else type(made).__name__
        raise ValueError(f"{name}: expected batches (images, labels), received {received}")
    return made[0], made[1]


def length_of(name: str, given: BatchSequence) -> int:
    """The number of batches of a ``Sequence`` that the library can read."""
    if getattr(given, "use_multiprocessing", False) or getattr(given, "workers", 1) != 1:
        raise NotImplementedError(
            f"{name}: the library makes batches in one thread beside training; leave out workers "
            "and use_multiprocessing"
        )
    length = len(given)
    if length < 1:
        raise ValueError(f"{name}: expected at least one batch, received {length}")
    return length


class Maker:
    """Makes batches in a thread of its own, which is left behind if a batch takes too long."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self._asked: queue.SimpleQueue[Optional[int]] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[tuple[Any, Optional[BaseException]]] = queue.SimpleQueue()
        self._runs = False

    def ask(self, number: int) -> None:
        """Begins to make the batch of this number."""
        if not self._runs:
            self._runs = True
            # A daemon, so that one that blocks for ever does not keep the program from ending.
            threading.Thread(target=self._run, name="cnn_gpu batches", daemon=True).start()
        self._asked.put(number)

    def answer(self, seconds: float) -> Optional[tuple[Any]]:
        """The batch alone in a tuple, or ``None`` if it takes longer; raises what making it raised."""
        try:
            made, raised = self._made.get(timeout=seconds)
        except queue.Empty:
            return None
        if raised is not None:
            raise raised
        return (made,)

    def stop(self) -> None:
        """Ends the thread, once it has made what it was asked for."""
        self._asked.put(None)

    def _run(self) -> None:
        while True:
            number = self._asked.get()
            if number is None:
                break
            try:
                made, raised = self._make(number), None
            except BaseException as error:
                made, raised = None, error
            self._made.put((made, raised))
            # Otherwise they would live until the next batch.
            del made, raised


@contextlib.contextmanager
def served(*streams: Optional["Stream"]) -> Iterator[None]:
    """Ends the threads of streams after a call of the library."""
    try:
        yield
    finally:
        for stream in streams:
            if stream is not None:
                stream.maker.stop()


class Stream:
    """Batches of a ``Sequence`` or an iterator, by number, for one call of the library."""

    def __init__(
        self, name: str, given: Any, form: Form, shuffle: bool, seed: str, first: int = 0
    ) -> None:
        self.name = name
        self._form = form
        self._given = given
        self._shuffle = shuffle
        self._seed = seed
        #: The first batch, made early: that of an iterator, or a ``Sequence``'s number 0.
        self._kept: Optional[tuple[np.ndarray, np.ndarray]] = None
        self._begun: Optional[int] = None
        self._iterator: Optional[Iterator[Any]] = None
        self._pass: Optional[tuple[int, list[int]]] = None
        self.length: Optional[int] = None
        if isinstance(given, BatchSequence):
            self.length = length_of(name, given)
        else:
            self._iterator = iter(given)
        self._first = first
        self.maker = Maker(self)

    def peek(self) -> int:
        """The number of rows of the first batch, of a ``Sequence`` that of number 0, which may come
        later; it is kept."""
        if self.length is None:
            made = self._make(self._first)
            if made is None:
                raise ValueError(f"{self.name}: the generator has no batches")
        else:
            self._begin(self._first)
            self._begun = self._first
            made = self._checked(self._given[0])
        # A copy: the next batch may be made in the same array.
        self._kept = made[0].copy(), made[1].copy()
        return len(made[0])

    def _begin(self, number: int) -> None:
        """Begins a pass over a ``Sequence``."""
        assert self.length is not None
        self.close()
        self._given.on_epoch_begin()
        turn = number // self.length
        self._pass = (turn, self._order(turn))
        self._kept = None

    def close(self) -> None:
        """Tells a ``Sequence`` that a pass has ended, if one has begun."""
        if self._pass is not None:
            self._pass = None
            self._given.on_epoch_end()

    def _order(self, turn: int) -> list[int]:
        assert self.length is not None
        order = list(range(self.length))
        if self._shuffle:
            random.Random(f"{self._seed} {turn}").shuffle(order)
        return order

    def _make(self, number: int) -> Optional[tuple[np.ndarray, np.ndarray]]:
        if self._iterator is not None:
            try:
                return self._checked(next(self._iterator))
            except StopIteration:
                return None
        assert self.length is not None
        place = number % self.length
        if self._begun == number:
            self._begun = None
        elif self._pass is None or place == 0:
            # Also where validation begins anew.
            self._begin(number)
        assert self._pass is not None
        index = self._pass[1][place]
        if index == 0 and self._kept is not None:
            made, self._kept = self._kept, None
            return made
        return self._checked(self._given[index])

    def _checked(self, made: Any) -> tuple[np.ndarray, np.ndarray]:
        x, y = batch_of(self.name, made)
        found = images(self.name, x, self._form)
        return found, labels(f"y of {self.name}", y, found.shape[0], self._form)

    def finish(self, taken: int) -> None:
        """Tells a ``Sequence`` that its last batch was taken, if it was and nobody did."""
        if self.length is not None and self._pass is not None:
            if taken == (self._pass[0] + 1) * self.length:
                self.close()

    def __call__(self, number: int) -> Optional[tuple[np.ndarray, np.ndarray]]:
        if self.length is None and self._kept is not None:
            made, self._kept = self._kept, None
            return made
        return self._make(number)

    def batches(self) -> _native.Batches:
        """The batches for the library."""
        return _native.Batches(self.maker, self._form.image, self.length, self.name)


#: Data of ``fit``, ``evaluate`` and ``predict``.
Data = Union[np.ndarray, BatchSequence, Iterator[Any], Callable[..., Any], Any]
