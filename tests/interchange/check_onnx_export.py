"""Checks the ONNX models that `onnx_export.rs` writes: with ONNX's checker and shape inference, and
their outputs in ONNX Runtime with those of our executors and, for the fixtures, of Keras.

    python tests/interchange/check_onnx_export.py FOLDER
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import safetensors.numpy

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
TOLERANCE = 1e-6
# Sums of many terms, each rounded to f32, against sums in f64.
LOGITS_TOLERANCE = 4e-6


def expected(folder, name):
    """The input and the outputs by who computed them."""
    tensors = safetensors.numpy.load_file(folder / f"{name}.safetensors")
    outputs = {who: tensors[who] for who in ("cpu", "reference", "logits")}
    fixture = FIXTURES / f"{name.removeprefix('fixture_')}.safetensors"
    if name.startswith("fixture_"):
        keras = safetensors.numpy.load_file(fixture)
        outputs["keras"] = keras.get("inference/probabilities", keras["probabilities"])
    return tensors["input"], outputs


def check_graph(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert inferred.graph.value_info == model.graph.value_info, "shape inference finds other shapes"
    assert (model.ir_version, model.opset_import[0].version) == (8, 17)
    outputs = [output for node in model.graph.node for output in node.output]
    described = [value.name for value in model.graph.value_info] + [model.graph.output[0].name]
    assert sorted(outputs) == sorted(described), "a value has no shape"
    values = outputs + [t.name for t in model.graph.initializer] + [model.graph.input[0].name]
    assert len(set(values)) == len(values), "a name is used twice"
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["classes"]) == ["a", '"b"']
    assert json.loads(metadata["cnn_gpu"])["preprocessing"] == metadata["preprocessing"]
    transposes = [node.op_type for node in model.graph.node].count("Transpose")
    return model, transposes


def run(model, x, channels_first):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if channels_first else x
    return session.run(None, {session.get_inputs()[0].name: x})


def with_logits(model):
    """Makes the logits, from which our losses start, an output too. In probabilities close to 0 or 1
    large errors would not show."""
    last = model.graph.node[-1]
    if last.op_type in ("Softmax", "Sigmoid"):
        values = {value.name: value for value in model.graph.value_info}
        model.graph.output.append(values[last.input[0]])


def error(y, wanted):
    # A single sigmoid is the probability of class 1.
    wanted = wanted[:, -1:] if y.shape[1] == 1 else wanted
    assert y.shape == wanted.shape, (y.shape, wanted.shape)
    return np.max(np.abs(y - wanted) / np.maximum(1, np.abs(wanted)))


def main():
    folder = pathlib.Path(sys.argv[1])
    worst, failures = {}, 0
    for path in sorted(folder.glob("*.onnx")):
        name, channels_first = path.name.split(".")[0], ".channels_first." in path.name
        kind = name.split("_")[0]
        try:
            model, transposes = check_graph(path)
            x, outputs = expected(folder, name)
            logits = outputs.pop("logits")
            with_logits(model)
            y, *others = run(model, x, channels_first)
            errors = {who: error(y, wanted) for who, wanted in outputs.items()}
            errors |= {"logits": error(y, logits) for y in others}
            allowed = {"logits": LOGITS_TOLERANCE}
            assert all(e <= allowed.get(who, TOLERANCE) for who, e in errors.items()), errors
        except Exception as problem:
            failures += 1
            print(f"{path.name}: {str(problem)[:300]}")
            continue
        for who, value in errors.items():
            worst[kind, who] = max(worst.get((kind, who), (0, "")), (value, path.name))
        if kind != "random":
            print(f"{path.name}: {len(model.graph.node)} nodes, {transposes} transposes, worst error {max(errors.values()):.1e}")
    for (kind, who), (value, name) in sorted(worst.items()):
        print(f"worst error of {kind} networks from {who}: {value:.1e} ({name})")
    sys.exit(f"{failures} failures" if failures else None)


if __name__ == "__main__":
    main()
