#!/usr/bin/env bash
# torch.onnx of PyTorch 2.15.0 silently drops `divisor_override` of avg_pool2d, with `dynamo=True` and without.
#
# The guess was that the argument is exported, as a factor behind AveragePool, or refused: with
# divisor_override=1, the pool is a sum. Both exporters write AveragePool alone, whose mean over a window of 2x2
# is a quarter of what PyTorch computes; nothing warns. A product with the window's size instead,
# `avg_pool2d(x, 2) * 4`, is exported right.
#
# Exits non-zero if the behaviour changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxscript==0.7.2
cd "$folder"
venv/bin/python - <<'PYTHON'
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

warnings.simplefilter("ignore")
onnxruntime.set_default_logger_severity(3)


class Product(nn.Module):
    """The sum as a mean and a product."""

    def forward(self, x):
        return nn.functional.avg_pool2d(x, 2) * 4


def ratio(net, dynamo):
    """What ONNX Runtime computes of the exported network, divided by what PyTorch does."""
    x = torch.rand(2, 3, 6, 6) + 0.5
    path = f"{type(net).__name__}.{dynamo}.onnx"
    torch.onnx.export(net.eval(), (x,), path, dynamo=dynamo, verbose=False)
    operators = [node.op_type for node in onnx.load(path).graph.node]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [found] = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    ratios = found / net(x).numpy()
    assert np.ptp(ratios) < 1e-5
    print(f"{type(net).__name__}, dynamo {dynamo}: {operators}, {ratios.mean():.3f} of PyTorch's output")
    return round(float(ratios.mean()), 3)


torch.manual_seed(0)
print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}")
for dynamo in True, False:
    assert ratio(Product(), dynamo) == 1
    assert ratio(nn.AvgPool2d(2, divisor_override=1), dynamo) == 0.25, "the behaviour has changed"
PYTHON
