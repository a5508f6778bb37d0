"""Ctrl-C while something else blocks."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import cnn_gpu.keras as ours
from conftest import batches, weights_of

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows cannot send the signal to itself alone")


def interrupt_after(seconds):
    def kill():
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=kill, daemon=True).start()


def blocking(x, y, batches, release):
    """Batches, and then nothing until it is released."""
    for _ in range(batches):
        yield x[:50], y[:50]
    interrupt_after(0.3)
    release.wait(60)
    yield x[:50], y[:50]


@pytest.fixture
def release():
    event = threading.Event()
    yield event
    event.set()


def test_a_generator_that_blocks_is_left_and_the_history_kept(model, digits, release):
    (x, y), _ = digits
    before = weights_of(model)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        model.fit(blocking(x, y, 45, release), steps_per_epoch=10, epochs=9, verbose=0)
    assert time.monotonic() - started < 10
    assert model.history.epoch == [0, 1, 2, 3]
    # Also those of the unfinished epoch.
    assert model.optimizer.iterations == 45
    assert not np.array_equal(weights_of(model), before)
    # The model can be used, also while the generator still blocks.
    assert len(model.fit(x, y, verbose=0).history["loss"]) == 1


def test_a_generator_to_validate_or_evaluate_on_that_blocks_is_left(model, digits, release):
    (x, y), _ = digits
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        model.evaluate(blocking(x, y, 2, release), steps=5, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=3, verbose=0, validation_data=blocking(x, y, 8, release), validation_steps=5)
    assert time.monotonic() - started < 20
    assert model.history.epoch == [0]


def test_an_exception_of_a_callback_does_not_wait_for_a_generator(model, digits, release):
    (x, y), _ = digits

    def slow():
        for _ in range(3):
            yield x[:50], y[:50]
        release.wait(60)

    def fail(batch, logs):
        raise LookupError("a callback's")

    started = time.monotonic()
    failing = ours.callbacks.LambdaCallback(on_train_batch_end=fail)
    with pytest.raises(LookupError, match="a callback's"):
        model.fit(slow(), steps_per_epoch=10, verbose=0, callbacks=[failing])
    assert time.monotonic() - started < 10


def test_a_program_ends_although_a_generator_blocks(tmp_path):
    program = """
import os, signal, threading, time
import numpy as np
import cnn_gpu.keras as keras
model = keras.models.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
def batches():
    yield np.zeros((1, 4), "float32"), np.zeros(1)
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    time.sleep(600)
try:
    model.fit(batches(), steps_per_epoch=3, verbose=0)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_a_download_that_stalls_is_left(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("CNN_GPU_MIRRORS", f"http://127.0.0.1:{server.getsockname()[1]}/")
        monkeypatch.setenv("CNN_GPU_CACHE_DIR", str(tmp_path))
        monkeypatch.delenv("CNN_GPU_DATA_DIR", raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        interrupt_after(0.5)
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            ours.datasets.fashion_mnist.load_data()
        assert time.monotonic() - started < 5
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    # What needs no download waits for the one that was left, and works.
    monkeypatch.undo()
    (x, _), _ = ours.datasets.digits.load_data()
    assert x.shape[1:] == (28, 28)


def test_ctrl_c_ends_soon_and_keeps_the_history(model, digits):
    (x, y), _ = digits
    first = ours.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epoch or interrupt_after(0.3))
    before = weights_of(model)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=100_000, verbose=0, callbacks=[first])
    assert time.monotonic() - started < 10
    assert len(model.history.history["loss"]) >= 1
    assert model.history.epoch == list(range(len(model.history.epoch)))
    assert not np.array_equal(weights_of(model), before)
    model.evaluate(x, y, verbose=0)
    big = np.zeros((60_000, 28, 28, 1), np.float32)
    interrupt_after(0.2)
    with pytest.raises(KeyboardInterrupt):
        for _ in range(100):
            model.predict(big, verbose=0)
    interrupt_after(0.2)
    with pytest.raises(KeyboardInterrupt):
        for _ in range(100):
            model.evaluate(big, np.zeros(60_000), verbose=0)
    interrupt_after(0.5)
    with pytest.raises(KeyboardInterrupt):
        model.fit(batches(x, y, 32, ends=False), steps_per_epoch=10**6, verbose=0)
    assert len(model.fit(x, y, verbose=0).history["loss"]) == 1


def test_ctrl_c_within_a_callback_is_its_exception(model, digits):
    (x, y), _ = digits
    with pytest.raises(KeyboardInterrupt):
        busy = ours.callbacks.LambdaCallback(on_epoch_end=lambda *_: (interrupt_after(0.1), time.sleep(30)))
        model.fit(x, y, epochs=3, verbose=0, callbacks=[busy])


def test_ctrl_c_keeps_the_steps_of_an_epoch_with_hooks_of_batches(model, digits):
    (x, y), _ = digits
    before = weights_of(model)

    class Killed(ours.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 20:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=1, verbose=0, callbacks=[Killed()])
    assert 20 < model.optimizer.iterations < 2000
    assert not np.array_equal(weights_of(model), before)
