#!/usr/bin/env bash
# Keras 3.15.1's `RandomFlip("horizontal_and_vertical")`, its default, never flips an image along one axis only.
#
# A single number is drawn for an image, and both flips compare it with the same bound: about half of the images stay,
# the others are turned by 180 degrees. Expected, also by its documentation: four outcomes, a quarter each, as with two layers `RandomFlip("horizontal")` and `RandomFlip("vertical")`, which are the
# way to get them.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tensorflow-cpu==2.21.0 keras==3.15.1 numpy==2.4.6
cd "$folder"
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 venv/bin/python - 2>/dev/null <<'PYTHON'
import keras
import numpy as np
from keras import layers

def outcomes(model):
    images = np.random.default_rng(1).random((400, 6, 6, 1), "float32")
    counts = {"kept": 0, "horizontal": 0, "vertical": 0, "both": 0}
    for before, after in zip(images, np.array(model(images, training=True))):
        flips = [before, before[:, ::-1], before[::-1], before[::-1, ::-1]]
        for name, flipped in zip(counts, flips):
            counts[name] += np.array_equal(flipped, after)
    return counts

keras.utils.set_random_seed(1)
one = outcomes(layers.RandomFlip("horizontal_and_vertical"))
two = outcomes(keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomFlip("vertical")]))
print(f"keras {keras.__version__}, 400 images")
print(f'RandomFlip("horizontal_and_vertical"): {one}')
print(f"two layers, one for each axis:         {two}")
assert sum(one.values()) == sum(two.values()) == 400
assert one["horizontal"] == one["vertical"] == 0 and min(one["kept"], one["both"]) > 150, "the behaviour has changed"
assert min(two.values()) > 60, "the behaviour has changed"
PYTHON
