"""`fit`: callbacks, batches, what continues and what is refused."""

import csv
import threading

import numpy as np
import pytest

import cnn_gpu.keras as ours
from conftest import Batches, batches, small, weights_of

layers, callbacks = ours.layers, ours.callbacks


class Recorder(callbacks.Callback):
    """Notes what is called."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.threads = set()

    def note(self, *call):
        self.calls.append(call)
        self.threads.add(threading.get_ident())

    def on_train_begin(self, logs=None):
        self.note("train_begin", self.params["epochs"], self.params["steps"])

    def on_epoch_begin(self, epoch, logs=None):
        self.note("epoch_begin", epoch)

    def on_train_batch_begin(self, batch, logs=None):
        self.note("batch_begin", batch)

    def on_train_batch_end(self, batch, logs=None):
        self.note("batch_end", batch, sorted(logs))

    def on_epoch_end(self, epoch, logs=None):
        self.note("epoch_end", epoch, list(logs))

    def on_train_end(self, logs=None):
        self.note("train_end")


def test_hooks_are_called_in_order_in_the_callers_thread(model, digits):
    (x, y), test = digits
    recorder = Recorder()
    history = model.fit(x, y, epochs=2, batch_size=500, verbose=0, validation_data=test, callbacks=[recorder])
    names = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert list(history.history) == names
    ends = [call for call in recorder.calls if call[0] != "batch_begin"]
    batches = [("batch_end", i, ["accuracy", "loss"]) for i in range(4)]
    expected = [("train_begin", 2, 4)]
    for epoch in range(2):
        expected += [("epoch_begin", epoch), *batches, ("epoch_end", epoch, names)]
    assert ends == [*expected, ("train_end",)]
    begins = [call[1] for call in recorder.calls if call[0] == "batch_begin"]
    assert begins == [0, 1, 2, 3] * 2
    assert recorder.threads == {threading.get_ident()}
    assert model.history is history and history.epoch == [0, 1]


def test_callbacks_of_ones_own_read_evaluate_save_and_stop(model, digits, tmp_path):
    (x, y), test = digits
    seen = []

    class Own(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            loss, accuracy = self.model.evaluate(*test, verbose=0)
            seen.append((weights_of(self.model), loss, accuracy, logs["val_loss"]))
            self.model.save(tmp_path / f"{epoch}.keras")
            assert self.model.predict(test[0][:3], verbose=0).shape == (3, 10)
            with pytest.raises(RuntimeError, match="being trained"):
                self.model.set_weights(self.model.get_weights())
            with pytest.raises(RuntimeError, match="being trained"):
                self.model.fit(x, y, verbose=0)
            self.model.stop_training = epoch == 1

    history = model.fit(x, y, epochs=5, verbose=0, validation_data=test, callbacks=[Own()])
    assert history.epoch == [0, 1]
    assert not np.array_equal(seen[0][0], seen[1][0])
    for weights, loss, accuracy, val_loss in seen:
        assert loss == pytest.approx(val_loss, abs=1e-6)
    np.testing.assert_array_equal(weights_of(model), seen[1][0])
    assert np.array_equal(weights_of(ours.models.load_model(tmp_path / "0.keras")), seen[0][0])
    assert model.evaluate(*test, verbose=0)[0] == pytest.approx(seen[1][1], abs=1e-6)


def test_early_stopping_restores_the_best_epoch(model, digits):
    (x, y), test = digits
    weights = []
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(weights_of(model)))
    stopping = callbacks.EarlyStopping(monitor="val_loss", min_delta=10, patience=2, restore_best_weights=True)
    history = model.fit(x, y, epochs=9, verbose=0, validation_data=test, callbacks=[stopping, keep])
    # Nothing improves by so much after the first epoch.
    assert history.epoch == [0, 1, 2]
    assert (stopping.stopped_epoch, stopping.best_epoch, stopping.wait) == (2, 0, 2)
    assert stopping.best == pytest.approx(history.history["val_loss"][0])
    np.testing.assert_array_equal(weights_of(model), weights[0])


def test_learning_rates_are_seen_set_and_kept(model, digits, capsys):
    (x, y), _ = digits
    seen = []

    class Halved(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch:
                rate = self.model.optimizer.learning_rate
                rate.assign(float(rate) / 2)

        def on_epoch_end(self, epoch, logs=None):
            seen.append(float(self.model.optimizer.learning_rate))

    model.fit(x, y, epochs=3, verbose=0, callbacks=[Halved()])
    assert seen == pytest.approx([1e-3, 5e-4, 2.5e-4])
    assert float(model.optimizer.learning_rate) == pytest.approx(2.5e-4)
    plateau = callbacks.ReduceLROnPlateau(monitor="loss", factor=0.1, patience=1, min_delta=100, verbose=1)
    history = model.fit(x, y, epochs=4, verbose=0, callbacks=[plateau])
    assert history.history["learning_rate"] == pytest.approx([2.5e-4, 2.5e-4, 2.5e-5, 2.5e-6])
    assert "ReduceLROnPlateau reducing learning rate to" in capsys.readouterr().out
    schedule = callbacks.LearningRateScheduler(lambda epoch: 0.01 / (epoch + 1))
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[schedule])
    assert history.history["learning_rate"] == pytest.approx([0.01, 0.005])
    # Frozen weights show that the rate is used.
    model.optimizer.learning_rate = 0.0
    before = weights_of(model)
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(weights_of(model), before)


def test_files_of_callbacks(model, digits, tmp_path):
    (x, y), test = digits
    log = tmp_path / "log.csv"
    every = [
        callbacks.CSVLogger(log),
        callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}-{val_loss:.2f}.keras"),
        callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="val_accuracy", save_best_only=True),
        callbacks.TensorBoard(tmp_path / "board"),
        callbacks.TerminateOnNaN(),
    ]
    history = model.fit(x, y, epochs=2, verbose=0, validation_data=test, callbacks=every).history
    rows = list(csv.DictReader(open(log)))
    assert list(rows[0]) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [float(row["loss"]) for row in rows] == pytest.approx(history["loss"])
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert (tmp_path / f"02-{history['val_loss'][1]:.2f}.keras").exists()
    best = ours.models.load_model(tmp_path / "best.keras")
    loss, accuracy = best.evaluate(*test, verbose=0)
    assert accuracy == pytest.approx(max(history["val_accuracy"]))
    assert list((tmp_path / "board" / "train").iterdir())


def test_a_second_call_continues_and_compile_begins_anew(digits):
    (x, y), _ = digits
    make = lambda: small(ours, optimizer="adam", loss="sparse_categorical_crossentropy")
    (once, twice, anew) = (make() for _ in range(3))
    for one in (twice, anew):
        one.set_weights(once.get_weights())
    once.fit(x, y, epochs=2, shuffle=False, verbose=0)
    twice.fit(x, y, shuffle=False, verbose=0)
    twice.fit(x, y, shuffle=False, verbose=0, initial_epoch=0)
    np.testing.assert_array_equal(weights_of(once), weights_of(twice))
    assert once.optimizer.iterations == twice.optimizer.iterations == 126
    anew.fit(x, y, shuffle=False, verbose=0)
    anew.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    assert anew.optimizer.iterations == 0
    anew.fit(x, y, shuffle=False, verbose=0)
    assert not np.array_equal(weights_of(once), weights_of(anew))


def test_runs_are_reproducible_and_shuffled_anew(digits):
    (x, y), _ = digits

    def run(seed):
        ours.utils.set_random_seed(seed)
        model = small(ours, optimizer="adam", loss="sparse_categorical_crossentropy")
        model.fit(x, y, verbose=0)
        middle = weights_of(model)
        model.fit(x, y, verbose=0)
        return middle, weights_of(model)

    first, again, other = run(1), run(1), run(2)
    for one, two in zip(first, again):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first[0], other[0])
    ours.utils.set_random_seed(1)
    pair = small(ours), small(ours)
    assert not np.array_equal(weights_of(pair[0]), weights_of(pair[1]))


def test_batches_train_as_arrays_do(model, digits):
    (x, y), (x_test, y_test) = digits
    twins = [small(ours, optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"]) for _ in "ab"]
    for twin in twins:
        twin.set_weights(model.get_weights())
    by_array = model.fit(x, y, epochs=2, batch_size=48, shuffle=False, verbose=0, validation_data=(x_test, y_test))
    made = Batches(x, y, 48)
    by_sequence = twins[0].fit(
        made, epochs=2, shuffle=False, verbose=0, validation_data=Batches(x_test, y_test, 70)
    )
    by_generator = twins[1].fit_generator(
        batches(x, y, 48, ends=False),
        steps_per_epoch=42,
        epochs=2,
        verbose=0,
        validation_data=batches(x_test, y_test, 100, ends=False),
        validation_steps=5,
    )
    for twin, history in zip(twins, (by_sequence, by_generator)):
        np.testing.assert_array_equal(weights_of(twin), weights_of(model))
        for name, values in by_array.history.items():
            assert history.history[name] == pytest.approx(values, abs=1e-5)
    assert made.ends == 2
    scores = model.evaluate(x_test, y_test, verbose=0)
    assert model.evaluate(Batches(x_test, y_test, 64), verbose=0) == pytest.approx(scores, abs=1e-5)
    assert model.evaluate(batches(x_test, y_test, 64), steps=8, verbose=0) == pytest.approx(scores, abs=1e-5)
    outputs = model.predict(x_test, verbose=0)
    np.testing.assert_array_equal(model.predict(Batches(x_test, y_test, 64), verbose=0), outputs)
    np.testing.assert_array_equal(model.predict((x for x, _ in batches(x_test, y_test, 64)), verbose=0), outputs)


def test_sequences_are_shuffled_by_batches(model, digits):
    (x, y), _ = digits
    taken = []

    class Noted(Batches):
        def __getitem__(self, i):
            taken.append(i)
            return super().__getitem__(i)

    model.fit(Noted(x, y, 100), epochs=2, verbose=0)
    assert sorted(taken[:20]) == sorted(taken[20:]) == list(range(20))
    assert taken[:20] != taken[20:] and taken[:20] != list(range(20))


def test_exceptions_of_generators_and_callbacks_come_through(model, digits):
    (x, y), _ = digits

    class Odd(Exception):
        pass

    def broken():
        yield x[:32], y[:32]
        yield x[:32], y[:32]
        raise Odd("third")

    with pytest.raises(Odd, match="third"):
        model.fit(broken(), steps_per_epoch=5, epochs=2, verbose=0)
    with pytest.raises(ValueError, match="ran dry after 20 of 40"):
        model.fit(batches(x, y, 100), steps_per_epoch=20, epochs=2, verbose=0)
    for hook in ("on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_epoch_end"):

        class Broken(callbacks.Callback):
            pass

        def fail(self, *_, **__):
            raise Odd(hook)

        setattr(Broken, hook, fail)
        with pytest.raises(Odd, match=hook):
            model.fit(x, y, verbose=0, callbacks=[Broken()])
    # The model is usable afterwards.
    assert len(model.fit(x, y, verbose=0).history["loss"]) == 1


def test_a_loss_that_is_not_finite_is_an_error_or_an_end(digits):
    (x, y), _ = digits
    make = lambda: small(ours, optimizer=ours.optimizers.SGD(1e30), loss="sparse_categorical_crossentropy")
    model = make()
    before = weights_of(model)
    with pytest.raises(FloatingPointError, match="learning rate"):
        model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(weights_of(model), before)
    history = make().fit(x, y, epochs=3, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
    assert history.epoch == []


def test_two_models_train_in_two_threads(digits):
    (x, y), _ = digits
    models = [small(ours, optimizer="adam", loss="sparse_categorical_crossentropy") for _ in range(2)]
    alone = small(ours, optimizer="adam", loss="sparse_categorical_crossentropy")
    for model in models[1:] + [alone]:
        model.set_weights(models[0].get_weights())
    threads = [
        threading.Thread(target=model.fit, args=(x, y), kwargs={"epochs": 2, "verbose": 0, "shuffle": False})
        for model in models
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    alone.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for model in models:
        np.testing.assert_array_equal(weights_of(model), weights_of(alone))


def test_arrays_are_not_kept_nor_copied(model, digits):
    import gc
    import weakref

    (x, y), _ = digits
    own = x.copy()
    gone = weakref.ref(own)
    data = ours._data.labelled(("x", "y"), own, y, model._labelled_form())
    assert gone() is own
    del data
    model.fit(own, y, verbose=0)
    model.evaluate(own, y, verbose=0)
    model.predict(own, verbose=0)
    del own
    gc.collect()
    assert gone() is None


def test_changed_models_keep_their_weights(digits):
    (x, y), _ = digits
    model = ours.models.Sequential([layers.Conv2D(4, 3, strides=3, input_shape=(28, 28, 1))])
    first = weights_of(model)
    model.add(layers.Flatten())
    model.add(layers.Dense(10, activation="softmax"))
    np.testing.assert_array_equal(model.layers[0].get_weights()[0].ravel(), first[: 3 * 3 * 4])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    model.layers[0].trainable = False
    with pytest.raises(ValueError, match="call compile again"):
        model.fit(x, y, verbose=0)
    assert model.predict(x[:1], verbose=0).shape == (1, 10)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    frozen, head = model.layers[0].get_weights(), model.layers[2].get_weights()
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], frozen[0])
    assert not np.array_equal(model.layers[2].get_weights()[0], head[0])
    model.layers[2].set_weights(head)
    np.testing.assert_array_equal(model.layers[2].get_weights()[0], head[0])
    model.pop()
    assert len(model.get_weights()) == 2


def test_an_optimizer_belongs_to_one_model(digits):
    optimizer = ours.optimizers.Adam()
    small(ours, optimizer=optimizer, loss="sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="belongs to another model"):
        small(ours, optimizer=optimizer, loss="sparse_categorical_crossentropy")


def test_arrays_that_cannot_be_written_are_read(model, digits):
    (x, y), _ = digits
    x = x.copy()
    x.setflags(write=False)
    model.fit(x, y, verbose=0)
    outputs = model.predict(np.broadcast_to(x[:1], (5, 28, 28, 1)), verbose=0)
    assert (outputs == outputs[0]).all()


def test_terminals_without_lines_get_plain_characters(model, digits, monkeypatch):
    import io
    import sys

    written = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", written)
    model.summary()
    model.fit(*digits[0])
    written.flush()
    text = written.buffer.getvalue().decode("cp1252")
    assert "conv2d (Conv2D)" in text and "63/63 --------------------" in text


def test_shapes_can_come_from_the_data(digits):
    (x, y), _ = digits
    model = ours.models.Sequential([layers.Flatten(), layers.Dense(10, activation="softmax")])
    assert not model.built
    with pytest.raises(ValueError, match="input_shape"):
        model.summary()
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    assert model.input_shape == (None, 28, 28, 1)
    assert model.output_shape == (None, 10)


def test_progress_is_printed_as_in_keras(model, digits, capsys):
    (x, y), test = digits
    model.fit(x, y, epochs=2, verbose=2, validation_data=test)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2"
    assert lines[1].startswith("63/63 - ") and " - val_loss: " in lines[1]
    model.fit(x, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/1" and lines[1].startswith("63/63 ━━━━━━━━━━━━━━━━━━━━ ")
    model.fit(x, y, verbose=0)
    assert capsys.readouterr().out == ""


def test_batches_of_a_sequence_may_end_with_a_short_one_and_every_fit_shuffles_anew(digits):
    (x, y), _ = digits
    taken = []

    class Noted(Batches):
        def __getitem__(self, i):
            taken.append(i)
            return super().__getitem__(i)

    ours.utils.set_random_seed(42)
    model = small(ours, optimizer="adam", loss="sparse_categorical_crossentropy")
    # With this seed the first pass begins with the short batch.
    for _ in range(2):
        model.fit(Noted(x[:140], y[:140], 32), epochs=2, verbose=0)
    passes = [taken[i : i + 5] for i in range(0, 20, 5)]
    assert all(sorted(one) == list(range(5)) for one in passes)
    assert passes[1] != passes[3]


def test_sequences_hear_of_each_pass(model, digits):
    (x, y), _ = digits

    class Heard(Batches):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.calls = []

        def on_epoch_begin(self):
            self.calls.append("begin")

        def __getitem__(self, i):
            self.calls.append(i)
            return super().__getitem__(i)

        def on_epoch_end(self):
            self.calls.append("end")

    one = ["begin", 0, 1, "end"]
    train, validation = Heard(x[:100], y[:100], 50), Heard(x[:90], y[:90], 50)
    model.fit(train, epochs=2, shuffle=False, verbose=0, validation_data=validation)
    assert train.calls == validation.calls == one + one
    for use in (model.evaluate, model.predict):
        validation.calls.clear()
        use(validation, verbose=0)
        assert validation.calls == one
    validation.calls.clear()
    model.predict(validation, steps=1, verbose=0)
    assert validation.calls == ["begin", 0, "end"]


def test_all_layers_can_be_frozen_at_once(digits, capsys):
    (x, y), _ = digits
    model = small(ours, optimizer="sgd", loss="sparse_categorical_crossentropy")
    model.summary()
    before = capsys.readouterr().out
    model.trainable = False
    assert not any(layer.trainable for layer in model.layers)
    model.summary()
    text = capsys.readouterr().out
    assert " Trainable params: 0 " in text
    model.trainable = True
    model.summary()
    assert capsys.readouterr().out == before
    model.trainable = False
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    frozen = weights_of(model)
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(weights_of(model), frozen)
    # The table counts what is not trained in any case.
    norm = ours.models.Sequential([layers.BatchNormalization(input_shape=(4, 4, 3))])
    norm.summary()
    assert " Trainable params: 6 " in capsys.readouterr().out


def test_reduced_rates_are_seen_at_once_and_kept(model, digits):
    (x, y), _ = digits
    reduce = lambda: callbacks.ReduceLROnPlateau(
        monitor="loss", factor=0.5, patience=1, min_delta=100
    )
    seen, scheduled = [], []

    class Seen(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((logs["learning_rate"], float(self.model.optimizer.learning_rate)))

    # Back to the rate that the model was compiled with.
    model.optimizer.learning_rate = 2e-3
    model.fit(x, y, epochs=3, verbose=0, callbacks=[Seen(), reduce()])
    assert seen == [pytest.approx(pair) for pair in [(2e-3, 2e-3), (2e-3, 1e-3), (1e-3, 5e-4)]]
    assert float(model.optimizer.learning_rate) == pytest.approx(5e-4)

    def schedule(epoch, rate):
        scheduled.append(rate)
        return rate

    scheduler = callbacks.LearningRateScheduler(schedule)
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[scheduler, reduce()]).history
    assert scheduled == pytest.approx([5e-4, 5e-4, 2.5e-4])
    assert float(model.optimizer.learning_rate) == pytest.approx(1.25e-4)
    # The frozen weights show that a rate of 0 after a reduction is used.
    to_zero = callbacks.ReduceLROnPlateau(monitor="loss", factor=0.0, patience=1, min_delta=100)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[to_zero])
    before = weights_of(model)
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(weights_of(model), before)


def test_last_hooks_receive_logs_and_parameters(model, digits):
    (x, y), test = digits
    heard = []

    class Heard(callbacks.Callback):
        def on_train_end(self, logs=None):
            heard.append(("train", sorted(logs), self.params["steps"]))

    class Tests(callbacks.Callback):
        def on_test_end(self, logs=None):
            heard.append(("test", sorted(logs), self.params["steps"]))

        def on_predict_end(self, logs=None):
            heard.append(("predict", sorted(logs), self.params["steps"]))

    names = ["accuracy", "loss"]
    model.fit(x, y, verbose=0, callbacks=[Heard()])
    model.evaluate(*test, verbose=0, callbacks=[Tests()])
    model.predict(test[0], verbose=0, callbacks=[Tests()])
    assert heard == [("train", names, 63), ("test", names, 16), ("predict", ["outputs"], 16)]


def test_checkpoints_make_folders_and_are_saved_without_the_metric(model, digits, tmp_path):
    (x, y), test = digits
    path = tmp_path / "new" / "folder" / "best.keras"
    best = callbacks.ModelCheckpoint(path, save_best_only=True)
    with pytest.warns(UserWarning, match="no val_loss was measured in epoch 1"):
        model.fit(x, y, epochs=2, verbose=0, validation_data=test, validation_freq=2, callbacks=[best])
    assert best.best is not None
    assert [one.name for one in path.parent.iterdir()] == ["best.keras"]
    # A file that cannot be written leaves the old one.
    old = path.read_bytes()
    (path.parent / "best.keras.partial").mkdir()
    with pytest.raises(OSError, match="cannot write the model"):
        model.save(path)
    assert path.read_bytes() == old


def test_growing_models_can_be_compiled_and_a_failed_compile_changes_nothing(model, digits):
    (x, y), _ = digits
    growing = ours.models.Sequential([layers.Conv2D(4, 3, strides=3, input_shape=(28, 28, 1))])
    growing.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    growing.add(layers.Flatten())
    growing.add(layers.Dense(10, activation="softmax"))
    assert list(growing.fit(x, y, verbose=0).history) == ["accuracy", "loss"]
    optimizer = model.optimizer
    model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="sigmoid"):
        model.compile("sgd", "binary_crossentropy")
    assert model.optimizer is optimizer and optimizer.iterations == 63
    model.fit(x, y, verbose=0)
    assert optimizer.iterations == 126


def test_models_without_a_head_are_saved_and_loaded(tmp_path):
    body = ours.models.Sequential([layers.Conv2D(4, 3, input_shape=(8, 8, 1))])
    body.save(tmp_path / "body.keras")
    loaded = ours.models.load_model(tmp_path / "body.keras")
    np.testing.assert_array_equal(weights_of(loaded), weights_of(body))


def test_predictions_of_batches_print_their_number(model, digits, capsys):
    x = digits[0][0]
    model.predict(Batches(x, x, 500))
    assert capsys.readouterr().out.startswith("4/4 ")


def test_the_optimizer_is_set_by_compile_alone(model, digits):
    for optimizer in ("sgd", ours.optimizers.SGD(), None):
        with pytest.raises(AttributeError, match=r"optimizer cannot be set; call compile\(optimizer=\.\.\., "):
            model.optimizer = optimizer
    assert isinstance(model.optimizer, ours.optimizers.Adam)
    assert ours.models.Sequential().optimizer is None


def test_the_accuracy_can_have_several_names(theirs, digits):
    (x, y), test = digits
    found = []
    for keras in (ours, theirs):
        names = ["accuracy", keras.metrics.SparseCategoricalAccuracy(name="share"), "sparse_categorical_accuracy"]
        model = small(keras, optimizer="adam", loss="sparse_categorical_crossentropy", metrics=names)
        history = model.fit(x, y, verbose=0, validation_data=test).history
        assert len(model.evaluate(*test, verbose=0)) == 4
        found.append((list(history), list(model.evaluate(*test, verbose=0, return_dict=True))))
        assert history["accuracy"] == history["share"] == history["sparse_categorical_accuracy"]
    assert found[0][0] == found[1][0]
    assert sorted(found[0][1]) == sorted(found[1][1])
    with pytest.raises(ValueError, match="names of their own"):
        small(ours, optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"] * 2)
