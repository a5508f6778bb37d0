"""Networks whose inputs are not images, in files of both programs."""

import numpy as np
import pytest

import cnn_gpu.keras as ours
from conftest import weights_of


def network(keras, shape, *first):
    """A small network of inputs of this shape, with these layers in front."""
    made = {"flatten": keras.layers.Flatten, "dropout": lambda: keras.layers.Dropout(0.2)}
    model = keras.models.Sequential(
        [
            keras.layers.Input(shape),
            *(made[name]() for name in first),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def table(model):
    """The lines of the summary, without the totals, to which Keras adds the optimizer's."""
    lines = []
    model.summary(print_fn=lines.append)
    return "\n".join(lines).partition(" Total params")[0]


SHAPES = [((784,), ()), ((13,), ()), ((13,), ("dropout",)), ((13,), ("flatten",)), ((4, 5), ("flatten",))]


@pytest.mark.parametrize("shape, first", SHAPES)
def test_networks_of_vectors_come_back_from_files_of_keras(theirs, tmp_path, shape, first, recwarn):
    model = network(theirs, shape, *first)
    x = np.random.default_rng(1).random((40, *shape)).astype("float32")
    y = np.arange(40) % 3
    model.fit(x, y, epochs=2, verbose=0)
    outputs = model.predict(x, verbose=0)
    for name in ("net.keras", "net.h5"):
        model.save(tmp_path / name)
        recwarn.clear()
        loaded = ours.models.load_model(tmp_path / name)
        assert not [str(one.message) for one in recwarn if "cnn_gpu" in one.filename]
        assert loaded.input_shape == (None, *shape)
        assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
        np.testing.assert_allclose(loaded.predict(x, verbose=0), outputs, atol=1e-5)
        assert table(loaded) == table(model)
        loaded.fit(x, y, verbose=0)
    model.save_weights(tmp_path / "net.weights.h5")
    same = network(ours, shape, *first)
    for name in ("net.weights.h5", "net.h5", "net.keras"):
        same.set_weights([0 * one for one in same.get_weights()])
        same.load_weights(tmp_path / name)
        np.testing.assert_allclose(same.predict(x, verbose=0), outputs, atol=1e-5)


@pytest.mark.parametrize("shape, first", SHAPES)
def test_keras_loads_networks_of_vectors(theirs, tmp_path, shape, first):
    model = network(ours, shape, *first)
    x = np.random.default_rng(1).random((40, *shape)).astype("float32")
    y = np.arange(40) % 3
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "net.keras")
    outputs = model.predict(x, verbose=0)
    loaded = theirs.models.load_model(tmp_path / "net.keras")
    assert loaded.input_shape == (None, *shape)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), outputs, atol=1e-5)
    # Training goes on in either program.
    again = ours.models.load_model(tmp_path / "net.keras")
    assert again.input_shape == (None, *shape)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    np.testing.assert_array_equal(again.predict(x, verbose=0), outputs)
    if "dropout" not in first:
        for one in (loaded, again):
            one.fit(x, y, shuffle=False, verbose=0)
        theirs_weights = np.concatenate([np.ravel(one) for one in loaded.get_weights()])
        np.testing.assert_allclose(weights_of(again), theirs_weights, atol=1e-3)
