#!/usr/bin/env python3
"""Exchanges networks with Keras, PyTorch and ONNX Runtime in both directions, and compares results.

    pip install -r tests/interchange/requirements.txt
    cargo build --release --bin cnn-gpu
    python tests/interchange/roundtrip.py
    python tests/interchange/roundtrip.py files                      # only the committed files
    python tests/interchange/roundtrip.py networks --count 100 --seed 2
    python tests/interchange/roundtrip.py --quick                    # without PyTorch, four random networks

- `networks`: the models of `tests/fixtures`, the preset `resnet20` and random ones (`draw.py`), every other one
  with skip connections, are trained by the program
  and exported. ONNX Runtime, PyTorch and Keras on TensorFlow, JAX and PyTorch compute the outputs,
  which are compared with Keras's in float64 for the same weights, and with `cnn-gpu predict`. Keras
  must have the optimizer's values of the run's checkpoint, and train a step further. Each of them
  then saves the network in all its formats, and the program imports these files.
- `files`: the program imports the files in `files`, and the imported networks are compared with the
  expected values. Those in `files/refused` must be refused in one line.

Prints a table of the comparisons, and each one that differs. The exit code is 1 if any does.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import argparse
import collections
import json
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib
import warnings

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FILES = HERE / "files"
FIXTURES = HERE.parent / "fixtures"
sys.path.insert(0, str(FIXTURES))

import draw  # noqa: E402: after the path
import foreign  # noqa: E402
import generate  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import safetensors  # noqa: E402
import safetensors.numpy  # noqa: E402
import trained  # noqa: E402

BACKENDS = ["tensorflow", "torch", "jax"]
# Allowed differences relative to max(1, |y|), on top of Keras's own error in float32.
TOLERANCE = {"ONNX": 1e-6, "others": 1e-5}
NOISE = 4
IMAGES = 4
ALIGNMENT = 64  # of parameters in a checkpoint, in floats
# What trains the fixtures' models.
OPTIMIZERS = [
    {"name": "adam", "learning_rate": 0.001},
    {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9, "nesterov": True},
    {"name": "rmsprop", "learning_rate": 0.001, "momentum": 0.5},
    {"name": "adamw", "learning_rate": 0.001, "ema_momentum": 0.9},
    {"name": "sgd", "learning_rate": 0.01},
    {"name": "adam", "learning_rate": 0.001, "clipnorm": 1.0, "weight_decay": 0.01},
]


class Report:
    """The comparisons by kind, with the largest difference of each."""

    def __init__(self):
        self.rows = collections.defaultdict(lambda: {"good": 0, "refused": 0, "bad": 0, "worst": 0.0})
        self.bad = 0

    def good(self, kind, difference=0.0):
        row = self.rows[kind]
        row["good"] += 1
        row["worst"] = max(row["worst"], difference)

    def refused(self, kind, message=""):
        self.rows[kind]["refused"] += 1
        if message:
            self.rows[kind].setdefault("messages", collections.Counter())[message[:200]] += 1

    def differs(self, kind, case, message):
        self.rows[kind]["bad"] += 1
        self.bad += 1
        print(f"DIFFERS {kind}: {case}: {message}", flush=True)

    def compare(self, kind, case, found, expected, allowed):
        """Compares arrays; `allowed` is a number or an array, relative to max(1, |expected|)."""
        if found.shape != expected.shape:
            self.differs(kind, case, f"shape {found.shape} instead of {expected.shape}")
            return
        distance = np.abs(found.astype(np.float64) - expected)
        relative = distance / np.maximum(1, np.abs(expected))
        excess = np.max(relative - allowed, initial=-1.0)
        if np.isfinite(found).all() and excess <= 0:
            self.good(kind, float(relative.max(initial=0)))
        else:
            self.differs(kind, case, f"by {relative.max():.2e}, allowed {np.max(allowed):.1e}")

    def table(self):
        lines = [f"{'comparison':44} {'good':>5} {'refused':>8} {'differ':>7}  largest"]
        for kind, row in sorted(self.rows.items()):
            counts = f"{row['good']:5} {row['refused']:8} {row['bad']:7}"
            lines.append(f"{kind:44} {counts}  {row['worst']:.1e}")
            for message, count in row.get("messages", {}).items():
                lines.append(f"    {count} x {message}")
        return "\n".join(lines)


# The program


def program(arguments, *words):
    """Runs the program. Returns its output, or its error as an exception."""
    words = [arguments.program, *words]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise Refused(done)
    return done.stdout


class Refused(Exception):
    """The program ended with an error."""

    def __init__(self, done):
        lines = [line for line in done.stderr.splitlines() if not line.startswith(("note", "warn"))]
        # Without the path of the file.
        super().__init__("\n".join(re.sub(r"^error: /\S*/", "error: ", line) for line in lines))
        self.is_one_line = done.returncode == 1 and len(lines) == 1


def predict(arguments, path, case):
    """The program's outputs for the case's images."""
    words = ["predict", path, case.folder / "images.idx", "--format", "json", "--backend", "cpu"]
    lines = program(arguments, *words).splitlines()
    outputs = np.array([json.loads(line)["probabilities"] for line in lines])
    # A single sigmoid has two classes.
    return outputs[:, 1:] if case.width == 1 else outputs


def read_tensors(path):
    """The tensors of a file of the program, and its metadata as TOML."""
    with safetensors.safe_open(path, "np") as file:
        metadata = file.metadata() or {}
    text = metadata.get("cnn_gpu", "")
    return safetensors.numpy.load_file(path), tomllib.loads(text)


def keras_model(description, parameters, floatx):
    """The model in Keras with the program's parameters."""
    model = generate.build(generate.for_keras(description), floatx)
    for name, variable in generate.variables(model):
        variable.assign(parameters[name])
    return model


