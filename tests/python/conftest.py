"""What the tests share: the device, data, and Keras to compare with."""

import os

os.environ.setdefault("CNN_GPU_BACKEND", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
# The differences in rounding would otherwise depend on the machine.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import pytest

import cnn_gpu.keras as ours


@pytest.fixture(autouse=True)
def fresh():
    """Names and seeds that do not depend on the tests before."""
    ours.backend.clear_session()
    ours.utils.set_random_seed(7)


@pytest.fixture(scope="session")
def theirs():
    """Keras on TensorFlow; without it, as on the oldest Python, what needs it is skipped."""
    return pytest.importorskip("tensorflow.keras")


@pytest.fixture(scope="session")
def digits():
    """Built-in digits: images float32 `(n, 28, 28, 1)` and one-hot labels."""
    (x, y), (x_test, y_test) = ours.datasets.digits.load_data()
    images = lambda x: x[..., None].astype("float32") / 255
    return (images(x[:2000]), y[:2000]), (images(x_test[:500]), y_test[:500])


@pytest.fixture(scope="session")
def mnist():
    """MNIST if it can be had, else the built-in digits."""
    try:
        return ours.datasets.mnist.load_data()
    except OSError as error:
        print(f"MNIST is not available, so that the built-in digits stand for it: {error}")
        return ours.datasets.digits.load_data()


def small(keras, **compiled):
    """A small network for digits, not compiled without arguments."""
    model = keras.models.Sequential(
        [
            keras.layers.Conv2D(8, (3, 3), strides=2, activation="relu", input_shape=(28, 28, 1)),
            keras.layers.MaxPooling2D((2, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    if compiled:
        model.compile(**compiled)
    return model


@pytest.fixture
def model():
    """A small compiled network."""
    return small(
        ours, optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )


def weights_of(model):
    """All weights in a row."""
    return np.concatenate([np.asarray(one).ravel() for one in model.get_weights()])


def batches(x, y, size, ends=True):
    """A generator of batches, which may go on for ever."""
    while True:
        for i in range(0, len(x), size):
            yield x[i : i + size], y[i : i + size]
        if ends:
            return


class Batches(ours.utils.Sequence):
    """A sequence of batches, which counts its passes."""

    def __init__(self, x, y, size):
        self.x, self.y, self.size, self.ends = x, y, size, 0

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, i):
        rows = slice(i * self.size, (i + 1) * self.size)
        return self.x[rows], self.y[rows]

    def on_epoch_end(self):
        self.ends += 1
