#!/usr/bin/env python3
"""Trains mnist-cnn with the Python package `cnn_gpu` and prints one JSON line.

    pip install ./python
    python3 benches/peers/python_cnn.py --data-dir DIR

It is `keras_cnn.py` with `cnn_gpu.keras` in place of `keras`.
"""

import time

STARTED = time.perf_counter()

import os

os.environ.setdefault("CNN_GPU_BACKEND", "cpu")

import job
import keras_cnn

VARIANTS = ["cpu"]


def main():
    args = job.arguments(__doc__, VARIANTS)
    try:
        import cnn_gpu
    except ImportError as error:
        job.fail(f"{error}; install it with: pip install ./python")
    if args.list:
        return job.print_list(cnn_gpu.__version__, VARIANTS)
    keras = cnn_gpu.keras
    train, test = job.load(args)
    model = keras_cnn.network(keras, args.network)
    model.fit(*keras_cnn.head(train, args.batch_size), batch_size=args.batch_size, verbose=0)
    warm_up = time.perf_counter() - STARTED
    epochs = keras_cnn.fit(keras, model, train, args)
    seconds, accuracy = keras_cnn.evaluate(model, test)
    job.print_result(
        args,
        {
            "program": f"cnn_gpu {args.variant}",
            "version": cnn_gpu.__version__,
            "device": cnn_gpu.device()["adapter"],
            "train_images": len(train.images),
            "warm_up_seconds": warm_up,
            "epoch_seconds": epochs,
            "evaluate_images_per_second": len(test.images) / seconds,
            "test_accuracy": accuracy,
        },
    )


if __name__ == "__main__":
    main()
