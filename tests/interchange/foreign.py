#!/usr/bin/env python3
"""Loads files in Keras or PyTorch, for `roundtrip.py`, in a process for each backend of Keras.

    python tests/interchange/foreign.py tensorflow|torch|jax JOBS.json

Each job has the `kind`, which is the name of a function here, and its arguments. The result is the
file `out`, `.npz`: arrays, or `error`, a text.
"""

import json
import os
import pathlib
import sys
import traceback
import warnings

BACKEND = sys.argv[1] if __name__ == "__main__" else "tensorflow"
os.environ["KERAS_BACKEND"] = BACKEND
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np  # noqa: E402: after the environment

MOMENTS = {"m": "_momentum", "v": "_velocity", "average": "_average"}


def array(value):
    """A tensor or variable of any backend."""
    import keras

    return np.array(keras.ops.convert_to_numpy(value))


def nchw(x):
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def keras_file(path, images, labels=None):
    """The outputs of a `.keras` file, its optimizer's values, and the loss of a training step."""
    import keras

    x = np.load(images)["x"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = keras.saving.load_model(path)
    # Keras only warns if the optimizer's values do not fit.
    unfit = [str(w.message) for w in caught if "optimizer" in str(w.message)]
    assert not unfit, unfit[0]
    result = {"output": array(model(x, training=False))}
    for layer in model.layers:
        for variable in layer.weights:
            result[f"param/{layer.name}/{variable.name}"] = array(variable)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return result
    result["step"] = array(optimizer.iterations)
    result["learning_rate"] = array(optimizer.learning_rate)
    for name, ending in MOMENTS.items():
        values = [array(v) for v in optimizer.variables if v.path.endswith(ending)]
        result |= {f"{name}/{i}": value for i, value in enumerate(values)}
    if labels is not None:
        y = np.load(labels)["y"]
        loss = model.train_on_batch(x, y)
        result["loss"] = np.array(np.ravel(loss)[0])
        assert np.isfinite(result["loss"]), "the loss of a training step is not finite"
        assert int(optimizer.iterations) == result["step"] + 1
    return result


def keras_again(path, images, folder):
    """Loads a `.keras` file, and saves it again in all of Keras's formats and as ONNX."""
    import keras

    folder = pathlib.Path(folder)
    model = keras.saving.load_model(path)
    model.save(folder / f"{BACKEND}.keras")
    model.save_weights(folder / f"{BACKEND}.weights.h5")
    model.save(folder / f"{BACKEND}.h5")
    model(np.load(images)["x"])
    try:
        model.export(folder / f"{BACKEND}.onnx", format="onnx", verbose=False)
    except Exception:  # noqa: BLE001: not every layer can be exported by every exporter
        pass
    return {}


def torch_module(folder, images, again):
    """The outputs of an exported module; saves it in PyTorch's formats and as ONNX."""
    import importlib.util

    import torch

    path = pathlib.Path(folder) / "model.py"
    spec = importlib.util.spec_from_file_location("exported", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["exported"] = module
    spec.loader.exec_module(module)
    net = module.load().eval()
    x = torch.from_numpy(nchw(np.load(images)["x"]))
    with torch.no_grad():
        output = net(x).numpy()
    again = pathlib.Path(again)
    torch.save(net.state_dict(), again / "net.pt")
    torch.save(net.state_dict(), again / "net.legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 1, "state_dict": net.state_dict()}, again / "net.checkpoint.pt")
    torch.save(net, again / "net.module.pt")
    names = {"input_names": ["input"], "output_names": ["output"]}
    axes = {"dynamic_axes": {"input": {0: "batch"}, "output": {0: "batch"}}}
    target = again / "torchscript.onnx"
    torch.onnx.export(net, (x,), target, dynamo=False, verbose=False, **names, **axes)
    shapes = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
    target = again / "dynamo.onnx"
    torch.onnx.export(net, (x,), target, dynamo=True, external_data=False, verbose=False, **shapes)
    return {"output": output}


def main():
    warnings.simplefilter("ignore")
    for job in json.loads(pathlib.Path(sys.argv[2]).read_text()):
        out = job.pop("out")
        try:
            result = globals()[job.pop("kind")](**job)
        except Exception as error:  # noqa: BLE001: whatever refuses the file
            traceback.print_exc()
            result = {"error": np.array(f"{type(error).__name__}: {error}"[:500])}
        np.savez(out, **result)


if __name__ == "__main__":
    main()
