"""Validation on either kind of data beside training on either kind, beside Keras."""

import numpy as np
import pytest

import cnn_gpu.keras as ours
from conftest import Batches, batches, small


def sequence(keras, x, y, size):
    class Made(keras.utils.Sequence):
        def __len__(self):
            return -(-len(x) // size)

        def __getitem__(self, i):
            rows = slice(i * size, (i + 1) * size)
            return x[rows], y[rows]

    return Made()


def endless(x, y, size):
    while True:
        for i in range(0, len(x), size):
            yield x[i : i + size], y[i : i + size]


@pytest.mark.parametrize("trained", ["arrays", "sequence", "generator"])
@pytest.mark.parametrize(
    "validated, steps",
    [("arrays", None), ("arrays", 2), ("sequence", None), ("sequence", 2), ("generator", 3)],
)
def test_every_pair_of_data_gives_keras_numbers(theirs, digits, trained, validated, steps):
    (x, y), (x_test, y_test) = digits
    x, y = x[:600], y[:600]
    compiled = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    models = {keras: small(keras, **compiled) for keras in (ours, theirs)}
    models[theirs].set_weights(models[ours].get_weights())
    found = []
    for keras, model in models.items():
        training = {
            "arrays": {"x": x, "y": y, "batch_size": 50},
            "sequence": {"x": sequence(keras, x, y, 50)},
            "generator": {"x": endless(x, y, 50), "steps_per_epoch": 12},
        }[trained]
        validation = {
            "arrays": (x_test, y_test),
            "sequence": sequence(keras, x_test, y_test, 70),
            "generator": endless(x_test, y_test, 70),
        }[validated]
        # What Keras takes of a generator after the first epoch depends on how many batches were made ahead.
        epochs = 1 if validated == "generator" else 2
        history = model.fit(
            **training, epochs=epochs, shuffle=False, verbose=0, validation_data=validation, validation_steps=steps
        )
        found.append(history.history)
    assert list(found[0]) == list(found[1])
    for name, values in found[1].items():
        assert found[0][name] == pytest.approx(values, abs=2e-3), name


def test_splits_take_the_last_samples(model, digits):
    (x, y), _ = digits
    twin = small(ours, optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    twin.set_weights(model.get_weights())
    split = model.fit(x, y, validation_split=0.3, shuffle=False, verbose=0).history
    given = twin.fit(x[:1400], y[:1400], validation_data=(x[1400:], y[1400:]), shuffle=False, verbose=0)
    assert split == given.history
    given = {"validation_data": (x[:96], y[:96]), "validation_steps": 2}
    steps = model.fit(x, y, batch_size=32, verbose=0, **given).history
    assert steps["val_loss"][0] == pytest.approx(model.evaluate(x[:64], y[:64], verbose=0)[0])
    seldom = model.fit(x, y, epochs=4, validation_split=0.1, validation_freq=2, verbose=0).history
    assert (len(seldom["loss"]), len(seldom["val_loss"])) == (4, 2)


def test_batches_of_any_size_are_evaluated_and_validated_on(model, digits):
    (x, y), _ = digits
    scores = model.evaluate(x, y, verbose=0)
    for size in (257, 1999, 2000):
        assert model.evaluate(Batches(x, y, size), verbose=0) == pytest.approx(scores, abs=1e-6)
    assert model.evaluate(iter([(x, y)]), steps=1, verbose=0) == pytest.approx(scores, abs=1e-6)
    validated = {"validation_data": Batches(x, y, 1500), "verbose": 0}
    history = model.fit(Batches(x, y, 500), **validated).history
    last = model.evaluate(x, y, verbose=0)
    assert [history["val_loss"][0], history["val_accuracy"][0]] == pytest.approx(last, abs=1e-6)


def test_steps_on_arrays_have_the_rows_that_are_given(model, digits):
    (x, y), (x_test, y_test) = digits
    history = model.fit(
        Batches(x, y, 100), verbose=0, validation_data=(x_test, y_test), validation_steps=2, validation_batch_size=32
    ).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(x_test[:64], y_test[:64], verbose=0)[0])
    done = model.fit(
        batches(x, y, 50), steps_per_epoch=2, initial_epoch=1, epochs=1, verbose=0,
        validation_data=(x_test, y_test), validation_steps=2,
    )
    assert done.history == {}


def test_steps_on_arrays_without_a_batch_size_take_all_of_them(theirs, digits):
    (x, y), test = digits
    compiled = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    models = {keras: small(keras, **compiled) for keras in (ours, theirs)}
    models[theirs].set_weights(models[ours].get_weights())
    found = []
    for model in models.values():
        split = model.fit(x, y, steps_per_epoch=7, validation_split=0.3, validation_steps=2, shuffle=False, verbose=0)
        steps = int(model.optimizer.iterations)
        scores = model.evaluate(*test, steps=3, verbose=0), model.evaluate(*test, batch_size=50, steps=3, verbose=0)
        outputs = model.predict(test[0], steps=3, verbose=0), model.predict(test[0], batch_size=9, steps=3, verbose=0)
        found.append((split.history, steps, scores, [len(one) for one in outputs]))
    ours_found, theirs_found = found
    assert ours_found[1] == theirs_found[1] == 7
    assert ours_found[3] == theirs_found[3] == [500, 27]
    for one, two in zip(ours_found[2], theirs_found[2]):
        assert one == pytest.approx(two, abs=1e-4)
    assert list(ours_found[0]) == list(theirs_found[0])
    for name, values in theirs_found[0].items():
        assert ours_found[0][name] == pytest.approx(values, abs=2e-3)
