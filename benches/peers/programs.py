"""The programs that `compare.py` can run: cnn-gpu and the others, each as a `Program`.

Running one gives a dictionary: program, version, device, train_images, warm_up_seconds,
epoch_seconds, images_per_second, evaluate_images_per_second, test_accuracy,
peak_bytes. A program that does not train has none of the rates of training and no accuracy.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from networks import NETWORKS, toml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BURN = HERE / "burn" / "target" / "release" / ("burn-cnn" + ".exe" * (os.name == "nt"))
PYTHON_PEERS = {
    "python": HERE / "python_cnn.py",
    "keras": HERE / "keras_cnn.py",
    "pytorch": HERE / "pytorch_cnn.py",
    "onnxruntime": HERE / "onnxruntime_cnn.py",
}
BUILD_BURN = "cargo build --release --manifest-path benches/peers/burn/Cargo.toml"


class Failed(Exception):
    """A program ended without a result; the message is one line."""


@dataclass
class Work:
    """The task of every program, and the folder for its files."""

    # The folder of MNIST, or an .npz file.
    data_dir: str
    network: str
    epochs: int
    batch_size: int
    limit: int
    slow_limit: int
    timeout: float
    folder: pathlib.Path

    def is_mnist(self):
        """Whether the network reads MNIST."""
        return NETWORKS[self.network].mnist

    def environment(self):
        """The caches of drivers and tuners, empty at first and shared by all rounds."""
        caches = {"XDG_CACHE_HOME": str(self.folder), "MESA_SHADER_CACHE_DIR": str(self.folder)}
        return os.environ | caches | {"__GL_SHADER_DISK_CACHE_PATH": str(self.folder)}


@dataclass
class Program:
    """One way to train the model."""

    name: str
    command: list
    # What it is compared with: cnn-gpu on "cpu" or "gpu".
    path: str
    ours: bool = False
    # Trains on --slow-limit images; programs other than cnn-gpu also evaluate on as many.
    slow: bool = False

    def run(self, work):
        """Trains and evaluates once."""
        if self.ours:
            return run_ours(self, work)
        if self.name.startswith("burn"):
            tested = ["--data-dir", work.data_dir, "--test-limit", str(work.slow_limit)]
        else:
            tested = ["--data-dir", work.data_dir, "--network", work.network]
        return with_peak(self.command + flags(self, work) + tested, work)


def flags(program, work):
    """The common arguments of all programs."""
    limit = work.slow_limit if program.slow else work.limit
    return [
        *("--limit", str(limit)),
        *("--epochs", str(work.epochs), "--batch-size", str(work.batch_size)),
    ]


def run_ours(program, work):
    """Calls cnn-gpu three times: for the first step, the epochs and the evaluation."""
    warm_up = first_line_seconds(one_step(program, work), work)
    trained = with_peak(train(program, work, "run", *flags(program, work)), work)
    run = work.folder / "run"
    data = ["--data-dir", work.data_dir] if work.is_mnist() else []
    scores = last_json(ours(program, "evaluate", run, *data), work)
    return {
        "program": program.name,
        "version": trained["version"],
        "device": trained["adapter"],
        "batch_size": trained["batch_size"],
        "train_images": trained["train_images"],
        "warm_up_seconds": warm_up,
        "epoch_seconds": trained["epoch_seconds"],
        "images_per_second": trained["train_images"] / trained["epoch_seconds"][-1],
        "evaluate_images_per_second": scores["images"] / scores["seconds"],
        "test_accuracy": trained["test_accuracy"],
        "peak_bytes": trained["peak_bytes"],
    }


def ours(program, verb, *arguments):
    """A call of cnn-gpu."""
    binary, *device = program.command
    return [binary, verb, *map(str, arguments), *device, "--format", "json"]


def train(program, work, name, *arguments):
    """A call of `cnn-gpu train` into a new folder."""
    out = work.folder / name
    shutil.rmtree(out, ignore_errors=True)
    if work.is_mnist():
        data = ["--dataset", "mnist", *(["--data-dir", work.data_dir] if work.data_dir else [])]
    else:
        model = work.folder / f"{work.network}.toml"
        model.write_text(toml(work.network))
        data = ["--dataset", f"npz:{work.data_dir}", "--model", model]
    return ours(program, "train", *data, "--out", out, *arguments)


def one_step(program, work):
    """A call of `cnn-gpu train` for a single step."""
    batch = str(work.batch_size)
    steps = ["--epochs", "1", "--limit", batch, "--batch-size", batch]
    return train(program, work, "step", *steps)


def first_line_seconds(command, work):
    """Seconds from the start of `command` to its first line, which reports its first epoch."""
    started = time.perf_counter()
    with start(command, work, subprocess.DEVNULL) as process:
        watchdog = threading.Timer(work.timeout, process.kill)
        watchdog.start()
        process.stdout.readline()
        seconds = time.perf_counter() - started
        process.communicate()
        watchdog.cancel()
    if process.returncode != 0:
        raise Failed(f"training a single step failed with exit code {process.returncode}")
    return seconds


def with_peak(command, work):
    """As `last_json`, with the peak resident memory of the process; `None` where it is unknown."""
    file = work.folder / "peak"
    file.unlink(missing_ok=True)
    result = last_json([sys.executable, HERE / "resident.py", file, *command], work)
    return result | {"peak_bytes": int(file.read_text()) if file.exists() else None}


def last_json(command, work, environment=None):
    """Runs `command` and returns the last line of its output, which must be JSON."""
    with start(command, work, subprocess.PIPE, environment) as process:
        try:
            output, errors = process.communicate(timeout=work.timeout)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise Failed(f"took more than {work.timeout:.0f} s (--timeout)") from None
    if process.returncode != 0:
        raise Failed(last_line(errors) or f"failed with exit code {process.returncode}")
    try:
        return json.loads(last_line(output))
    except ValueError:
        raise Failed(f"expected a JSON line, found {last_line(output)!r}") from None


def start(command, work, errors, environment=None):
    """Starts `command` in the comparison's folder."""
    return subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        cwd=work.folder,
        env=environment or work.environment(),
    )


