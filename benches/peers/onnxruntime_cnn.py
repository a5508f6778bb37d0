#!/usr/bin/env python3
"""Evaluates mnist-cnn with ONNX Runtime and prints one JSON line.

    pip install onnxruntime onnx numpy
    python3 benches/peers/onnxruntime_cnn.py --data-dir DIR --variant cpu

ONNX Runtime does not train: the weights are random, and only the time of the evaluation counts. The
session has the default optimizations, which are all of them, and a thread per core. The variants
differ in the rows of a batch: 256, as in `cnn-gpu evaluate`, and 64.
"""

import time

STARTED = time.perf_counter()

import job

VARIANTS = {"cpu": job.EVALUATE_BATCH, "cpu-batch-64": 64}


def main():
    args = job.arguments(__doc__, list(VARIANTS))
    try:
        import numpy
        import onnx
        import onnxruntime
    except ImportError as error:
        job.fail(f"{error}; install it with: pip install onnxruntime onnx numpy")
    if args.network != "mnist-cnn":
        job.fail("this program has only mnist-cnn")
    if args.list:
        return job.print_list(onnxruntime.__version__, list(VARIANTS))
    _, test = job.load(args)
    images, batch = test.images.transpose(0, 3, 1, 2), VARIANTS[args.variant]
    session = onnxruntime.InferenceSession(
        network(onnx, numpy).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    accuracy(session, images[:batch], test.labels[:batch], batch)
    warm_up = time.perf_counter() - STARTED
    accuracy(session, images, test.labels, batch)  # As with PyTorch, the second is measured.
    started = time.perf_counter()
    accuracy(session, images, test.labels, batch)
    seconds = time.perf_counter() - started
    job.print_result(
        args,
        {
            "program": f"onnxruntime {args.variant}",
            "version": onnxruntime.__version__,
            "device": "cpu",
            "train_images": 0,
            "warm_up_seconds": warm_up,
            "epoch_seconds": [],
            "evaluate_images_per_second": len(images) / seconds,
            "test_accuracy": None,
        },
    )


def network(onnx, numpy):
    """mnist-cnn without its softmax, which does not change the class; random weights."""
    helper, draws = onnx.helper, numpy.random.default_rng(1)
    nodes, weights = [], []

    def layer(op, shape, **attributes):
        """Adds an operation with a kernel and a bias, and a ReLU."""
        i, limit = len(nodes), (6 / (shape[0] + shape[1])) ** 0.5 / 3
        kernel = draws.uniform(-limit, limit, shape).astype(numpy.float32)
        outputs = shape[1] if op == "Gemm" else shape[0]
        bias = numpy.zeros(outputs, numpy.float32)
        names = [f"kernel{i}", f"bias{i}"]
        weights.extend(map(onnx.numpy_helper.from_array, (kernel, bias), names))
        add(op, names, **attributes)
        add("Relu", [])

    def add(op, inputs, **attributes):
        """Adds an operation on the last result."""
        i = len(nodes)
        nodes.append(helper.make_node(op, [f"t{i}", *inputs], [f"t{i + 1}"], **attributes))

    layer("Conv", [32, 1, 3, 3])
    add("MaxPool", [], kernel_shape=[2, 2], strides=[2, 2])
    layer("Conv", [64, 32, 3, 3])
    add("MaxPool", [], kernel_shape=[2, 2], strides=[2, 2])
    layer("Conv", [64, 64, 3, 3])
    add("Flatten", [])
    layer("Gemm", [576, 64])
    layer("Gemm", [64, 10])
    nodes.pop()  # No ReLU after the last layer.
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "mnist-cnn",
        [value("t0", onnx.TensorProto.FLOAT, ["n", 1, 28, 28])],
        [value(f"t{len(nodes)}", onnx.TensorProto.FLOAT, ["n", 10])],
        weights,
    )
    assert sum(onnx.numpy_helper.to_array(weight).size for weight in weights) == 93_322
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def accuracy(session, images, labels, batch):
    """The share of correctly classified images."""
    correct = 0
    for first in range(0, len(images), batch):
        rows = slice(first, first + batch)
        [logits] = session.run(None, {"t0": images[rows]})
        correct += (logits.argmax(1) == labels[rows]).sum()
    return correct / len(images)


if __name__ == "__main__":
    main()