def outputs(description, parameters, x, floatx):
    model = keras_model(description, parameters, floatx)
    return np.array(model(x.astype(floatx), training=False))


def arenas(optimizer):
    """Which moments an optimizer has; a checkpoint holds zeros in place of the others."""
    found = {"adam": ["m", "v"], "adamw": ["m", "v"], "rmsprop": ["v"], "sgd": []}[optimizer["name"]]
    found = found + ["m"] * (optimizer.get("momentum", 0) != 0)
    return found + ["average"] * ("ema_momentum" in optimizer)


def checkpoint_values(case):
    """The checkpoint's moments, parameter by parameter, in Keras's order, and its step."""
    path = case.path / "checkpoint.safetensors"
    tensors = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, "np") as file:
        step = json.loads(file.metadata()["checkpoint"])["step"]
    result = {"step": np.array(step)}
    trainable = {name: v for name, v in generate.variables(case.keras) if v.trainable}
    # The program's order is that of its layers, which is not Keras's in a functional model.
    order = generate.layer_names(case.description)
    in_order = sorted(trainable, key=lambda name: order.index(name.split("/")[0]))
    for arena in arenas(case.run["optimizer"]):
        offset, values = 0, {}
        for name in in_order:
            shape = trainable[name].shape
            size = int(np.prod(shape))
            values[name] = tensors[arena][offset : offset + size].reshape(shape)
            offset += -(-size // ALIGNMENT) * ALIGNMENT
        result |= {f"{arena}/{i}": values[name] for i, name in enumerate(trainable)}
    return result


# Networks


class Case:
    """A network trained by the program, and what it computes."""

    def __init__(self, arguments, name, run):
        self.name, self.run = name, run
        self.folder = arguments.folder / name
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "again").mkdir(parents=True)
        trained.prepare(run, self.folder)
        self.width = run["outputs"]
        # A run without `train`'s callbacks.
        words = trained.command(run, arguments.program, "cpu", self.folder)
        program(arguments, *words[1:])
        self.path = self.folder / "run"
        self.parameters, header = read_tensors(self.path / "model.safetensors")
        self.description = header["model"]
        rng = np.random.RandomState(run["seed"])
        pixels = rng.randint(256, size=(IMAGES, *run["model"]["input_shape"])).astype(np.uint8)
        self.x = pixels.astype(np.float32) / np.float32(255)
        header = struct.pack(">BBBB4I", 0, 0, 8, 4, *pixels.shape)
        (self.folder / "images.idx").write_bytes(header + pixels.tobytes())
        np.savez(self.folder / "images.npz", x=self.x)
        np.savez(self.folder / "labels.npz", y=self.labels(rng))
        self.double = outputs(self.description, self.parameters, self.x, "float64")
        single = outputs(self.description, self.parameters, self.x, "float32")
        if arguments.break_:
            self.double = self.double + 1e-4
        scale = np.maximum(1, np.abs(self.double))
        self.noise = 0.0 if arguments.break_ else float((np.abs(single - self.double) / scale).max())
        assert np.isfinite(self.double).all() and np.abs(self.double).max() < 1e6, "not finite"

    def labels(self, rng):
        """Labels as the loss of the exported Keras model takes them."""
        loss = self.run["model"].get("loss", {}).get("name", "categorical_crossentropy")
        smoothed = "label_smoothing" in self.run["model"].get("loss", {})
        indices = rng.randint(max(self.width, 2), size=IMAGES)
        if self.width == 1:
            return indices[:, None].astype(np.float32)
        if loss.endswith("categorical_crossentropy") and not smoothed:
            return indices
        return np.eye(self.width, dtype=np.float32)[indices]

    def allowed(self, kind):
        return TOLERANCE[kind] + NOISE * self.noise

    def has(self, kind, **arguments):
        """Whether it has such a layer."""
        return any(
            layer["type"] == kind and all(layer.get(k) == v for k, v in arguments.items())
            for layer in self.description["layers"]
        )


