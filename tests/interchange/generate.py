#!/usr/bin/env python3
"""Writes `files`: networks of the program's layers as Keras, PyTorch and their exporters write them.

    pip install -r tests/interchange/requirements.txt
    python tests/interchange/generate.py

Each part runs in a process of its own, because Keras chooses its backend when it is imported. What
the files hold is described in README.md, next to this file.

Values come from NumPy's RandomState, whose streams are frozen, and the time in the files is fixed.
"""

import argparse
import linecache
import os
import pathlib
import subprocess
import sys
import tomllib
import warnings

HERE = pathlib.Path(__file__).resolve().parent
FILES = HERE / "files"
# Each part: the function's name is the key, and Keras's backend the value.
PARTS = {
    "keras": "tensorflow",
    "keras2": "tensorflow",
    "keras_jax": "jax",
    "keras_torch": "torch",
    "torch": "torch",
    "refused": "tensorflow",
    "check": "tensorflow",
}
SAMPLES = 3
EPOCH = 1_767_225_600  # 2026-01-01, the time in all files


def set_environment(backend):
    """Settings that must precede the imports."""
    os.environ["KERAS_BACKEND"] = backend
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def write_expected(path, tensors):
    """Writes what a network returns, and its values in the program's layout."""
    import numpy as np
    import safetensors.numpy

    contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    path.write_bytes(safetensors.numpy.save(contiguous))


def inputs(shape, seed):
    """[n, h, w, c], in 0 to 1."""
    import numpy as np

    return np.random.RandomState(seed).uniform(size=(SAMPLES, *shape)).astype(np.float32)


def softmax(logits):
    import numpy as np

    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)


# Keras


def keras_lab():
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((13, 11, 1)),
            layers.Conv2D(4, 3, activation="relu", name="conv1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(6, 2, activation="relu", name="conv2"),
            layers.MaxPooling2D(2, strides=1, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(7, activation="relu", name="dense1"),
            layers.Dense(4, activation="softmax", name="dense2"),
        ],
        name="lab",
    )


def keras_layers(gelu="gelu"):
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((12, 10, 3)),
            layers.Rescaling(2.0, offset=-0.5),
            layers.ZeroPadding2D(((1, 0), (0, 2))),
            layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.Activation(gelu),
            layers.SpatialDropout2D(0.2),
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="silu"),
            layers.AveragePooling2D(3, strides=2, padding="same"),
            layers.Dropout(0.25),
            layers.Conv2D(6, 2, dilation_rate=2),
            layers.BatchNormalization(momentum=0.9, epsilon=0.01, scale=False),
            layers.GlobalAveragePooling2D(),
            layers.Dense(8, activation="elu"),
            layers.Dense(5, activation="softmax"),
        ],
        name="layers",
    )


def keras_activations(gelu="gelu", groups=2):
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((11, 9, 2)),
            layers.Conv2D(4, 3, activation="leaky_relu"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(6, (2, 3), groups=groups, activation="selu"),
            layers.ELU(),
            layers.MaxPooling2D(2, strides=1),
            layers.Conv2D(4, 1, activation="tanh"),
            layers.Activation("selu"),
            layers.Conv2D(5, (2, 3), activation="softplus"),
            layers.Activation("silu"),
            layers.GlobalMaxPooling2D(),
            layers.Activation("softplus"),
            layers.Dense(7, activation=gelu),
            layers.Activation("sigmoid"),
            layers.Dense(6, activation="silu"),
            layers.Activation("tanh"),
            layers.Dense(5, activation="sigmoid"),
            layers.Dense(6, activation="elu"),
            layers.ReLU(),
            layers.Dense(4),
        ],
        name="activations",
    )


