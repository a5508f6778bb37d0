#!/usr/bin/env bash
# Keras 3.15.1's `model.export(format="onnx")` on TensorFlow 2.21.0, which uses tf2onnx 1.17.0, loses the padding
# of a dilated Conv2D with padding="same" if a ZeroPadding2D comes before it.
#
# A 3x3 kernel with dilation 2 needs a padding of 2 on each side, ZeroPadding2D(1) adds 1; the exported Conv has
# pads of 1 in place of 3. Its output is 6x6 in place of 10x10; the declared shape is still 10x10, so ONNX
# Runtime warns and returns the smaller output. Expected: both paddings, as without dilation and as without the
# padding layer, where the export is right.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tensorflow-cpu==2.21.0 keras==3.15.1 numpy==2.4.6 tf2onnx==1.17.0 \
  onnx==1.23.2 onnxruntime==1.32.0
cd "$folder"
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 venv/bin/python - <<'PYTHON'
import keras
import numpy as np
import onnx
import onnxruntime
import tf2onnx

onnxruntime.set_default_logger_severity(3)


def exported(padding, dilation):
    """The shapes of Keras's and ONNX Runtime's outputs, their difference, and the pads of the Conv."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.ZeroPadding2D(padding)] if padding else []
    conv = keras.layers.Conv2D(3, 3, padding="same", dilation_rate=dilation)
    model = keras.Sequential([keras.Input((8, 8, 2)), *layers, conv])
    images = np.random.default_rng(0).random((1, 8, 8, 2), "float32")
    expected = model(images).numpy()
    model.export("model.onnx", format="onnx", verbose=False)
    nodes = onnx.load("model.onnx").graph.node
    [pads] = [list(a.ints) for n in nodes if n.op_type == "Conv" for a in n.attribute if a.name == "pads"]
    session = onnxruntime.InferenceSession("model.onnx")
    found = session.run(None, {session.get_inputs()[0].name: images})[0]
    same = found.shape == expected.shape and bool(np.abs(found - expected).max() < 1e-5)
    print(f"padding {padding}, dilation {dilation}: {expected.shape}, {found.shape}, pads {pads}, equal: {same}")
    return expected.shape, found.shape, pads, same


print(f"keras {keras.__version__}, tf2onnx {tf2onnx.__version__}, onnxruntime {onnxruntime.__version__}")
assert exported(None, 2)[2:] == ([2, 2, 2, 2], True)
assert exported(1, 1)[3]
changed = "the behaviour has changed"
assert exported(1, 2) == ((1, 10, 10, 3), (1, 6, 6, 3), [1, 1, 1, 1], False), changed
PYTHON
