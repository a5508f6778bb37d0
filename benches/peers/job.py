"""The common parts of the Python programs: arguments, data, and the JSON line that each prints.

`compare.py` runs these programs. With `--list` a program prints its version and the variants that
this machine can run; otherwise it trains one variant and prints one JSON line.
"""

import argparse
import gzip
import json
import os
import pathlib
import sys
from dataclasses import dataclass

from networks import NETWORKS

EVALUATE_BATCH = 256  # rows in a step of evaluation, as in `cnn-gpu evaluate`
LEARNING_RATE = 0.001
EPSILON = 1e-7  # Keras's; PyTorch's own default is 1e-8


@dataclass
class Split:
    """Images as [n, h, w, c] f32 from 0 to 1, labels as int64 classes."""

    images: "numpy.ndarray"
    labels: "numpy.ndarray"


def arguments(description, variants):
    """Parses the arguments of a program."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--variant", choices=variants, default=variants[0])
    parser.add_argument("--network", choices=NETWORKS, default="mnist-cnn")
    parser.add_argument("--epochs", type=positive, default=2)
    parser.add_argument("--batch-size", type=positive, default=64)
    parser.add_argument("--limit", type=positive, help="train on the first N images only")
    parser.add_argument(
        "--data-dir",
        type=pathlib.Path,
        default=os.environ.get("CNN_GPU_DATA_DIR"),
        help="folder with MNIST's four files, plain or as .gz, or an .npz file [env: CNN_GPU_DATA_DIR]",
    )
    parser.add_argument("--list", action="store_true", help="print version and variants, and exit")
    return parser.parse_args()


def positive(text):
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text}")
    return number


def print_list(version, variants):
    """Prints the output of `--list`."""
    print(json.dumps({"version": version, "variants": variants}))


def load(args):
    """The training images, at most `--limit` of them, and the test images."""
    if args.data_dir is None:
        fail("no data: give --data-dir DIR or set CNN_GPU_DATA_DIR")
    if args.data_dir.suffix == ".npz":
        return read_npz(args.data_dir, "train", args.limit), read_npz(args.data_dir, "test", None)
    train = read_split(pathlib.Path(args.data_dir), "train", args.limit)
    return train, read_split(pathlib.Path(args.data_dir), "t10k", None)


def read_split(folder, name, limit):
    """One half of MNIST."""
    import numpy as np  # Imported here, so that the caller can report how to install it.

    images = np.frombuffer(read_idx(folder / f"{name}-images-idx3-ubyte"), np.uint8, offset=16)
    labels = np.frombuffer(read_idx(folder / f"{name}-labels-idx1-ubyte"), np.uint8, offset=8)
    images = images.reshape(-1, 28, 28, 1)[:limit].astype(np.float32) / 255
    return Split(images, labels[:limit].astype(np.int64))


def read_npz(path, part, limit):
    """One half of an .npz file."""
    import numpy as np

    arrays = np.load(path)
    images = arrays[f"x_{part}"][:limit].astype(np.float32) / 255
    return Split(images, arrays[f"y_{part}"][:limit].astype(np.int64))


def read_idx(path):
    """The bytes of an IDX file, decompressed if necessary."""
    packed = path.with_name(path.name + ".gz")
    try:
        return path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
    except (OSError, EOFError) as error:
        fail(f"cannot read {path} or its .gz: {error}")


def print_result(args, result):
    """Prints the line that `compare.py` reads, from `result` and the arguments."""
    epochs = result["epoch_seconds"]
    line = result | {
        "batch_size": args.batch_size,
        "images_per_second": result["train_images"] / epochs[-1] if epochs else None,
    }
    print(json.dumps(line))


def fail(message):
    """Exits with one line of error."""
    sys.exit(f"error: {message}")