def fixture_runs():
    """Runs of the fixtures' models, but for the large one."""
    paths = sorted(FIXTURES.glob("*.toml"))
    for i, path in enumerate(path for path in paths if path.stem != "mnist_cnn"):
        description = tomllib.loads(path.read_text())
        units = [l["units"] for l in description["layers"] if l["type"] == "Dense"][-1]
        yield path.stem, a_run(description, units, OPTIMIZERS[i % len(OPTIMIZERS)], i)


def with_skips(rng, description):
    """The model, in which up to three joins take earlier outputs too."""
    names = generate.layer_names(description)
    layers = [{**layer, "name": name} for layer, name in zip(description["layers"], names)]
    for number in range(rng.randint(1, 3)):
        description = {**description, "layers": layers}
        model = generate.build(generate.for_keras(description), "float32")
        shapes = [("input", model.inputs[0].shape)]
        shapes += [(layer["name"], model.get_layer(layer["name"]).output.shape) for layer in layers]
        # Not behind the last layer, whose outputs the loss takes.
        pairs = [
            (earlier, later, kind)
            for later in range(1, len(layers))
            for earlier in range(later)
            for kind in ("Add", "Concatenate")
            if (shapes[earlier][1] == shapes[later][1] if kind == "Add" else
                shapes[earlier][1][:-1] == shapes[later][1][:-1])
        ]
        if not pairs:
            break
        earlier, later, kind = rng.choice(pairs)
        sources = [shapes[earlier][0], shapes[later][0]]
        sources += rng.sample(sources, rng.randint(0, 1))
        rng.shuffle(sources)
        behind = layers[later]
        if "from" in behind:
            behind["from"] = [f"join_{number}" if s == shapes[later][0] else s for s in behind["from"]]
        layers.insert(later, {"type": kind, "name": f"join_{number}", "from": sources})
    return {**description, "layers": layers}


def resnet(arguments):
    """A run of the preset, of a few pictures."""
    description = tomllib.loads(program(arguments, "summary", "resnet20", "--toml"))
    return {**a_run(description, 10, OPTIMIZERS[0], 1), "samples": 4, "batch": 2}


def a_run(description, width, optimizer, seed):
    common = {"flags": {"use_ema": True} if "ema_momentum" in optimizer else {}}
    common |= {"epochs": 1, "batch": 4, "samples": 12, "seed": seed}
    return {"model": description, "outputs": width, "optimizer": optimizer, **common}


def drawn_run(seed, number, attempt):
    rng = random.Random(f"{seed}/{number}/{attempt}")
    run = draw.run(rng)
    if number % 2:
        run["model"] = with_skips(rng, run["model"])
    return a_run(run["model"], run["outputs"], run["optimizer"], run["seed"])


def cases(arguments):
    """The cases: the fixtures' models and random ones; those that Keras rejects are drawn anew."""
    if arguments.only is None and not arguments.quick:
        for name, run in fixture_runs():
            yield Case(arguments, name, run)
    if arguments.only is None:
        yield Case(arguments, "resnet20", resnet(arguments))
    numbers = range(arguments.count) if arguments.only is None else [arguments.only]
    for number in numbers:
        for attempt in range(50):
            try:
                yield Case(arguments, f"drawn_{number}", drawn_run(arguments.seed, number, attempt))
                break
            except Refused:
                raise
            except Exception as error:  # noqa: BLE001: any error with which Keras rejects a draw
                if attempt == 49:
                    raise SystemExit(f"network {number}: Keras rejects all draws: {error}") from error