def randomize(model, seed):
    """Values that are neither 0 nor 1 in biases, gammas, betas and moving statistics."""
    import numpy as np

    rng = np.random.RandomState(seed)
    for variable in model.weights:
        kind = variable.path.split("/")[-1].split(":")[0]
        if kind == "kernel" or kind == "depthwise_kernel":
            *window, fan_in, _ = variable.shape
            limit = np.sqrt(3 / (np.prod(window) * (1 if "depthwise" in variable.path else fan_in)))
        else:
            limit = 0.3
        value = rng.uniform(-limit, limit, variable.shape)
        if kind in ("gamma", "moving_variance"):
            value += 1
        variable.assign(value.astype(np.float32))


def fit(model, optimizer, loss, steps=3):
    """Compiles and trains for a few steps, so that the optimizer's values are not 0."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    x = inputs(model.input_shape[1:], 99)
    classes = model.output_shape[-1]
    y = np.arange(SAMPLES) % classes
    if not isinstance(loss, keras.losses.SparseCategoricalCrossentropy):
        y = np.eye(classes, dtype=np.float32)[y]
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    model.fit(x, y, epochs=steps, batch_size=SAMPLES, verbose=0, shuffle=False)


def keras_values(model):
    """The parameters and the optimizer's values, by the program's names."""
    import numpy as np

    tensors, names = {}, {}
    for layer in model.layers:
        for variable in layer.weights:
            names[variable.path] = f"{layer.name}/{variable.name}"
            tensors[f"param/{layer.name}/{variable.name}"] = np.array(variable)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return tensors
    tensors["step"] = np.array([int(optimizer.iterations)], np.int32)
    trained = [names[variable.path] for variable in model.trainable_variables]
    kind, rest = type(optimizer).__name__, [np.array(v) for v in optimizer.variables[2:]]
    count = len(trained)
    if kind in ("Adam", "AdamW"):
        moments = {"m": rest[0::2], "v": rest[1::2]}
    elif kind == "RMSprop":
        moments = {"v": rest[:count], "m": rest[count:]}
    else:
        moments = {"m": rest}
    for moment, values in moments.items():
        assert len(values) in (0, count), (kind, len(values), count)
        for name, value in zip(trained, values):
            assert value.shape == tensors[f"param/{name}"].shape, (kind, name)
            tensors[f"{moment}/{name}"] = value
    return tensors


def keras_expected(model, path, seed, with_values=True):
    """Writes the results of a Keras model, and its values."""
    import numpy as np

    x = inputs(model.input_shape[1:], seed)
    output = np.array(model(x, training=False))
    tensors = {"input": x, "output": output}
    if with_values:
        tensors |= keras_values(model)
    if "softmax" not in str(getattr(model.layers[-1], "activation", None)):
        tensors["probabilities"] = softmax(output)
    write_expected(path, tensors)
    return output


def fix_contents(saving_lib=None, serialization_lib=None):
    """Fixes the time and the addresses of objects that Keras writes into its files."""
    import datetime
    import time
    import types

    if saving_lib is None:
        from keras.src.saving import saving_lib, serialization_lib

    class Fixed(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(EPOCH, tz)

    saving_lib.datetime = types.SimpleNamespace(datetime=Fixed)
    time.time = lambda: EPOCH
    numbered = {}

    def number(thing):
        # The tuple keeps the object alive, so that no other gets its address.
        return numbered.setdefault(id(thing), (len(numbered) + 1, thing))[0]

    serialization_lib.id = number


def make_keras(out):
    """The three Keras networks, trained, in each of Keras's formats, and as ONNX by tf2onnx."""
    import keras

    fix_contents()
    models = [
        (
            keras_lab,
            lambda: keras.optimizers.Adam(0.01),
            lambda: keras.losses.SparseCategoricalCrossentropy(),
        ),
        (
            keras_layers,
            lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
            lambda: keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        ),
        (
            keras_activations,
            lambda: keras.optimizers.SGD(0.05),
            lambda: keras.losses.MeanSquaredError(),
        ),
    ]
    folder = out / "keras"
    for seed, (build, optimizer, loss) in enumerate(models, 1):
        keras.backend.clear_session()
        model = build()
        randomize(model, seed)
        fit(model, optimizer(), loss())
        name = model.name
        keras_expected(model, folder / f"{name}.expected.safetensors", seed)
        model.save(folder / f"{name}.keras")
        if name == "lab":
            model.save_weights(folder / "lab.weights.h5")
            (folder / "lab.json").write_text(model.to_json(indent=1))
            model.save(folder / "lab.h5")
    export_for_tf2onnx(keras, folder)
    others(keras, folder)


