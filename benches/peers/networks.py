"""The networks of the comparison, described once for all programs."""

import io
import random
import struct
import zipfile
from dataclasses import dataclass

CLASSES = 10


@dataclass
class Network:
    """An input shape and its layers, each a name and its arguments."""

    input_shape: tuple
    layers: list
    # Reads MNIST; others train on random images, as only time is compared.
    mnist: bool = False


def conv(filters, size=3, padding="same", activation="relu"):
    """A convolution and a pointwise activation."""
    return ("Conv2D", dict(filters=filters, kernel_size=size, padding=padding, activation=activation))


def block(filters, strides):
    """A depthwise convolution and a 1x1 convolution, each normalized before its ReLU."""
    depthwise = dict(kernel_size=3, strides=strides, padding="same", activation="linear")
    return [
        ("DepthwiseConv2D", depthwise),
        *NORMALIZED_RELU,
        conv(filters, 1, activation="linear"),
        *NORMALIZED_RELU,
    ]


NORMALIZE = ("BatchNormalization", {})
NORMALIZED_RELU = [NORMALIZE, ("Activation", dict(activation="relu"))]
POOL = ("MaxPooling2D", dict(pool_size=2))
DROPOUT = ("Dropout", dict(rate=0.25))
AVERAGE = ("GlobalAveragePooling2D", {})
FLATTEN = ("Flatten", {})


def dense(units, activation):
    """A fully connected layer."""
    return ("Dense", dict(units=units, activation=activation))


CLASSIFY = dense(CLASSES, "softmax")

NETWORKS = {
    "mnist-cnn": Network(
        (28, 28, 1),
        [
            conv(32, padding="valid"),
            POOL,
            conv(64, padding="valid"),
            POOL,
            conv(64, padding="valid"),
            FLATTEN,
            dense(64, "relu"),
            CLASSIFY,
        ],
        mnist=True,
    ),
    "cifar-cnn": Network(
        (32, 32, 3),
        [
            *[conv(32), NORMALIZE, conv(32), NORMALIZE, POOL, DROPOUT],
            *[conv(64), NORMALIZE, conv(64), NORMALIZE, POOL, DROPOUT],
            *[conv(128), AVERAGE, CLASSIFY],
        ],
    ),
    "mobilenet": Network(
        (32, 32, 3),
        [
            conv(32, activation="linear"),
            *NORMALIZED_RELU,
            *block(64, 1),
            *block(128, 2),
            *block(128, 1),
            *block(256, 2),
            *block(256, 1),
            AVERAGE,
            CLASSIFY,
        ],
    ),
}


def toml(name):
    """A network as a model file of cnn-gpu."""
    network = NETWORKS[name]
    lines = [f'name = "{name}"', f"input_shape = {list(network.input_shape)}"]
    for layer, arguments in network.layers:
        lines += ["[[layers]]", f'type = "{layer}"']
        for key, value in arguments.items():
            lines.append(f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}")
    return "\n".join(lines) + "\n"


def write_random(path, input_shape, train, test):
    """Writes an .npz file of random images and labels, with the standard library alone."""
    draws = random.Random(1)
    with zipfile.ZipFile(path, "w") as file:
        for part, count in [("train", train), ("test", test)]:
            images = draws.randbytes(count * input_shape[0] * input_shape[1] * input_shape[2])
            labels = bytes(i % CLASSES for i in range(count))
            file.writestr(f"x_{part}.npy", npy((count, *input_shape), images))
            file.writestr(f"y_{part}.npy", npy((count,), labels))


def npy(shape, values):
    """An array of bytes in NumPy's format, version 1."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    out = io.BytesIO()
    out.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values)
    return out.getvalue()
