"""Checks the modules that `torch/export.rs` writes, and saves them for it to read:

    python tests/interchange/check_torch_export.py FOLDER

Compares their outputs in PyTorch with those of our executors and, for the fixtures, of Keras.
"""

import ast
import importlib.util
import keyword
import pathlib
import re
import sys

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from torch import nn

ROOT = pathlib.Path(__file__).parents[2]
FIXTURES = ROOT / "tests/fixtures"
TOLERANCE = 1e-6


def check_reserved():
    """The names that no layer may have are listed."""
    source = (ROOT / "src/interchange/torch/attributes.rs").read_text()
    listed = set(re.findall(r'^    "(\w+)",$', source, re.MULTILINE))
    needed = {name for name in dir(nn.Module()) if not name.startswith("_")} | set(keyword.kwlist)
    assert listed >= needed, needed - listed


def module(folder):
    path = folder / "model.py"
    spec = importlib.util.spec_from_file_location(folder.name, path)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[folder.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def check_source(folder):
    """Everything that is imported or defined is used."""
    source = (folder / "model.py").read_text()
    tree = ast.parse(source)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                name = alias.asname or alias.name
                assert name in used, f"{name} is imported without need"
        if isinstance(node, ast.FunctionDef):
            assert node.name in used, f"{node.name} is never called"
    return max(map(len, source.splitlines())), len(source.splitlines())


class Recorder:
    """Records what softmax and sigmoid were last called with."""

    def __enter__(self):
        self.last = None
        self.originals = torch.nn.functional.softmax, torch.sigmoid

        def softmax(x, dim):
            self.last = x
            return self.originals[0](x, dim=dim)

        def sigmoid(x):
            self.last = x
            return self.originals[1](x)

        torch.nn.functional.softmax, torch.sigmoid = softmax, sigmoid
        return self

    def __exit__(self, *_):
        torch.nn.functional.softmax, torch.sigmoid = self.originals


def ends_with_probabilities(folder):
    *_, last, _ = re.findall(r"^        (x = .*|return x)", (folder / "model.py").read_text(), re.MULTILINE)
    return "softmax(" in last or "sigmoid(" in last


def error(y, wanted):
    # A single sigmoid is the probability of class 1.
    wanted = wanted[:, -1:] if y.shape[1] == 1 else wanted
    assert y.shape == wanted.shape, (y.shape, wanted.shape)
    return float(np.max(np.abs(y - wanted) / np.maximum(1, np.abs(wanted))))


def errors(folder, net):
    expected = safetensors.numpy.load_file(folder / "expected.safetensors")
    x = torch.from_numpy(expected["input"]).permute(0, 3, 1, 2)
    with torch.inference_mode(), Recorder() as recorder:
        y = net(x).numpy()
    found = {who: error(y, expected[who]) for who in ("cpu", "reference")}
    if ends_with_probabilities(folder):
        found["logits"] = error(recorder.last.numpy(), expected["logits"])
    if folder.name.startswith("fixture_"):
        keras = FIXTURES / f"{folder.name.removeprefix('fixture_')}.safetensors"
        keras = safetensors.numpy.load_file(keras)
        found["keras"] = error(y, keras.get("inference/probabilities", keras["probabilities"]))
    return found, x


def check_training(net, x):
    """A step of training runs, and updates what it should."""
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    trained = [value for value in net.parameters() if value.requires_grad]
    if trained and len(x) > 1:
        net(x).square().sum().backward()
        torch.optim.SGD(trained, lr=0.1).step()
    fixed = {name for name, value in net.named_parameters() if not value.requires_grad}
    for name, value in net.state_dict().items():
        assert name not in fixed or torch.equal(value, before[name]), name


def save(folder, net):
    """The state dict in all the ways to save it, with other names where layers are matched by shape."""
    state = net.state_dict()
    wrapped = {f"module.{name}": value for name, value in state.items()}
    torch.save(wrapped, folder / "saved.pt")
    torch.save(wrapped, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(net, folder / "whole.pt")
    trained = [value for value in net.parameters() if value.requires_grad]
    optimizer = torch.optim.Adam(trained or [torch.zeros(1, requires_grad=True)])
    for value in trained:
        value.grad = torch.ones_like(value)
    with torch.no_grad():
        copies = {name: value.clone() for name, value in wrapped.items()}
    optimizer.step()
    checkpoint = {"epoch": 3, "model": copies, "optimizer": optimizer.state_dict(), "loss": [1.0, 0.5]}
    torch.save(checkpoint, folder / "checkpoint.pt")
    layers = {}
    numbered = {}
    for name, value in copies.items():
        prefix, leaf = name.rsplit(".", 1)
        number = layers.setdefault(prefix, len(layers))
        numbered[f"layers.{number}.{leaf}"] = value.contiguous()
    safetensors.torch.save_file(numbered, folder / "numbered.safetensors")


def main():
    check_reserved()
    folder = pathlib.Path(sys.argv[1])
    worst, failures, count, widest, longest = {}, 0, 0, (0, ""), (0, "")
    for case in sorted(path.parent for path in folder.glob("*/model.py")):
        kind = case.name.split("_")[0]
        count += 1
        try:
            width, length = check_source(case)
            widest, longest = max(widest, (width, case.name)), max(longest, (length, case.name))
            loaded = module(case)
            net = loaded.load()
            assert not net.training
            found, x = errors(case, net)
            assert max(found.values()) <= TOLERANCE, found
            save(case, loaded.load())
            check_training(loaded.load(), x)
        except Exception as problem:
            failures += 1
            print(f"{case.name}: {type(problem).__name__}: {str(problem)[:300]}")
            continue
        for who, value in found.items():
            worst[kind, who] = max(worst.get((kind, who), (0, "")), (value, case.name))
    print(f"{count} networks; the longest module has {longest[0]} lines ({longest[1]}), the widest line {widest[0]} characters ({widest[1]})")
    for (kind, who), (value, name) in sorted(worst.items()):
        print(f"worst error of {kind} networks from {who}: {value:.1e} ({name})")
    sys.exit(f"{failures} failures" if failures else None)


if __name__ == "__main__":
    main()
