#!/usr/bin/env bash
# Keras 3.15.1's ModelCheckpoint(save_best_only=True) overwrites the best weights with those of an epoch
# that was not validated.
#
# With `validation_freq=2` every other epoch has no `val_loss`. Keras warns "Can save best model only
# with val_loss available", and then saves that epoch anyway: the file "of the best epoch" holds
# weights that were never measured. Expected: the epoch is skipped, as in Keras 2 ("..., skipping") and in
# EarlyStopping. To validate less often than every epoch, monitor a training metric or save each epoch to
# its own file.
#
# Here the learning rate is so high that the loss only rises: the first validated epoch is the best, and
# the file should still hold it after five epochs.
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
x, y = np.ones((8, 1), "float32"), np.zeros((8, 1), "float32")
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
model.layers[0].set_weights([np.ones((1, 1), "float32")])
# loss = w², so that w becomes w - 2 * 1.5 * w = -2 w in each epoch: 1, -2, 4, -8, ...
model.compile(keras.optimizers.SGD(1.5), "mse")
weights = []
note = keras.callbacks.LambdaCallback(
    on_epoch_end=lambda epoch, logs: weights.append(float(model.layers[0].kernel[0, 0]))
)
best = keras.callbacks.ModelCheckpoint(
    "best.weights.h5", monitor="val_loss", save_best_only=True, save_weights_only=True
)
history = model.fit(
    x, y, batch_size=8, epochs=5, verbose=0, validation_data=(x, y), validation_freq=2,
    callbacks=[note, best],
).history
model.load_weights("best.weights.h5")
kept = float(model.layers[0].kernel[0, 0])
print(f"keras {keras.__version__}")
print(f"weights after epochs 1 to 5: {weights}")
print(f"val_loss, measured after epochs 2 and 4: {history['val_loss']}")
print(f"the best validated epoch is 2, weight {weights[1]}; the file holds {kept}: epoch 5's")
assert history["val_loss"][0] < history["val_loss"][1]
assert kept == weights[4] != weights[1], "the behaviour has changed"
PYTHON
