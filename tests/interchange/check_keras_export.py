#!/usr/bin/env python3
"""Loads the networks that `keras/export.rs` writes with Keras, and compares their outputs, their
optimizers and one more step of training with what the program computes.

    KERAS_BACKEND=tensorflow python tests/interchange/check_keras_export.py FOLDER

`KERAS_BACKEND` is `tensorflow`, `torch` or `jax`.
"""

import os
import pathlib
import re
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import safetensors.numpy

OUTPUTS = 1e-5
AFTER = 2e-5


def difference(a, b):
    return float(np.max(np.abs(np.asarray(a) - np.asarray(b)), initial=0))


def state(model, tensors, when):
    """The largest differences of the weights and of the optimizer's moments."""
    worst = {"param": 0.0, "moments": 0.0}
    names = [n.removeprefix(f"{when}/param/") for n in tensors if n.startswith(f"{when}/param/")]
    moments = list(model.optimizer.variables)[2:]
    found = {}
    for layer in model.layers:
        for variable in layer.variables:
            key = variable.name.replace("depthwise_kernel", "kernel")
            if variable.name != "seed_generator_state":
                found[f"{layer.name}/{key}"] = variable
    assert sorted(found) == sorted(names), (sorted(found), sorted(names))
    for name, variable in found.items():
        error = difference(variable.numpy(), tensors[f"{when}/param/{name}"])
        worst["param"] = max(worst["param"], error)
    for kind, arena in (("momentum", "m"), ("velocity", "v"), ("average", "average")):
        own = [v for v in moments if v.name.endswith(kind)]
        trained = [(n, v) for n, v in found.items() if v.trainable]
        assert len(own) in (0, len(trained)), (kind, len(own))
        for variable, (name, _) in zip(own, trained):
            expected = tensors.get(f"{when}/{arena}/{name}", np.zeros(variable.shape))
            worst["moments"] = max(worst["moments"], difference(variable.numpy(), expected))
        moments = [v for v in moments if not v.name.endswith(kind)]
    assert not moments, [v.name for v in moments]
    return worst


def one_hot(model, labels, classes):
    if model.loss.name == "sparse_categorical_crossentropy":
        return labels
    return np.eye(classes, dtype=np.float32)[labels]


def check(path):
    tensors = safetensors.numpy.load_file(path.with_suffix(".safetensors"))
    # Keras allows fewer characters in names.
    tensors = {re.sub(r"[^\w/-]", "_", name, flags=re.ASCII): t for name, t in tensors.items()}
    model = keras.models.load_model(path)
    x, labels = tensors["input"], tensors["labels"].astype(int)
    output = difference(model.predict(x, verbose=0), tensors["output"])
    assert output <= OUTPUTS, output
    if getattr(model, "optimizer", None) is None:
        return f"{output:.1e}, not compiled"
    assert int(model.optimizer.iterations) == int(tensors["step"][0])
    before = state(model, tensors, "before")
    assert before == {"param": 0, "moments": 0}, before
    y = one_hot(model, labels, tensors["output"].shape[1])
    metrics = model.evaluate(x, y, batch_size=len(x), verbose=0)
    if any("Dropout" in type(layer).__name__ for layer in model.layers):
        return f"{output:.1e}, evaluates to {metrics}"
    model.fit(x, y, batch_size=len(x), epochs=1, shuffle=False, verbose=0)
    if model.optimizer.use_ema:
        # Training has put the average in place of the weights.
        for name in list(tensors):
            if name.startswith("after/average/"):
                weights = "after/param/" + name.removeprefix("after/average/")
                if not name.endswith(("moving_mean", "moving_variance")):
                    tensors[weights] = tensors[name]
    after = state(model, tensors, "after")
    assert max(after.values()) <= AFTER, after
    return f"{output:.1e}, after a step {after['param']:.1e}, moments {after['moments']:.1e}"


def main():
    # Such as that the optimizer's variables were skipped.
    warnings.simplefilter("error", UserWarning)
    print(f"Keras {keras.__version__} on {keras.backend.backend()}")
    failed = False
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.keras")):
        try:
            print(f"{path.stem:12} {check(path)}")
        except Exception as error:
            failed = True
            print(f"{path.stem:12} FAILED: {type(error).__name__}: {str(error)[:600]}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
