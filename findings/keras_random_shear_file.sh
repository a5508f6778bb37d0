#!/usr/bin/env bash
# A Keras 3.15.1 model with `RandomShear(0.2)` is saved without a word and cannot be loaded again.
#
# For a single factor the constructor makes bounds of -0.2 and 0.2, and `get_config` returns them; given two bounds, the
# constructor insists on numbers from 0 to 1 and refuses the first. `from_config(get_config())` fails alike. The
# sibling layers with the same arguments, RandomZoom, RandomTranslation and RandomRotation, come back. Expected: a file
# that loads. To keep such a model, give the bounds as a pair of numbers above zero, which shears to one side only.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tensorflow-cpu==2.21.0 keras==3.15.1 numpy==2.4.6
cd "$folder"
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 venv/bin/python - 2>/dev/null <<'PYTHON'
import keras
from keras import layers

def comes_back(layer):
    model = keras.Sequential([keras.Input((8, 8, 3)), layer])
    model.save("net.keras")
    try:
        keras.models.load_model("net.keras")
    except TypeError:
        return False
    return True

print(f"keras {keras.__version__}")
found = {
    "RandomShear(0.2)": comes_back(layers.RandomShear(0.2)),
    "RandomShear(0.2, 0.1)": comes_back(layers.RandomShear(0.2, 0.1)),
    "RandomShear((0.1, 0.3), (0.1, 0.2))": comes_back(layers.RandomShear((0.1, 0.3), (0.1, 0.2))),
    "RandomZoom(0.2)": comes_back(layers.RandomZoom(0.2)),
    "RandomTranslation(0.2, 0.1)": comes_back(layers.RandomTranslation(0.2, 0.1)),
    "RandomRotation(0.2)": comes_back(layers.RandomRotation(0.2)),
}
for name, loads in found.items():
    print(f"{name}: {'loads' if loads else 'is saved, does not load'}")
config = layers.RandomShear(0.2).get_config()
print(f"RandomShear(0.2).get_config(): x_factor {config['x_factor']}")
assert list(found.values()) == [False, False, True, True, True, True], "the behaviour has changed"
assert config["x_factor"] == (-0.2, 0.2), "the behaviour has changed"
PYTHON
