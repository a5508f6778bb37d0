"""`stop_training` within an epoch, beside Keras."""

import numpy as np
import pytest

import cnn_gpu.keras as ours
from conftest import small, weights_of


def stopping(keras, hook, epoch, batch):
    """A callback that stops in this hook, and notes what is called."""

    class Stopping(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.calls, self.epoch = [], 0

        def note(self, name, number, logs=None):
            self.calls.append((name, number))
            if name == "epoch_begin":
                self.epoch = number
            wanted = number == (batch if "batch" in name else epoch)
            if name == hook and self.epoch == epoch and wanted:
                self.model.stop_training = True

        def on_train_begin(self, logs=None):
            self.note("train_begin", 0)

        def on_epoch_begin(self, epoch, logs=None):
            self.note("epoch_begin", epoch)

        def on_train_batch_begin(self, batch, logs=None):
            self.note("batch_begin", batch)

        def on_train_batch_end(self, batch, logs=None):
            self.note("batch_end", batch)
            self.calls.append(round(float(logs["loss"]), 2))

        def on_epoch_end(self, epoch, logs=None):
            self.note("epoch_end", epoch)
            self.calls.append(sorted(logs))

        def on_train_end(self, logs=None):
            self.calls.append("train_end")

    return Stopping()


@pytest.mark.parametrize(
    "hook, epoch, batch",
    [
        ("batch_end", 1, 2),
        ("batch_end", 0, 0),
        ("batch_end", 0, 19),
        ("batch_begin", 1, 3),
        ("epoch_begin", 1, None),
        ("train_begin", 0, None),
        ("epoch_end", 0, None),
    ],
)
def test_training_stops_where_keras_does(theirs, digits, hook, epoch, batch):
    (x, y), test = digits
    compiled = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    models = {keras: small(keras, **compiled) for keras in (ours, theirs)}
    models[theirs].set_weights(models[ours].get_weights())
    found = {}
    for keras, model in models.items():
        callback = stopping(keras, hook, epoch, batch)
        history = model.fit(
            x, y, batch_size=100, epochs=3, shuffle=False, verbose=0, validation_data=test, callbacks=[callback]
        )
        assert model.stop_training
        found[keras] = (history, callback.calls, int(model.optimizer.iterations))
    (history, calls, steps), (expected, expected_calls, expected_steps) = found.values()
    assert steps == expected_steps
    assert calls == expected_calls
    assert history.epoch == expected.epoch
    for name, values in expected.history.items():
        assert history.history[name] == pytest.approx(values, abs=2e-3)
    theirs_weights = np.concatenate([np.ravel(one) for one in models[theirs].get_weights()])
    np.testing.assert_allclose(weights_of(models[ours]), theirs_weights, atol=1e-3)
    # Another call goes on.
    again = models[ours].fit(x, y, batch_size=100, verbose=0)
    assert again.epoch == [0] and models[ours].optimizer.iterations == steps + 20


def test_a_pass_over_a_sequence_that_was_cut_has_no_end(model, digits):
    (x, y), _ = digits
    ends = []

    class Batches(ours.utils.Sequence):
        def __len__(self):
            return 100

        def __getitem__(self, i):
            return x[i * 20 : (i + 1) * 20], y[i * 20 : (i + 1) * 20]

        def on_epoch_end(self):
            ends.append(len(history.epoch))

    class Stopping(ours.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 4

    history = ours.callbacks.History()
    model.fit(Batches(), epochs=3, verbose=0, callbacks=[Stopping(), history])
    assert history.epoch == [0] and ends == []
    assert model.optimizer.iterations == 5
