#!/usr/bin/env bash
# Keras 3.15.1: a model with RandomCrop predicts on images of another size than it was trained on.
#
# The guess was what the layer's documentation says: in inference, images are resized and cropped to the target size.
# The layer returns them as they are, although the model's output shape promises the target size, so that a Dense layer
# behind it fails in `predict`, and layers that take any size see larger images than in training.
#
# Exits non-zero if the behaviour changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2 numpy==2.4.6
cat >"$folder/crop.py" <<'PYTHON'
import keras
import numpy as np

images = np.zeros((2, 6, 6, 1), np.float32)
model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.RandomCrop(4, 4)])
trained = model(images, training=True).shape
predicted = model.predict(images, verbose=0).shape
print(f"keras {keras.__version__}: output shape {model.output_shape}, in training {trained}, predict {predicted}")
assert tuple(model.output_shape) == (None, 4, 4, 1) and tuple(trained) == (2, 4, 4, 1), "the behaviour has changed"
assert predicted == (2, 6, 6, 1), "the behaviour has changed"
PYTHON
KERAS_BACKEND=jax "$folder/venv/bin/python" "$folder/crop.py"