def export_for_tf2onnx(keras, folder):
    """ONNX files that Keras writes on TensorFlow.

    tf2onnx 1.17 cannot convert GELU or grouped convolutions, and writes an invalid file.
    """
    model = keras.saving.load_model(folder / "lab.keras")
    model(inputs(model.input_shape[1:], 0))  # Keras exports only models that have been called.
    model.export(folder / "lab.tf2onnx.onnx", format="onnx", verbose=False)
    keras.backend.clear_session()
    plain = [keras_layers("silu"), keras_activations("softplus", groups=1)]
    for seed, model in enumerate(plain, 21):
        randomize(model, seed)
        name = f"{model.name}_plain"
        keras_expected(model, folder / f"{name}.expected.safetensors", seed, with_values=False)
        model.export(folder / f"{name}.tf2onnx.onnx", format="onnx", verbose=False)
    gelu = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Activation("gelu")])
    gelu(inputs((2, 2, 1), 0))
    refused = folder.parent / "refused/erfc.tf2onnx.onnx"
    gelu.export(refused, format="onnx", verbose=False)


def others(keras, folder):
    """Models that Keras saves in another shape, but that consist of the program's layers."""
    from keras import Input, Model, Sequential, layers

    keras.backend.clear_session()
    x = start = Input((8, 9, 2), name="picture")
    x = layers.Conv2D(3, 3, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="act")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(3, activation="softmax", name="head")(x)
    functional = Model(start, x, name="functional")
    randomize(functional, 4)
    adamw = keras.optimizers.AdamW(0.01, weight_decay=0.004)
    fit(functional, adamw, keras.losses.CategoricalCrossentropy())
    keras_expected(functional, folder / "functional.expected.safetensors", 4)
    functional.save(folder / "functional.keras")

    keras.backend.clear_session()
    stack = [Input((5, 6, 1)), layers.Conv2D(2, 3, activation="relu")]
    features = Sequential(stack, name="features")
    nested = Sequential(
        [features, layers.Flatten(), layers.Dense(3, activation="softmax")], name="nested"
    )
    randomize(nested, 5)
    keras_expected(nested, folder / "nested.expected.safetensors", 5, with_values=False)
    nested.save(folder / "nested.keras")
    operations(keras, folder)
    skips(keras, folder)

    keras.backend.clear_session()
    logits = Sequential([Input((4, 5, 1)), layers.Flatten(), layers.Dense(3)], name="logits")
    randomize(logits, 6)
    rmsprop = keras.optimizers.RMSprop(0.001, momentum=0.5)
    fit(logits, rmsprop, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    keras_expected(logits, folder / "logits.expected.safetensors", 6)
    logits.save(folder / "logits.keras")


def skips(keras, folder):
    """A model whose layers branch and join, in an order that Keras changes."""
    from keras import Input, Model, layers

    keras.backend.clear_session()
    start = Input((7, 6, 2), name="picture")
    shortcut = layers.Conv2D(3, 1, strides=2, use_bias=False, name="shortcut")(start)
    x = layers.Conv2D(3, 3, padding="same", name="stem")(start)
    stem = x = layers.ReLU(name="act")(layers.BatchNormalization(name="norm")(x))
    x = layers.Conv2D(3, 3, strides=2, padding="same", name="conv")(x)
    x = layers.Add(name="sum")([shortcut, x])
    wide = layers.Conv2D(2, 3, padding="same", activation="relu", name="wide")(x)
    pool = layers.MaxPooling2D(3, strides=2, padding="same", name="pool")(stem)
    x = layers.Concatenate(name="branches")([pool, x, wide])
    mean = layers.GlobalAveragePooling2D(name="mean")(x)
    top = layers.GlobalMaxPooling2D(name="top")(x)
    dense = layers.Dense(8, activation="relu", name="dense")(mean)
    x = layers.Dropout(0.3, name="drop")(dense + top)
    x = layers.Concatenate(axis=1, name="vectors")([x, mean])
    x = layers.Dense(3, activation="softmax", name="head")(x)
    model = Model(start, x, name="skips")
    randomize(model, 8)
    fit(model, keras.optimizers.Adam(0.01), keras.losses.CategoricalCrossentropy())
    keras_expected(model, folder / "skips.expected.safetensors", 8)
    model.save(folder / "skips.keras")
    model.save(folder / "skips.h5")
    model.save_weights(folder / "skips.weights.h5")
    model.export(folder / "skips.tf2onnx.onnx", format="onnx", verbose=False)


def operations(keras, folder):
    """Operations in place of layers, a model of layers for training, and shapes that change."""
    import numpy as np
    from keras import Input, Model, Sequential, layers, ops

    keras.backend.clear_session()
    start = Input((6, 5), name="bytes")
    x = layers.Reshape((6, 5, 1))(start / 255.0)
    x = Sequential([layers.RandomFlip(seed=1), layers.RandomZoom(0.1, seed=2)], name="augment")(x)
    x = ops.relu(layers.Conv2D(3, 3, name="conv")(x))
    inner = [layers.BatchNormalization(name="norm"), layers.Conv2D(4, 2, name="conv")]
    x = Sequential(inner, name="inner")(x)
    x = layers.Dense(3, activation="softmax", name="head")(layers.Reshape((-1,))(x))
    model = Model(start, x, name="operations")
    randomize(model, 8)
    x = inputs((6, 5, 1), 8)
    output = keras.ops.convert_to_numpy(model(x[..., 0] * np.float32(255), training=False))
    write_expected(folder / "operations.expected.safetensors", {"input": x, "output": output})
    model.save(folder / "operations.keras")
    model.save(folder / "operations.h5")

    keras.backend.clear_session()
    stack = [Input((36,)), layers.Dropout(0.1), layers.Dense(4, activation="relu")]
    rows = Sequential([*stack, layers.Dense(3, activation="softmax")], name="rows")
    randomize(rows, 9)
    x = inputs((6, 6, 1), 9)
    output = keras.ops.convert_to_numpy(rows(x.reshape(len(x), -1), training=False))
    write_expected(folder / "rows.expected.safetensors", {"input": x, "output": output})
    rows.save(folder / "rows.keras")


def make_keras2(out):
    """The same network as `lab.keras`, saved by Keras 2 as HDF5 and as `.keras`."""
    import h5py
    import keras
    import numpy as np
    import tf_keras as keras2
    from tf_keras.src.saving import saving_lib, serialization_lib

    fix_contents(saving_lib, serialization_lib)
    source = keras.saving.load_model(out / "keras/lab.keras")
    keras2.utils.set_random_seed(0)
    layers = keras2.layers
    model = keras2.Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", name="conv1", input_shape=(13, 11, 1)),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(6, 2, activation="relu", name="conv2"),
            layers.MaxPooling2D(2, strides=1, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(7, activation="relu", name="dense1"),
            layers.Dense(4, activation="softmax", name="dense2"),
        ],
        name="lab",
    )
    model.compile(optimizer=keras2.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    x, y = inputs((13, 11, 1), 99), np.arange(SAMPLES) % 4
    model.fit(x, y, epochs=1, verbose=0)
    model.set_weights(source.get_weights())
    # As h5py before version 3 wrote strings, with a fixed length.
    set_attribute = h5py.AttributeManager.__setitem__

    def set_fixed(attributes, name, value):
        is_text = isinstance(value, (list, np.ndarray)) and len(value) and isinstance(value[0], bytes)
        set_attribute(attributes, name, np.array(value, "S") if is_text else value)

    h5py.AttributeManager.__setitem__ = set_fixed
    model.save(out / "keras/lab.keras2.h5")
    h5py.AttributeManager.__setitem__ = set_attribute
    # Without the optimizer, which would double their size.
    model.optimizer = None
    model.compiled = False
    model.save(out / "keras/lab.keras2.keras")


def export_elsewhere(out, suffix, names):
    """Exports with another backend than TensorFlow, after comparing its results."""
    import keras
    import numpy as np
    import safetensors.numpy

    for name in names:
        model = keras.saving.load_model(out / f"keras/{name}.keras")
        expected = safetensors.numpy.load_file(out / f"keras/{name}.expected.safetensors")
        found = keras.ops.convert_to_numpy(model(expected["input"], training=False))
        difference = np.abs(found - expected["output"]).max()
        assert difference < 1e-6, (name, keras.backend.backend(), difference)
        model.export(out / f"keras/{name}.{suffix}.onnx", format="onnx", verbose=False)


def make_keras_jax(out):
    """ONNX files that Keras writes on JAX, with jax2onnx."""
    export_elsewhere(out, "jax2onnx", ["lab", "layers", "skips"])


def make_keras_torch(out):
    """ONNX files that Keras writes on PyTorch, with `torch.onnx`.

    Without `layers`: Keras's average pooling with uneven padding is wrong on PyTorch (3.15.1).
    """
    export_elsewhere(out, "torch", ["lab", "activations", "skips"])


# PyTorch


def load_nets():
    """`torch_nets` without the path of this folder, which the exporter writes into its files."""
    import types

    nets = types.ModuleType("torch_nets")
    nets.__file__ = "torch_nets.py"
    source = (HERE / "torch_nets.py").read_text()
    linecache.cache["torch_nets.py"] = len(source), None, source.splitlines(True), "torch_nets.py"
    sys.modules["torch_nets"] = nets
    exec(compile(source, "torch_nets.py", "exec"), nets.__dict__)
    return nets


def randomized(net, seed):
    """The network with random values, in inference mode."""
    import numpy as np
    import torch

    rng = np.random.RandomState(seed)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if not tensor.is_floating_point():
                tensor.fill_(5)
                continue
            is_kernel = tensor.dim() > 1
            limit = np.sqrt(3 / np.prod(tensor.shape[1:])) if is_kernel else 0.3
            value = rng.uniform(-limit, limit, tuple(tensor.shape))
            if name.endswith("running_var") or (not is_kernel and name.endswith("weight")):
                value += 1
            tensor.copy_(torch.from_numpy(value.astype(np.float32)))
    return net.eval()


def make_torch(out):
    """PyTorch networks: state dictionaries, whole modules, and ONNX by both exporters."""
    import safetensors.torch
    import torch

    nets = load_nets()
    folder = out / "torch"
    networks = [
        ("lab", nets.Lab, (13, 11, 1)),
        ("norm", nets.Norm, (10, 9, 3)),
        ("strided", nets.Strided, (8, 9, 2)),
        ("ceil", nets.Ceil, (6, 6, 2)),
        ("logarithm", nets.Logarithm, (6, 7, 2)),
        ("rows", nets.Rows, (6, 6, 1)),
        ("residual", nets.Residual, (8, 7, 2)),
    ]
    for seed, (name, make, shape) in enumerate(networks, 11):
        net = randomized(make(), seed)
        x = inputs(shape, seed)
        nchw = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()
        if name == "rows":
            nchw = nchw.flatten(1)
        with torch.no_grad():
            output = net(nchw).numpy()
        expected = {"input": x, "output": output}
        if name in ("lab", "norm", "logarithm"):
            expected["probabilities"] = softmax(output)
        write_expected(folder / f"{name}.expected.safetensors", expected)
        # More than one sample, or `torch.export` takes the batch for a constant.
        export_torch(net, nchw, folder, name)
        if name in ("ceil", "logarithm", "rows"):
            continue
        state = net.state_dict()
        torch.save(state, folder / f"{name}.pt")
        (folder / f"{name}.safetensors").write_bytes(safetensors.torch.save(state))
        if name == "lab":
            torch.save(state, folder / "lab.legacy.pt", _use_new_zipfile_serialization=False)
            torch.save(net, folder / "lab.module.pt")
            prefixed = {f"module.{key}": value for key, value in state.items()}
            checkpoint = {"epoch": 3, "arch": "lab", "state_dict": prefixed, "best_acc1": 0.5}
            torch.save(checkpoint, folder / "lab.checkpoint.pt")


def export_torch(net, example, folder, name):
    import torch

    axes = {"input": {0: "batch"}, "output": {0: "batch"}}
    torch.onnx.export(
        net,
        (example,),
        folder / f"{name}.torchscript.onnx",
        dynamo=False,
        input_names=["input"],
        output_names=["output"],
        dynamic_axes=axes,
    )
    program = torch.onnx.export(
        net,
        (example,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    for node in program.model.graph:
        # Contains the paths of the installed packages.
        node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)
    program.save(folder / f"{name}.dynamo.onnx", external_data=False)
    if name == "lab":
        program.save(folder / "lab.external.onnx", external_data=True)


# Refused


def make_refused(out):
    """Networks that the program cannot represent."""
    import keras
    import torch
    from keras import Input, Model, Sequential, layers

    fix_contents()
    folder = out / "refused"

    def save(name, stack):
        model = Sequential(stack, name=name)
        randomize(model, 7)
        model.save(folder / f"{name}.keras")

    start = Input((4, 5, 1))
    save("transposed", [start, layers.Conv2DTranspose(2, 3), layers.Flatten()])
    save("slope", [start, layers.LeakyReLU(), layers.Flatten()])
    save("mixed", [start, layers.Flatten(), layers.Dense(2, dtype="mixed_bfloat16")])
    x = layers.Multiply()([layers.ReLU()(start), start])
    Model(start, layers.GlobalAveragePooling2D()(x), name="gated").save(folder / "gated.keras")

    nets = load_nets()
    torch.manual_seed(0)
    arguments = {"dynamo": False, "input_names": ["input"], "output_names": ["output"]}
    example = torch.zeros(1, 1, 4, 5)
    torch.onnx.export(nets.Upsampling().eval(), (example,), folder / "transposed.onnx", **arguments)
    half = nets.Lab().eval().half()
    example = torch.zeros(1, 1, 13, 11).half()
    torch.onnx.export(half, (example,), folder / "float16.onnx", **arguments)
    torch.save(half.state_dict(), folder / "float16.pt")
    example = torch.zeros(1, 2, 4, 5)
    torch.onnx.export(nets.Gated().eval(), (example,), folder / "gated.onnx", **arguments)
    for name, net in nets.refused().items():
        torch.onnx.export(net, (torch.zeros(1, 2, 6, 6),), folder / f"{name}.onnx", **arguments)
    torch.jit.save(torch.jit.script(nets.Gated().eval()), folder / "scripted.pt")


# Check


def make_check(out):
    """Compares what each file computes with what is expected, and each model with its TOML."""
    sys.path.insert(0, str(HERE.parent / "fixtures"))
    import numpy as np
    import onnx
    import onnxruntime
    import safetensors.numpy

    onnxruntime.set_default_logger_severity(4)
    for path in sorted(out.glob("*/*.onnx")):
        expected = path.parent / f"{path.name.split('.')[0]}.expected.safetensors"
        if not expected.exists():
            continue
        expected = safetensors.numpy.load_file(expected)
        onnx.checker.check_model(path, full_check=True)
        x = expected["input"]
        if path.parent.name == "torch":
            x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        try:
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            [taken] = session.get_inputs()
            x = x.reshape(len(x), -1) if len(taken.shape) == 2 else x
            [found] = session.run(None, {taken.name: x})
        except Exception as error:  # noqa: BLE001: ONNX Runtime's exceptions have no common class
            print(f"  {path.name}: ONNX Runtime refuses it: {str(error)[:160]}")
            continue
        report(path.name, found, expected["output"])
    for path in sorted(FILES.glob("*/*.toml")):
        check_toml(path, out / path.parent.name)


def report(name, found, expected):
    import numpy as np

    difference = np.abs(found - expected).max()
    print(f"  {name}: {difference:.1e}")
    assert difference < 1e-6, name


def check_toml(path, folder):
    """Builds the model of the TOML file, and gives it the parameters of the other framework."""
    import generate as fixtures
    import keras
    import numpy as np
    import safetensors.numpy
    import torch

    for name in ("Dropout", "SpatialDropout2D"):
        fixtures.OWN_LAYERS[name] = getattr(keras.layers, name)
    expected = safetensors.numpy.load_file(folder / f"{path.stem}.expected.safetensors")
    model = fixtures.build(tomllib.loads(path.read_text()), "float32")
    if folder.name == "torch":
        # Not from the safetensors file, whose tensors are in alphabetical order.
        state = torch.load(folder / f"{path.stem}.pt")
        state = {name: value.numpy() for name, value in state.items()}
        model.set_weights(from_torch(model, state))
    else:
        for name, variable in fixtures.variables(model):
            variable.assign(expected.pop(f"param/{name}"))
        assert not any(name.startswith("param/") for name in expected), path
    found = np.array(model(expected["input"], training=False))
    # PyTorch's networks mostly return logits; the models of the program end with softmax.
    wanted = expected["output"] if folder.name == "keras" else expected.get("probabilities")
    report(path.relative_to(FILES), found, expected["output"] if wanted is None else wanted)


def from_torch(model, state):
    """The tensors of a state dictionary in the order and the layout of a Keras model."""
    order = ["weight", "bias", "running_mean", "running_var"]
    modules = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    flattened, values = None, []
    for layer in model.layers:
        if type(layer).__name__ == "Flatten":
            flattened = layer.input.shape[1:]
        if not layer.weights:
            continue
        module = modules.pop(0)
        for name in order:
            value = state.get(f"{module}.{name}")
            if value is None:
                continue
            if value.ndim == 4:
                depthwise = type(layer).__name__ == "DepthwiseConv2D"
                value = value.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
            elif value.ndim == 2 and flattened:
                h, w, c = flattened
                value = value.reshape(-1, c, h, w).transpose(2, 3, 1, 0).reshape(h * w * c, -1)
                flattened = None
            elif value.ndim == 2:
                value = value.T
            values.append(value)
    assert not modules, modules
    return [value.reshape(v.shape) for value, v in zip(values, model.weights)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--out-dir", type=pathlib.Path, default=FILES, help="default: files")
    parser.add_argument("--here", action="store_true", help="run the one part in this process")
    arguments = parser.parse_args()
    if arguments.here:
        warnings.simplefilter("ignore")
        [part] = arguments.parts
        set_environment(PARTS[part])
        globals()[f"make_{part}"](arguments.out_dir)
        return 0
    for folder in ("keras", "torch", "refused"):
        (arguments.out_dir / folder).mkdir(parents=True, exist_ok=True)
    failed = []
    for part in arguments.parts:
        print(part, flush=True)
        words = [sys.executable, __file__, part, "--here", "--out-dir", arguments.out_dir]
        # tf2onnx numbers its nodes in the order of a set.
        environment = {**os.environ, "PYTHONHASHSEED": "0", "TZ": "UTC"}
        if subprocess.run(words, env=environment).returncode != 0:
            failed.append(part)
    print("\n".join(f"failed: {part}" for part in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