def export(arguments, report, case, kind, *words):
    """Whether the program exports the case. Only a sum pooling with padding may be refused."""
    try:
        program(arguments, "export", case.path, *words)
        return True
    except Refused as error:
        if kind == "Keras" and case.has("SumPooling2D", padding="same"):
            report.refused(f"export to {kind}", str(error))
        else:
            report.differs(f"export to {kind}", case.name, f"the program: {error}")
        return False


def check_onnx(arguments, report, case):
    """Exports ONNX in both layouts, checks it, runs it, and imports it again."""
    for layout, flags in (("NHWC", []), ("NCHW", ["--channels-first"])):
        path = case.folder / f"model.{layout}.onnx"
        if not export(arguments, report, case, "ONNX", "--onnx", path, *flags):
            continue
        kind = f"ours in ONNX Runtime, {layout}"
        try:
            onnx.checker.check_model(path, full_check=True)
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            x = foreign.nchw(case.x) if layout == "NCHW" else case.x
            [found] = session.run(None, {session.get_inputs()[0].name: x})
        except Exception as error:  # noqa: BLE001: ONNX's exceptions have no common class
            report.differs(kind, case.name, str(error)[:500])
            continue
        report.compare(kind, case.name, found, case.double, case.allowed("ONNX"))
        check_import(arguments, report, case, path, f"ours from ONNX, {layout}")


def check_import(arguments, report, case, path, kind, model=None, refusable=()):
    """Imports a file of the case's network, and compares the program's outputs.

    `refusable` are words, one of which a permitted refusal contains.
    """
    out = case.folder / f"imported_{path.name}"
    words = ["import", path, "--out", out] + (["--model", model] if model else [])
    try:
        program(arguments, *words)
        found = predict(arguments, out, case)
    except Refused as error:
        if any(word in str(error) for word in refusable):
            report.refused(kind, str(error))
        else:
            report.differs(kind, case.name, f"the program: {error}")
        return None
    report.compare(kind, case.name, found, case.double, case.allowed("others"))
    return out


def jobs_of(arguments, report, case):
    """Exports for Keras and PyTorch. Returns the work of the other processes, by backend."""
    jobs = {backend: [] for backend in arguments.backends}
    images, labels = str(case.folder / "images.npz"), str(case.folder / "labels.npz")
    again = str(case.folder / "again")
    path = case.folder / "model.keras"
    if export(arguments, report, case, "Keras", "--keras", path):
        for backend in arguments.backends:
            out = str(case.folder / f"keras.{backend}.npz")
            job = {"kind": "keras_file", "path": str(path), "images": images, "out": out}
            jobs[backend].append({**job, "labels": labels})
        for backend in arguments.backends:
            job = {"kind": "keras_again", "path": str(path), "images": images, "folder": again}
            jobs[backend].append({**job, "out": str(case.folder / f"again.{backend}.npz")})
    folder = case.folder / "torch"
    if export(arguments, report, case, "PyTorch", "--torch", folder) and "torch" in jobs:
        out = str(case.folder / "torch.npz")
        job = {"kind": "torch_module", "folder": str(folder), "images": images, "again": again}
        jobs["torch"].append({**job, "out": out})
    return jobs


def work(arguments, jobs):
    """Runs the jobs in a process for each backend."""
    for backend, list_of in jobs.items():
        path = arguments.folder / f"jobs.{backend}.json"
        path.write_text(json.dumps(list_of))
        log = arguments.folder / f"log.{backend}.txt"
        with log.open("w") as file:
            words = [sys.executable, HERE / "foreign.py", backend, path]
            done = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            print("".join(log.read_text().splitlines(True)[-20:]))
            raise SystemExit(f"foreign.py {backend}: exit code {done.returncode}")


def result(path):
    return dict(np.load(path)) if path.exists() else None


def averages_wrongly(case):
    """Whether Keras on PyTorch computes an average pooling of this case wrongly.

    With uneven padding it repeats the border and averages over it (Keras 3.15.1). For a window of 2
    that makes no difference.
    """
    for layer in case.keras.layers:
        if type(layer).__name__ == "AveragePooling2D" and layer.padding == "same":
            pads = generate.same_padding(layer.input.shape[1:3], layer.pool_size, layer.strides)
            if any(before != after for before, after in pads):
                return True
    return False


