#!/usr/bin/env python3
"""Trains a recipe of docs/models.md with Keras on TensorFlow and prints one JSON line.

    pip install keras tensorflow-cpu
    python3 benches/peers/keras_recipes.py --network mnist-best --epochs 5 --seed 1 --data-dir DIR

The network, its augmentation, the optimizer and the schedule are those of `cnn-gpu train --model NAME
--augment mnist --learning-rate RATE --lr-schedule cosine:1`. The augmentation is part of the model, as in Keras's
own guides. The accuracy is that of the weights after the last epoch.
"""

import argparse
import json
import os
import pathlib
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import job

# The learning rates of the recipes.
RATES = {"mnist-small": 0.003, "mnist-best": 0.002}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=RATES, required=True)
    parser.add_argument("--epochs", type=job.positive, default=5)
    parser.add_argument("--batch-size", type=job.positive, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=job.positive, help="train on the first N images only")
    parser.add_argument(
        "--data-dir", type=pathlib.Path, default=os.environ.get("CNN_GPU_DATA_DIR")
    )
    return parser.parse_args()


def augmentation(layers):
    """As `--augment mnist`."""
    fill = {"fill_mode": "constant", "fill_value": 0.0}
    return [
        layers.RandomRotation(0.028, **fill),
        layers.RandomTranslation(0.1, 0.1, **fill),
        layers.RandomZoom(0.1, **fill),
    ]


def mnist_small(layers):
    def normalized(filters):
        yield layers.Conv2D(filters, 3, use_bias=False)
        yield layers.BatchNormalization()
        yield layers.ReLU()

    yield from normalized(16)
    yield from normalized(32)
    yield layers.MaxPooling2D(2)
    yield from normalized(48)
    yield from normalized(48)
    yield layers.MaxPooling2D(2)
    yield from normalized(64)
    yield layers.GlobalAveragePooling2D()
    yield layers.Dense(10, activation="softmax")


def mnist_best(layers):
    for filters in [32, 64]:
        for _ in range(2):
            yield layers.Conv2D(filters, 3, activation="relu")
            yield layers.BatchNormalization()
        yield layers.Conv2D(filters, 5, strides=2, padding="same", activation="relu")
        yield layers.BatchNormalization()
        yield layers.Dropout(0.4)
    yield layers.Flatten()
    yield layers.Dense(128, activation="relu")
    yield layers.BatchNormalization()
    yield layers.Dropout(0.4)
    yield layers.Dense(10, activation="softmax")


def main():
    args = arguments()
    import keras

    keras.utils.set_random_seed(args.seed)
    train, test = job.load(args)
    network = {"mnist-small": mnist_small, "mnist-best": mnist_best}[args.network]
    layers = [*augmentation(keras.layers), *network(keras.layers)]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    steps = -(-len(train.images) // args.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        steps * (args.epochs - 1),
        warmup_target=RATES[args.network],
        warmup_steps=steps,
    )
    model.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    started = time.perf_counter()
    model.fit(
        train.images, train.labels, batch_size=args.batch_size, epochs=args.epochs, verbose=0
    )
    seconds = time.perf_counter() - started
    loss, accuracy = model.evaluate(test.images, test.labels, batch_size=256, verbose=0)
    line = {
        "network": args.network,
        "parameters": model.count_params(),
        "epochs": args.epochs,
        "seed": args.seed,
        "fit_seconds": round(seconds, 1),
        "test_loss": round(float(loss), 5),
        "test_accuracy": round(float(accuracy), 4),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
