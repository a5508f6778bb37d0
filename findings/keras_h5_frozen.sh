#!/usr/bin/env bash
# Keras 3.15.1 loads its own .h5 file of a model with a frozen model in it with other weights than it saved, without a
# word: gammas become moving means.
#
# The guess was that a file that Keras has just written comes back as it was. A model in a model is saved as one list of
# weights. With `trainable=False` for the inner model the list is in the order of its layers; loading expects the
# trainable weights first, because the inner model is rebuilt before it is frozen. Two batch normalizations have weights
# of the same shape, so nothing notices. The same model as .keras comes back right.
#
# Exits non-zero if the behaviour changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2 h5py==3.14.0 numpy==2.4.6
cd "$folder"
KERAS_BACKEND=jax venv/bin/python - 2>/dev/null <<'PYTHON'
import keras
import numpy as np
from keras import Input, Sequential, layers

inner = Sequential(
    [Input((4, 4, 3)), layers.BatchNormalization(), layers.BatchNormalization()], trainable=False
)
model = Sequential([Input((4, 4, 3)), inner, layers.Flatten(), layers.Dense(2)])
for i, variable in enumerate(inner.weights):
    variable.assign(np.full(variable.shape, i + 1.0))
saved = [float(v.numpy()[0]) for v in inner.weights]
loaded = {}
for file in "model.h5", "model.keras":
    model.save(file)
    again = keras.models.load_model(file)
    loaded[file] = [float(v.numpy()[0]) for v in again.layers[0].weights]
print(f"keras {keras.__version__}: saved {saved}, loaded {loaded}")
assert loaded["model.keras"] == saved, "the behaviour has changed"
assert loaded["model.h5"] == [1, 2, 5, 6, 3, 4, 7, 8], "the behaviour has changed"
PYTHON