def check_keras(arguments, report, case):
    """Compares what Keras computed and loaded."""
    expected = checkpoint_values(case)
    for backend in arguments.backends:
        found = result(case.folder / f"keras.{backend}.npz")
        if found is None:
            continue
        kind = f"ours in Keras on {backend}"
        if "error" in found:
            report.differs(kind, case.name, found["error"])
            continue
        if backend == "torch" and averages_wrongly(case):
            report.refused(f"{kind}, known to be wrong")
        else:
            report.compare(kind, case.name, found["output"], case.double, case.allowed("others"))
        kind = f"optimizer in Keras on {backend}"
        names = {key for key in found if key.split("/")[0] in ("step", "m", "v", "average")}
        if names != set(expected):
            report.differs(kind, case.name, f"{sorted(names)} instead of {sorted(expected)}")
            continue
        wrong = [name for name in expected if not np.array_equal(found[name], expected[name])]
        if wrong:
            report.differs(kind, case.name, f"other values of {', '.join(sorted(wrong))}")
        else:
            report.good(kind)


def check_again(arguments, report, case):
    """Imports what Keras and PyTorch saved, and the program's own files."""
    model = case.folder / "model.toml"
    for path in sorted((case.folder / "again").iterdir()):
        *_, last = path.name.split(".", 1)
        if path.suffix == ".onnx":
            # Exporters may write graphs that the program's layers do not compute.
            kind, options = f"ONNX from {path.stem}", {"refusable": arguments.refusable}
        elif path.suffix == ".pt":
            # Files do not tell in which order a network with skip connections flattens.
            words = ["in the order of PyTorch's flattening", "are joined behind a flattening"]
            kind, options = f"PyTorch's {last}", {"model": model, "refusable": words}
        else:
            kind = f"Keras's {last}"
            options = {"model": model} if last == "weights.h5" else {}
        out = check_import(arguments, report, case, path, kind, **options)
        if out and path.suffix == ".keras":
            check_moments(report, case, out)
    ours = {
        "ours from PyTorch's safetensors": (case.folder / "torch/weights.safetensors", model),
        "ours from Keras": (case.folder / "model.keras", None),
    }
    for kind, (path, model) in ours.items():
        if path.exists():
            check_import(arguments, report, case, path, kind, model)


def check_moments(report, case, out):
    """Compares the moments of an imported `.keras` file with the run's."""
    kind = "moments from Keras"
    expected = checkpoint_values(case)
    path = out / "optimizer.safetensors"
    if not path.exists():
        if any(key.startswith(("m/", "v/")) for key in expected):
            report.differs(kind, case.name, "not imported")
        return
    tensors, header = read_tensors(path)
    names = [name for name, v in generate.variables(case.keras) if v.trainable]
    wrong = [] if header["step"] == expected["step"] else ["step"]
    for i, name in enumerate(names):
        for arena in ("m", "v"):
            theirs, ours = tensors.get(f"{arena}/{name}"), expected.get(f"{arena}/{i}")
            same = (theirs is None) == (ours is None)
            if not same or (ours is not None and not np.array_equal(theirs, ours)):
                wrong.append(f"{arena}/{name}")
    if wrong:
        report.differs(kind, case.name, f"other values of {', '.join(wrong)}")
    else:
        report.good(kind)


def networks(arguments, report):
    jobs = {backend: [] for backend in arguments.backends}
    checked = []
    for case in cases(arguments):
        found = predict(arguments, case.path, case)
        report.compare("cnn-gpu predict", case.name, found, case.double, case.allowed("others"))
        check_onnx(arguments, report, case)
        for backend, list_of in jobs_of(arguments, report, case).items():
            jobs[backend] += list_of
        checked.append(case)
    work(arguments, jobs)
    for case in checked:
        case.keras = keras_model(case.description, case.parameters, "float32")
        check_keras(arguments, report, case)
        found = result(case.folder / "torch.npz")
        if found is not None:
            kind = "ours in PyTorch"
            if "error" in found:
                report.differs(kind, case.name, found["error"])
            else:
                report.compare(kind, case.name, found["output"], case.double, case.allowed("others"))
        check_again(arguments, report, case)


# Files