def last_line(text):
    """The last non-empty line."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def find_ours(binary):
    """cnn-gpu's CPU path, and its GPU path if there is an adapter; or why they are missing."""
    built = ROOT / "target" / "release" / ("cnn-gpu" + ".exe" * (os.name == "nt"))
    binary = binary or (str(built) if built.exists() else shutil.which("cnn-gpu"))
    command = [binary or str(built), "devices", "--format", "json"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return [], {"cnn-gpu": f"{error}; build it with: cargo build --release, or pass --program"}
    binary = str(pathlib.Path(binary).resolve())
    programs = [Program("cnn-gpu cpu", [binary, "--backend", "cpu"], "cpu", ours=True)]
    adapters = json.loads(listed.stdout)["adapters"]
    if not adapters:
        return programs, {"cnn-gpu on a GPU": "no adapter found: install a Vulkan driver"}
    best = min(adapters, key=lambda adapter: adapter["software"])
    device = [f"--backend={best['backend']}", f"--adapter={best['index']}"]
    name, slow = f"cnn-gpu {best['backend']}", best["software"]
    return [*programs, Program(name, [binary, *device], "gpu", ours=True, slow=slow)], {}


def find_python(python, network):
    """The Python package, Keras, PyTorch and ONNX Runtime, if `python` has them."""
    programs, missing = [], {}
    for name, script in PYTHON_PEERS.items():
        variants, reason = list_variants([python, str(script), "--network", network])
        if reason:
            missing[name] = f"{reason}, or pass --python"
        for variant in variants:
            path = "gpu" if variant.startswith("cuda") else "cpu"
            command = [python, str(script), "--variant", variant]
            programs.append(Program(f"{name} {variant}", command, path))
    return programs, missing


def find_burn(network):
    """burn, if its program was built; it has only `mnist-cnn`."""
    if not NETWORKS[network].mnist:
        return [], {}
    if not BURN.exists():
        return [], {"burn": f"not built; build it with: {BUILD_BURN}"}
    variants, reason = list_variants([str(BURN)])
    programs = []
    for variant in variants:
        path = "gpu" if variant == "wgpu" else "cpu"
        command = [str(BURN), "--variant", variant]
        programs.append(Program(f"burn {variant}", command, path, slow=True))
    return programs, {"burn": reason} if reason else {}


def list_variants(command):
    """The output of a program's `--list`: its variants, or why there are none."""
    try:
        listed = subprocess.run([*command, "--list"], capture_output=True, text=True)
        if listed.returncode == 0:
            return json.loads(last_line(listed.stdout))["variants"], None
        return [], last_line(listed.stderr).removeprefix("error: ")
    except (OSError, ValueError, KeyError) as error:
        return [], str(error)


def find_all(binary, python, network):
    """All programs that can be run, cnn-gpu first, and the missing ones with the reason."""
    found = [find_ours(binary), find_python(python or sys.executable, network), find_burn(network)]
    programs = [program for some, _ in found for program in some]
    return programs, {name: why for _, missing in found for name, why in missing.items()}


def mnist_folder(program, work):
    """The folder where cnn-gpu finds MNIST, downloading it if necessary."""
    # The data set may be in the user's cache, which the comparison does not use otherwise.
    return last_json(one_step(program, work), work, os.environ)["dataset_source"]
