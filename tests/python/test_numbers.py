"""The same weights give the same numbers as Keras."""

import numpy as np
import pytest

import cnn_gpu.keras as ours
from conftest import small, weights_of

OPTIMIZERS = [
    ("adam", {}),
    ("Adam", {"learning_rate": 0.003, "beta_1": 0.8, "weight_decay": 0.01, "clipnorm": 0.5}),
    ("AdamW", {}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("RMSprop", {"momentum": 0.5}),
]


def lab(keras):
    """The lab's network."""
    layers = keras.layers
    return keras.models.Sequential(
        [
            layers.Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def twins(theirs, make):
    """The same model here and in Keras."""
    here, there = make(ours), make(theirs)
    there.set_weights(here.get_weights())
    return here, there


# Adam makes equal steps of small and large gradients, so that differences in rounding grow from step
# to step, between two of TensorFlow's own kernels, too.
@pytest.mark.parametrize("optimizer, images", [("adam", 1280), ("rmsprop", 2000), ("sgd", 2000)])
def test_the_lab_network_predicts_and_trains_as_in_keras(theirs, mnist, optimizer, images):
    (x, y), (x_test, _) = mnist
    x, y = x[:images, ..., None].astype("float32") / 255, y[:images]
    x_test = x_test[:500, ..., None].astype("float32") / 255
    here, there = twins(theirs, lab)
    assert np.abs(here.predict(x_test, verbose=0) - there.predict(x_test, verbose=0)).max() < 1e-5
    losses = []
    for model, keras in ((here, ours), (there, theirs)):
        model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
        hot = keras.utils.to_categorical(y, 10)
        history = model.fit(x, hot, batch_size=64, epochs=1, shuffle=False, verbose=0)
        losses.append(history.history)
    assert np.abs(weights_of(here) - weights_of(there)).max() < 1e-3
    assert losses[0]["loss"][0] == pytest.approx(losses[1]["loss"][0], abs=1e-4)
    assert losses[0]["accuracy"][0] == pytest.approx(losses[1]["accuracy"][0], abs=2e-3)


@pytest.mark.parametrize("name, settings", OPTIMIZERS)
def test_optimizers_update_as_in_keras(theirs, digits, name, settings):
    (x, y), _ = digits
    here, there = twins(theirs, small)
    for model, keras in ((here, ours), (there, theirs)):
        optimizer = getattr(keras.optimizers, name)(**settings) if settings else name
        if name == "AdamW":
            optimizer = keras.optimizers.AdamW()
        model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
        model.fit(x[:640], y[:640], batch_size=32, epochs=1, shuffle=False, verbose=0)
    assert np.abs(weights_of(here) - weights_of(there)).max() < 1e-3


def test_layers_and_arguments_compute_as_in_keras(theirs):
    def make(keras):
        layers, reg = keras.layers, keras.regularizers
        return keras.models.Sequential(
            [
                layers.Input(shape=(17, 13, 4)),
                layers.Rescaling(1 / 127.5, offset=-1),
                layers.ZeroPadding2D(((1, 2), (0, 3))),
                layers.Conv2D(8, (3, 2), padding="same", groups=2, kernel_regularizer=reg.L2(0.01)),
                layers.BatchNormalization(momentum=0.9),
                layers.Activation("elu"),
                layers.DepthwiseConv2D(3, depth_multiplier=2, activation="tanh"),
                layers.AveragePooling2D((2, 3), strides=(2, 1), padding="same"),
                layers.Conv2D(6, 3, dilation_rate=2, activation="silu", use_bias=False),
                layers.MaxPooling2D(2, padding="same"),
                layers.SpatialDropout2D(0.0),
                layers.Dropout(0.0),
                layers.GlobalAveragePooling2D(),
                layers.Dense(5, activation="softmax", kernel_initializer="he_normal"),
            ]
        )

    rng = np.random.default_rng(1)
    x = rng.uniform(0, 255, (50, 17, 13, 4)).astype("float32")
    y = rng.integers(0, 5, 50)
    here, there = twins(theirs, make)
    assert [w.shape for w in here.get_weights()] == [w.shape for w in there.get_weights()]
    assert here.count_params() == there.count_params()
    assert np.abs(here.predict(x, verbose=0) - there.predict(x, verbose=0)).max() < 1e-5
    scores = []
    for model in (here, there):
        model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        weights = {0: 0.5, 1: 2.0, 2: 1.0, 3: 1.0, 4: 1.0}
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0, class_weight=weights)
        scores.append(model.evaluate(x, y, verbose=0))
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    for mine, other in zip(here.get_weights(), there.get_weights()):
        assert np.abs(mine - other).max() < 1e-3


def test_raw_bytes_and_other_dtypes_are_taken_as_keras_takes_them(theirs, digits):
    (x, _), _ = digits
    pixels = (x[:40] * 255).round()
    here, there = twins(theirs, small)
    expected = there.predict(pixels.astype("float32"), verbose=0)
    for dtype in ("uint8", "int64", "float16", "float64", ">f4", "<f4"):
        found = here.predict(pixels.astype(dtype), verbose=0)
        assert np.abs(found - expected).max() < 1e-4, dtype
    turned = np.asfortranarray(pixels.astype("float32"))
    strided = np.repeat(pixels.astype("float32"), 2, axis=0)[::2]
    flipped = pixels.astype("float32")[:, ::-1][:, ::-1]
    for one in (turned, strided, flipped, pixels[..., 0]):
        assert np.abs(here.predict(one, verbose=0) - expected).max() < 1e-4


def test_a_single_sigmoid_is_keras_own(theirs, digits):
    (x, y), _ = digits
    odd = (y % 2).astype("float32")

    def make(keras):
        return keras.models.Sequential(
            [
                keras.layers.Flatten(input_shape=(28, 28)),
                keras.layers.Dense(8, activation="tanh"),
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )

    here, there = twins(theirs, make)
    x = x[..., 0]
    for model in (here, there):
        model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
        model.fit(x, odd, epochs=2, shuffle=False, verbose=0)
    assert here.predict(x, verbose=0).shape == (2000, 1)
    assert np.abs(here.predict(x, verbose=0) - there.predict(x, verbose=0)).max() < 1e-3
    assert here.evaluate(x, odd, verbose=0) == pytest.approx(there.evaluate(x, odd, verbose=0), abs=2e-3)


def test_vectors_go_through_dense_layers_as_in_keras(theirs, digits):
    (x, y), _ = digits
    x = x.reshape(2000, 784)

    def make(keras):
        model = keras.models.Sequential()
        model.add(keras.layers.Dense(16, activation="relu", input_shape=(28 * 28,)))
        model.add(keras.layers.Dense(10, activation="softmax"))
        return model

    here, there = twins(theirs, make)
    assert here.count_params() == there.count_params()
    assert [one.name for one in here.layers] == ["dense", "dense_1"]
    for model in (here, there):
        model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy")
        model.fit(x, y, batch_size=128, shuffle=False, verbose=0)
    assert np.abs(here.predict(x, verbose=0) - there.predict(x, verbose=0)).max() < 1e-3


def test_files_go_to_keras_and_back(theirs, digits, tmp_path):
    (x, y), _ = digits
    here = small(ours, optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    here.fit(x, y, verbose=0, shuffle=False)
    here.save(tmp_path / "here.keras")
    there = theirs.models.load_model(tmp_path / "here.keras")
    expected = here.predict(x, verbose=0)
    assert np.abs(there.predict(x, verbose=0) - expected).max() < 1e-5
    there.save(tmp_path / "there.keras")
    back = ours.models.load_model(tmp_path / "there.keras")
    assert np.abs(back.predict(x, verbose=0) - expected).max() < 1e-6
    # With the optimizer's state, training goes on alike.
    here.fit(x, y, verbose=0, shuffle=False)
    back.fit(x, y, verbose=0, shuffle=False)
    assert np.abs(weights_of(back) - weights_of(here)).max() < 1e-6
    there.save_weights(tmp_path / "there.weights.h5")
    other = small(ours)
    other.load_weights(tmp_path / "there.weights.h5")
    assert np.abs(weights_of(other) - weights_of(there)).max() == 0


def test_keras_models_that_divide_pixels_are_read_as_they_are(theirs, tmp_path):
    there = theirs.models.Sequential(
        [
            theirs.layers.Rescaling(1 / 255, input_shape=(6, 6, 1)),
            theirs.layers.Flatten(),
            theirs.layers.Dense(3, activation="softmax"),
        ]
    )
    there.save(tmp_path / "there.keras")
    back = ours.models.load_model(tmp_path / "there.keras")
    x = np.random.default_rng(2).integers(0, 256, (9, 6, 6, 1)).astype("uint8")
    assert [type(one).__name__ for one in back.layers] == ["Rescaling", "Flatten", "Dense"]
    assert np.abs(back.predict(x, verbose=0) - there.predict(x, verbose=0)).max() < 1e-5


@pytest.mark.parametrize("x, classes", [([0, 2, 1], None), ([[1], [0]], 4), ([[0, 1], [1, 2]], None)])
def test_one_hot_labels_are_keras_own(theirs, x, classes):
    here = ours.utils.to_categorical(x, classes)
    there = theirs.utils.to_categorical(x, classes)
    np.testing.assert_array_equal(here, there)
    assert here.dtype == there.dtype