def files(arguments, report):
    """Imports the committed files."""
    for path in sorted(FILES.glob("*/*")):
        name = path.relative_to(FILES)
        if path.suffix in (".toml", ".json", ".data") or ".expected." in path.name:
            continue
        out = arguments.folder / f"file_{path.parent.name}_{path.name}"
        shutil.rmtree(out, ignore_errors=True)
        words = ["import", path, "--out", out]
        stem = path.name.split(".")[0]
        needs_model = path.suffix in (".pt", ".safetensors") or path.name.endswith(".weights.h5")
        if needs_model and path.parent.name != "refused":
            words += ["--model", path.parent / f"{stem}.toml"]
        elif needs_model:
            words += ["--model", FILES / "torch/lab.toml"]
        try:
            program(arguments, *words)
        except Refused as error:
            is_expected = path.parent.name == "refused" and error.is_one_line
            if is_expected:
                report.refused("files to be refused", str(error))
            else:
                report.differs("committed files", name, f"the program: {error}")
            continue
        if path.parent.name == "refused":
            report.differs("files to be refused", name, "was imported")
            continue
        expected = safetensors.numpy.load_file(path.parent / f"{stem}.expected.safetensors")
        check_file(report, name, out, expected)


def check_file(report, name, out, expected):
    """Compares an imported file with what its framework computed.

    If the file's network returns logits, the imported one may end with a softmax.
    """
    parameters, header = read_tensors(out / "model.safetensors")
    found = outputs(header["model"], parameters, expected["input"], "float64")
    sums_to_one = "probabilities" in expected and np.allclose(found.sum(axis=1), 1, atol=1e-5)
    wanted = expected["probabilities" if sums_to_one else "output"]
    report.compare("committed files", name, found, wanted, 1e-6)
    if name.name.endswith(".keras") and "step" in expected and "keras2" not in name.name:
        check_file_moments(report, name, out, expected)


def check_file_moments(report, name, out, expected):
    wanted = {key: v for key, v in expected.items() if key.startswith(("m/", "v/"))}
    path = out / "optimizer.safetensors"
    if not path.exists():
        if wanted:
            report.differs("committed files, moments", name, "not imported")
        return
    tensors, header = read_tensors(path)
    same = tensors.keys() == wanted.keys() and header["step"] == expected["step"][0]
    if same and all(np.array_equal(tensors[key], value) for key, value in wanted.items()):
        report.good("committed files, moments")
    else:
        report.differs("committed files, moments", name, "other values")


PARTS = {"files": files, "networks": networks}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/cnn-gpu")
    parser.add_argument("--seed", type=int, default=1, help="seed of the draws (1)")
    parser.add_argument("--count", type=int, help="number of random networks (50; 4 with --quick)")
    parser.add_argument("--only", type=int, help="check only this random network")
    parser.add_argument(
        "--break",
        dest="break_",
        action="store_true",
        help="falsify the expected outputs, which must be detected (exit code 1)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="without PyTorch and the models of tests/fixtures"
    )
    parser.add_argument("--folder", type=pathlib.Path, help="keep the files of the cases here")
    parser.add_argument(
        "--refusable",
        nargs="*",
        default=["operator", "node"],
        help="words, one of which a refusal of another exporter's ONNX file contains",
    )
    arguments = parser.parse_args()
    arguments.backends = [b for b in BACKENDS if not (arguments.quick and b == "torch")]
    if arguments.count is None:
        arguments.count = 4 if arguments.quick else 50
    for name in ("Dropout", "SpatialDropout2D"):
        generate.OWN_LAYERS[name] = getattr(keras.layers, name)
    warnings.simplefilter("ignore")
    onnxruntime.set_default_logger_severity(4)
    keras.config.disable_interactive_logging()
    print(generate.prepare_tensorflow(), f"onnxruntime {onnxruntime.__version__}", sep=", ")
    print(program(arguments, "--version").strip(), flush=True)
    report = Report()
    with tempfile.TemporaryDirectory() as temporary:
        arguments.folder = arguments.folder or pathlib.Path(temporary)
        arguments.folder.mkdir(parents=True, exist_ok=True)
        for part in arguments.parts:
            PARTS[part](arguments, report)
    print(f"\n{report.table()}\n")
    print("verdict: FAIL" if report.bad else "verdict: pass")
    return 1 if report.bad else 0


if __name__ == "__main__":
    sys.exit(main())
