#!/usr/bin/env bash
# A compiled model that Keras 3.15.1 saved as `.h5` and loads again cannot be trained until it is compiled anew.
#
# `load_model` builds the optimizer for the variables of the model itself, which has none besides those of its
# layers, so the first step of `fit` fails with "Unknown variable: ... This optimizer can only be called for the
# variables it was originally built with". The same model saved as `.keras` trains on. Expected: both do.
# Call `compile` after loading, which starts with new moments, or use `.keras`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tensorflow-cpu==2.21.0 keras==3.15.1 numpy==2.4.6
cd "$folder"
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 venv/bin/python - <<'PYTHON'
import keras
import numpy as np

keras.utils.set_random_seed(0)
x, y = np.ones((8, 2), "float32"), np.zeros((8, 1), "float32")
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("adam", keras.losses.MeanSquaredError())
model.fit(x, y, verbose=0)


def trained_on(file):
    """What training the saved model on does."""
    model.save(file)
    loaded = keras.models.load_model(file)
    try:
        loaded.fit(x, y, verbose=0)
        return "trains"
    except ValueError as error:
        return str(error)


print(f"keras {keras.__version__}")
found = {file: trained_on(file) for file in ("model.keras", "model.h5")}
print(found)
assert found["model.keras"] == "trains"
assert found["model.h5"].startswith("Unknown variable"), "the behaviour has changed"
PYTHON
