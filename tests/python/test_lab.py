"""The lab's cells, here and on Keras."""

import re

import numpy as np
import pytest

import cnn_gpu.keras as ours
from cells import CELLS, REFERENCE


def run(cells, framework):
    """Runs the cells, and returns their variables."""
    names = {}
    for cell in cells:
        exec(compile(cell.replace("tensorflow", framework), "cell", "exec"), names)
    return names


@pytest.fixture(scope="module")
def runs(mnist, theirs):
    """The variables and the output of both runs."""
    from contextlib import redirect_stdout
    from io import StringIO

    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ours.datasets.mnist, "load_data", lambda: mnist)
        patch.setattr(theirs.datasets.mnist, "load_data", lambda: mnist)
        ours.backend.clear_session()
        theirs.backend.clear_session()
        for framework in ("cnn_gpu", "tensorflow"):
            printed = StringIO()
            with redirect_stdout(printed):
                names = run(CELLS, framework)
            found[framework] = names, printed.getvalue()
    return found["cnn_gpu"], found["tensorflow"]


def test_the_cells_give_what_keras_gives(runs):
    (here, _), (there, _) = runs
    for name in ("train_images", "test_images", "train_labels", "test_labels"):
        np.testing.assert_array_equal(here[name], there[name])
        assert here[name].dtype == there[name].dtype
    assert here["model"].count_params() == there["model"].count_params() == 93_322
    shapes = lambda run: [w.shape for w in run["model"].get_weights()]
    assert shapes(here) == shapes(there)
    assert list(here["history"].history) == list(there["history"].history)
    assert here["history"].epoch == there["history"].epoch
    assert abs(here["test_acc"] - there["test_acc"]) < 0.005
    assert here["test_acc"] > 0.98


def test_the_summary_is_keras_own(runs):
    tables = [
        [line for line in printed.splitlines() if re.match("[┏┃┡│├└]|Model:| [A-Z].* params:", line)]
        for _, printed in runs
    ]
    assert tables[0] == tables[1]
    assert len(tables[0]) > 30


def test_the_last_line_of_an_epoch_has_keras_values(runs):
    ends = [re.findall(r"938/938.* - accuracy: [\d.]+ - loss: [\d.]+", text) for _, text in runs]
    assert len(ends[0]) == 5
    assert ends[1]


def test_the_reference_gives_keras_shapes_and_stops_alike(theirs, digits, capsys):
    (x, y), (x_test, y_test) = digits
    printed = []
    histories = []
    for framework in ("cnn_gpu", "tensorflow"):
        capsys.readouterr()
        names = run(REFERENCE, framework)
        printed.append(capsys.readouterr().out)
        y_hot = names["keras"].utils.to_categorical(y)
        test_hot = names["keras"].utils.to_categorical(y_test)
        model, made = names["model"], names["Digits"](x, y_hot, 50)
        histories.append(
            model.fit(
                made,
                epochs=3,
                verbose=2,
                validation_data=(x_test, test_hot),
                callbacks=[names["stopping"]],
            )
        )
        if framework == "cnn_gpu":
            older = names["model"].fit_generator(
                generator=made,
                steps_per_epoch=len(made),
                epochs=1,
                verbose=0,
                validation_data=names["Digits"](x_test, test_hot, 100),
                validation_steps=5,
            )
            assert list(older.history) == list(histories[0].history)
            assert made.ended == 4
    assert printed[0] == printed[1]
    assert list(histories[0].history) == list(histories[1].history)
