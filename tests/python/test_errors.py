"""What is refused, and how it is said."""

import copy
import pickle

import numpy as np
import pytest

import cnn_gpu
import cnn_gpu.keras as ours
from conftest import small

layers, optimizers = ours.layers, ours.optimizers
X = np.zeros((8, 28, 28, 1), np.float32)
Y = np.zeros(8, np.int64)
HOT = np.eye(10)[Y]
NAN = np.where(np.arange(8)[:, None, None, None] == 5, np.nan, X)


def fits(x=X, y=Y, **arguments):
    def call():
        model = small(ours, optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model.fit(x, y, verbose=0, **arguments)

    return call


def one_hot(y):
    def call():
        model = small(ours, optimizer="adam", loss="categorical_crossentropy")
        return model.fit(X, y, verbose=0)

    return call


class Theirs:
    """A callback of another library."""


REFUSED = [
    # Arrays.
    (fits(x=X.reshape(8, 784)), ValueError, r"x: expected the shape \(n, 28, 28, 1\)"),
    (fits(x=X[:, :27]), ValueError, r"received \(8, 27, 28, 1\)"),
    (fits(x=X[:0], y=Y[:0]), ValueError, "at least one image"),
    (fits(x=NAN), ValueError, "image 5 holds NaN"),
    (fits(x=X.astype(float) + 1e300), ValueError, "image 0 holds inf"),
    (fits(x=X.astype(complex)), ValueError, "complex128"),
    (fits(x=X.astype(object)), ValueError, "object"),
    (fits(x=[X]), ValueError, "x: expected a NumPy array, received list"),
    (fits(x=None), ValueError, "received NoneType"),
    (fits(x=np.ma.masked_array(X)), ValueError, "without a mask"),
    (fits(y=None), ValueError, "y: expected labels"),
    (fits(y=Y[:7]), ValueError, "expected 8 labels, one for each image, received 7"),
    (fits(y=Y - 1), ValueError, "from 0 to 9, received -1 for sample 0"),
    (fits(y=Y + 10), ValueError, "received 10"),
    (fits(y=Y + 0.5), ValueError, "received 0.5"),
    (fits(y=Y * np.nan), ValueError, "NaN"),
    (fits(y=HOT), ValueError, r"class numbers .* compile with loss='categorical_crossentropy'"),
    (fits(y=Y.astype(str)), ValueError, "dtype <U"),
    (one_hot(Y), ValueError, "to_categorical, or compile with loss='sparse_categorical_crossentropy'"),
    (one_hot(HOT[:, :9]), ValueError, r"expected one-hot rows of the shape \(8, 10\)"),
    (one_hot(HOT * 0.9 + 0.01), NotImplementedError, "one-hot rows, a single 1 and zeros"),
    (one_hot(HOT * np.nan), ValueError, "NaN"),
    # Arguments of fit.
    (fits(sample_weight=Y), NotImplementedError, "sample_weight"),
    (fits(shuffle="batch"), NotImplementedError, "shuffle"),
    (fits(epochs=1.5), ValueError, "epochs"),
    (fits(batch_size=0), ValueError, "batch_size"),
    (fits(batch_size=True), ValueError, "batch_size"),
    (fits(validation_split=1), ValueError, "validation_split"),
    (fits(validation_split=0.99), ValueError, "validation split"),
    (fits(validation_data=(X, Y, Y)), NotImplementedError, "sample weights"),
    (fits(validation_data=X), ValueError, "validation_data"),
    (fits(validation_freq=[1, 2]), NotImplementedError, "validation_freq"),
    (fits(class_weight=[1, 2]), ValueError, "class_weight"),
    (fits(class_weight={10: 1.0}), ValueError, "from 0 to 9"),
    (fits(class_weight={1: -1.0}), ValueError, "at least 0"),
    (fits(callbacks=[Theirs()]), TypeError, "Theirs"),
    (fits(callbacks=[ours.callbacks.EarlyStopping()]), ValueError, "val_loss"),
    (fits(x=iter([]), y=None), ValueError, "steps_per_epoch"),
    (fits(x=iter([]), y=None, steps_per_epoch=1), ValueError, "no batches"),
    (fits(x=iter([X]), y=None, steps_per_epoch=1), ValueError, r"batches \(images, labels\)"),
    (fits(x=iter([(X, Y, Y)]), y=None, steps_per_epoch=1), NotImplementedError, "sample weights"),
    (fits(x=iter([(X, Y)]), steps_per_epoch=1), ValueError, "y must not be given"),
    (fits(x=iter([(X[:4], Y[:4]), (X, Y)]), y=None, steps_per_epoch=2), ValueError, "expected 1 to 4 images"),
    (fits(x=iter([(NAN, Y)]), y=None, steps_per_epoch=1), ValueError, "holds NaN"),
    # Layers.
    (lambda: layers.Conv2D(8, 3, data_format="channels_first"), NotImplementedError, "channels_last"),
    (lambda: layers.Conv2D(8, 3, activity_regularizer="l2"), NotImplementedError, "activity_regularizer"),
    (lambda: layers.Conv2D(8, 3, kernel_constraint="max_norm"), NotImplementedError, "kernel_constraint"),
    (lambda: layers.Conv2D(8, 3, colour="red"), ValueError, "colour"),
    (lambda: layers.Conv2D(8.5, 3), ValueError, "filters"),
    (lambda: layers.Conv2D(8, (3, 3, 3)), ValueError, "kernel_size"),
    (lambda: layers.Conv2D(8, 3, padding="full"), ValueError, "padding"),
    (lambda: layers.Conv2D(8, 3, activation="mish"), ValueError, "mish"),
    (lambda: layers.Conv2D(8, 3, kernel_initializer="magic"), ValueError, "magic"),
    (lambda: layers.Conv2D(8, 3, kernel_regularizer="l3"), ValueError, "l3"),
    (lambda: layers.Conv2D(8, 3, dtype="float16"), NotImplementedError, "dtype"),
    (lambda: layers.Dropout(0.5, seed=1), NotImplementedError, "set_random_seed"),
    (lambda: layers.Dropout(1.5), ValueError, "rate"),
    (lambda: layers.Dense(3)(X), NotImplementedError, "functional"),
    (lambda: layers.LSTM, AttributeError, "LSTM"),
    (lambda: ours.initializers.HeNormal(seed=1), NotImplementedError, "seed"),
    (lambda: ours.initializers.RandomNormal(stddev=1.0), NotImplementedError, "stddev"),
    (lambda: ours.models.Model, AttributeError, "Model"),
    (lambda: ours.applications, AttributeError, "applications"),
    (lambda: ours.models.Sequential([layers.Dense]), ValueError, "class"),
    (lambda: ours.models.Sequential([layers.Flatten(name="a"), layers.Flatten(name="a")]), ValueError, "'a'"),
    (
        lambda: ours.models.Sequential([layers.Conv2D(8, 9, input_shape=(5, 5, 1))]),
        ValueError,
        "conv2d",
    ),
    (
        lambda: ours.models.Sequential([layers.Conv2D(8, 3, input_shape=(28, 28))]),
        NotImplementedError,
        r"\(28, 28\)",
    ),
    (lambda: ours.models.Sequential([type("Mine", (layers.Dense,), {})(3)]), NotImplementedError, "Mine"),
    (lambda: layers.Input(batch_shape=(None, None, 28, 1)), ValueError, "received None"),
    (lambda: setattr(layers.Dropout(0.5), "rate", 0.1), AttributeError, "rate cannot be set"),
    (lambda: setattr(layers.Dense(3), "activation", "relu"), AttributeError, "activation cannot be set"),
    (lambda: setattr(small(ours).layers[0], "name", "other"), AttributeError, "belongs to a model"),
    (lambda: setattr(small(ours), "loss", "mse"), AttributeError, "no loss to set"),
    # Compiling.
    (lambda: small(ours).compile(loss="hinge"), ValueError, "hinge"),
    (lambda: small(ours).compile("adam"), ValueError, "loss"),
    (lambda: small(ours).compile("adagrad", "mse"), ValueError, "adagrad"),
    (lambda: small(ours).compile("adam", "mse", metrics=["AUC"]), NotImplementedError, "AUC"),
    (lambda: small(ours).compile("adam", "mse", metrics="accuracy"), ValueError, "list"),
    (lambda: small(ours).compile("adam", "mse", loss_weights=X), NotImplementedError, "loss_weights"),
    (lambda: small(ours).compile("adam", "mse", run_eagerly=True), NotImplementedError, "run_eagerly"),
    (lambda: small(ours).compile("adam", "binary_crossentropy"), ValueError, "sigmoid"),
    (lambda: ours.losses.CategoricalCrossentropy(from_logits=True), NotImplementedError, "from_logits"),
    (lambda: optimizers.Adam(amsgrad=True), NotImplementedError, "amsgrad"),
    (lambda: optimizers.Adam(learning_rate=-1), ValueError, "learning_rate"),
    (lambda: optimizers.Adam(learning_rate=lambda: 1), NotImplementedError, "LearningRateScheduler"),
    (lambda: optimizers.Adam(lr=1), ValueError, "lr"),
    (lambda: optimizers.Adam(beta_1=1.5) and small(ours).compile(optimizers.Adam(beta_1=1.5), "mse"), ValueError, "beta"),
    (lambda: ours.callbacks.EarlyStopping(monitor="val_auc"), NotImplementedError, "val_auc"),
    (lambda: ours.callbacks.ModelCheckpoint("x.h5"), ValueError, "keras"),
    (lambda: ours.callbacks.ModelCheckpoint("x.keras", save_weights_only=True), NotImplementedError, "save_weights_only"),
    (lambda: small(ours).predict(iter([])), ValueError, "no batches"),
    (lambda: small(ours).predict(ours.utils.Sequence(use_multiprocessing=True)), NotImplementedError, "use_multiprocessing"),
    # Models.
    (lambda: small(ours).fit(X, Y), ValueError, "compile"),
    (lambda: small(ours).evaluate(X, Y), ValueError, "compile"),
    (lambda: small(ours).predict(X[0]), ValueError, "shape"),
    (lambda: small(ours).set_weights([X]), ValueError, "expected 4 arrays"),
    (lambda: small(ours).save("model.h5"), ValueError, "keras"),
    (lambda: small(ours).save_weights("model.weights.h5"), NotImplementedError, "save"),
    (lambda: small(ours).load_weights("missing.h5"), FileNotFoundError, "missing"),
    (lambda: ours.models.load_model("missing.keras"), FileNotFoundError, "missing"),
    (lambda: pickle.dumps(small(ours)), TypeError, "save and load_model"),
    (lambda: copy.deepcopy(small(ours)), TypeError, "save and load_model"),
    (lambda: ours.utils.to_categorical([-1, 2]), ValueError, "at least 0"),
    (lambda: ours.utils.to_categorical([3], 2), ValueError, "below 2"),
    (lambda: ours.utils.to_categorical([]), ValueError, "empty"),
    (lambda: ours.datasets.mnist.load_data("missing.npz"), ValueError, "missing.npz"),
    (lambda: cnn_gpu.set_device("cuda"), ValueError, "cuda"),
    (lambda: cnn_gpu.set_device("vulkan", "no such adapter"), RuntimeError, "no such adapter"),
]


@pytest.mark.parametrize("call, error, message", REFUSED)
def test_is_refused_in_one_line(call, error, message):
    with pytest.raises(error, match=message) as found:
        call()
    assert "\n" not in str(found.value)


def test_extended_callbacks_of_the_library_are_refused():
    class Own(ours.callbacks.EarlyStopping):
        def on_epoch_end(self, epoch, logs=None):
            pass

    with pytest.raises(NotImplementedError, match="Own: .* cannot be extended"):
        fits(callbacks=[Own(monitor="loss")])()

    class Tests(ours.callbacks.Callback):
        def on_test_begin(self, logs=None):
            pass

    with pytest.raises(NotImplementedError, match="Tests: .* on_test_begin"):
        fits(callbacks=[Tests()])()


def test_devices_are_listed_and_the_current_one_is_described():
    assert cnn_gpu.device()["backend"] == "cpu"
    assert [one["backend"] for one in cnn_gpu.devices()][-1] == "cpu"


def test_damaged_files_are_errors(tmp_path):
    path = tmp_path / "damaged.keras"
    path.write_bytes(b"PK\3\4 not a file of Keras")
    with pytest.raises(OSError, match="damaged.keras"):
        ours.models.load_model(path)
