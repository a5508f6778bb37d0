#!/usr/bin/env python3
"""Trains mnist-cnn with Keras on TensorFlow and prints one JSON line.

    pip install keras tensorflow-cpu
    python3 benches/peers/keras_cnn.py --data-dir DIR

It is the program that a user of Keras would write: arrays in memory, `compile`, `fit`, `evaluate`.
"""

import time

STARTED = time.perf_counter()

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import job
from networks import NETWORKS

VARIANTS = ["cpu"]


def main():
    args = job.arguments(__doc__, VARIANTS)
    try:
        import keras
        import tensorflow
    except ImportError as error:
        job.fail(f"{error}; install it with: pip install keras tensorflow-cpu")
    version = f"{keras.__version__}, TensorFlow {tensorflow.__version__}"
    if args.list:
        return job.print_list(version, VARIANTS)
    train, test = job.load(args)
    model = network(keras, args.network)
    # One step, as an epoch of one batch: it uses the same compiled function as later epochs.
    model.fit(*head(train, args.batch_size), batch_size=args.batch_size, verbose=0)
    warm_up = time.perf_counter() - STARTED
    epochs = fit(keras, model, train, args)
    seconds, accuracy = evaluate(model, test)
    job.print_result(
        args,
        {
            "program": f"keras {args.variant}",
            "version": version,
            "device": "cpu",
            "train_images": len(train.images),
            "warm_up_seconds": warm_up,
            "epoch_seconds": epochs,
            "evaluate_images_per_second": len(test.images) / seconds,
            "test_accuracy": accuracy,
        },
    )


def network(keras, name):
    """A network of the comparison, compiled."""
    described = NETWORKS[name]
    layers = [getattr(keras.layers, layer)(**given) for layer, given in described.layers]
    model = keras.Sequential([keras.Input(described.input_shape), *layers])
    assert name != "mnist-cnn" or model.count_params() == 93_322
    model.compile(
        optimizer=keras.optimizers.Adam(job.LEARNING_RATE),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def head(split, rows):
    """The first rows."""
    return split.images[:rows], split.labels[:rows]


def fit(keras, model, train, args):
    """Trains and returns the seconds of each epoch."""
    seconds = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            seconds.append(time.perf_counter() - self.started)

    images, labels = head(train, None)
    model.fit(
        images,
        labels,
        batch_size=args.batch_size,
        epochs=args.epochs,
        shuffle=True,
        verbose=0,
        callbacks=[Clock()],
    )
    return seconds


def evaluate(model, test):
    """Seconds and accuracy of the second evaluation, as the first one compiles."""
    images, labels = head(test, None)
    for _ in range(2):
        started = time.perf_counter()
        _, accuracy = model.evaluate(images, labels, batch_size=job.EVALUATE_BATCH, verbose=0)
        seconds = time.perf_counter() - started
    return seconds, accuracy


if __name__ == "__main__":
    main()
