#!/usr/bin/env bash
# Keras 3.15.1: one model, one confidently wrong prediction, and a loss that depends on the backend.
#
# The guess was that a model that ends in a softmax has the same cross-entropy on every backend, with the
# probabilities clipped to 1e-7 as in Keras's documentation of the losses: at most -log(1e-7) = 16.118. On TensorFlow
# the loss is that of the logits, 60 here: its backend finds the softmax before the loss and takes what went in. On
# JAX the probabilities are clipped, and the gradient of such a sample is zero.
#
# Exits non-zero if the behaviour changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 tensorflow-cpu==2.21.0 jax==0.10.2 numpy==2.4.6
cat >"$folder/loss.py" <<'PYTHON'
import sys

import keras
import numpy as np

model = keras.Sequential([keras.Input((2,)), keras.layers.Activation("softmax")])
model.compile(loss="sparse_categorical_crossentropy")
logits, label = np.array([[60.0, 0.0]], np.float32), np.array([1])
loss = model.evaluate(logits, label, verbose=0)
# The loss function by itself, on the same probabilities.
alone = float(keras.losses.SparseCategoricalCrossentropy()(label, model.predict(logits, verbose=0)))
print(f"keras {keras.__version__} on {keras.backend.backend()}: evaluate {loss:.3f}, the loss alone {alone:.3f}")
assert abs(loss - float(sys.argv[1])) < 1e-3, "the behaviour has changed"
assert abs(alone - 16.118) < 1e-3, "the behaviour has changed"
PYTHON
export TF_CPP_MIN_LOG_LEVEL=3
KERAS_BACKEND=tensorflow "$folder/venv/bin/python" "$folder/loss.py" 60
KERAS_BACKEND=jax "$folder/venv/bin/python" "$folder/loss.py" 16.118
