#!/usr/bin/env bash
# Keras 3.15.1: the elastic transformation on JAX moves pixels along one diagonal only.
#
# The guess was that the displacements along rows and columns are independent, as in Simard et al. (2003) and as on
# Keras's NumPy backend. The JAX backend draws both from the same seed, so that they are the same numbers.
#
# Exits non-zero if the behaviour changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 jax==0.10.2 numpy==2.4.6
cat >"$folder/elastic.py" <<'PYTHON'
import sys

import keras
import numpy as np

# Channel 0 holds the number of the row, channel 1 that of the column: what they change by is the displacement.
rows, columns = np.mgrid[0:64, 0:64].astype(np.float32)
image = np.stack([rows, columns], axis=-1)[None]
moved = keras.ops.image.elastic_transform(image, alpha=20.0, sigma=5.0, fill_mode="nearest", seed=1)
inner = np.asarray(keras.ops.convert_to_numpy(moved) - image)[0, 16:48, 16:48]
correlation = np.corrcoef(inner[..., 0].ravel(), inner[..., 1].ravel())[0, 1]
furthest = np.abs(inner).max()
print(f"keras {keras.__version__} on {keras.backend.backend()}: moves by up to {furthest:.2f} pixels, correlation of "
      f"the two directions {correlation:.3f}")
assert furthest > 0.5, "nothing was moved"
assert (abs(correlation) > 0.99) == (sys.argv[1] == "same"), "the behaviour has changed"
PYTHON
KERAS_BACKEND=jax "$folder/venv/bin/python" "$folder/elastic.py" same
KERAS_BACKEND=numpy "$folder/venv/bin/python" "$folder/elastic.py" independent
