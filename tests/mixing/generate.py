"""Writes keras.safetensors: what Keras's MixUp and CutMix, losses and accuracy make of the numbers that this program
draws.

    pip install jax keras safetensors
    KERAS_BACKEND=jax python tests/mixing/generate.py

The draws are those of src/rng.rs, src/plan/op/mix.rs and src/plan/op/beta.rs, written down a second time. tests/mixing.rs
has the same cases. The metadata state the versions.
"""

import math
import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights
from safetensors.numpy import save_file

SEED = 7
SHAPE = (9, 7, 6, 3)
# The last rows of a batch may be empty.
VALID = 8
CLASSES = 3
CLASS_WEIGHT = {0: 2.0, 2: 0.25}
SMOOTHING = 0.1
# The name, alpha for MixUp, factor for CutMix, and the steps.
CASES = [("mixup", 0.2, None, [1, 2]), ("cutmix", None, 1.0, [1, 2]), ("both", 1.0, 0.5, [1, 2, 3, 4])]
MASK = 0xFFFFFFFF


def threefry(key, counter):
    keys = [key[0], key[1], 0x1BD11BDA ^ key[0] ^ key[1]]
    x, y = (counter[0] + keys[0]) & MASK, (counter[1] + keys[1]) & MASK
    for block in range(5):
        for r in [[13, 15, 26, 6], [17, 29, 16, 24]][block % 2]:
            x = (x + y) & MASK
            y = ((y << r) | (y >> (32 - r))) & MASK ^ x
        x = (x + keys[(block + 1) % 3]) & MASK
        y = (y + keys[(block + 2) % 3] + block + 1) & MASK
    return x, y


def high(a, b):
    return (a * b) >> 32


def alternating(x, coefficients):
    value = coefficients[-1]
    for k in coefficients[-2::-1]:
        value = k - high(x, value)
    return high(x, value)


EXPONENTIAL = [int(2**32 * math.log(2) ** i / math.factorial(i) + 0.5) for i in range(1, 9)]
SINE = [int(2**31 * (math.pi / 2) ** (2 * k) / math.factorial(2 * k) + 0.5) for k in range(1, 7)]


def root_of_uniform(u, a):
    u = max(u, 1)
    zeros = 32 - u.bit_length()
    mantissa, fraction = u << zeros, 0
    for _ in range(26):
        square = high(mantissa, mantissa)
        fraction = fraction << 1 | square >> 31
        mantissa = square << (1 - (square >> 31))
    quotient, rest = divmod(((zeros + 1) << 26) - fraction, a)
    if quotient >> 10 > 31:
        return 0
    x = ((quotient & 1023) << 10 | (rest << 10) // a) << 12
    return (MASK - alternating(x, EXPONENTIAL)) >> (quotient >> 10)


def symmetric_beta(a, uniform, angle):
    """In units of 2^-24."""
    p = root_of_uniform(uniform, a)
    v = (angle << 2) & MASK
    c = alternating(high(v, v), SINE)
    if angle >> 30 & 1:
        c = MASK - c
    numerator, divisor = (c - high(p, c)) >> 1, (c + high(p, MASK - c)) >> 1
    quotient = min((numerator << 32) // divisor, MASK) if divisor else MASK
    root = math.isqrt(quotient)
    return (65536 + root if angle >> 31 else 65536 - root) << 7


def mixed(kind, alpha, factor, t, images, one_hot):
    """The images and labels of the valid rows, and the name of what was done."""
    key = threefry([SEED, 0], [5, t])
    draw = lambda row, i: threefry(key, [row * 8 + i, 0])
    units = lambda a: max(round(a * 65536), 1)
    which, distance = draw(0, 2)
    cuts = factor is not None and (alpha is None or which >= 2**31)
    concentration = units(0.0) + high(draw(0, 3)[0], units(factor) - units(0.0)) if cuts else units(alpha)
    shift = 1 + high(distance, VALID - 1)
    shares = [symmetric_beta(concentration, *draw(row, 0)) for row in range(VALID)]
    transformation = {"permutation_order": np.array([(row + shift) % VALID for row in range(VALID)])}
    if cuts:
        layer = keras.layers.CutMix(factor)
        roots = np.array([math.isqrt(2**24 - share) for share in shares], np.float64)
        corners = []
        for size, i in [(SHAPE[2], 1), (SHAPE[1], 0)]:
            place = np.array([draw(row, 1)[i] >> 20 for row in range(VALID)], np.float64)
            start = place * (4096 - roots)
            corners += [start * size / 2**24, (start + roots * 4096) * size / 2**24]
        shape = (VALID, *SHAPE[1:])
        masks, weight = layer._generate_batch_mask(shape, [np.asarray(corner, np.float32) for corner in corners])
        transformation |= {"batch_masks": masks, "mix_weight": weight}
    else:
        layer = keras.layers.MixUp(alpha)
        transformation["mix_weight"] = np.array(shares, np.float32) / np.float32(2**24)
    return (
        np.asarray(layer.transform_images(images[:VALID], transformation)),
        np.asarray(layer.transform_labels(one_hot[:VALID], transformation)),
    )


def losses(targets, logits):
    """Loss, number of correct rows and gradient of the logits under each loss, with class weights. The single output
    is that of class 1, for which Keras's accuracy counts no mixed row."""
    weights = class_weight_to_sample_weights(targets, CLASS_WEIGHT)
    single = targets[:, 1:2]
    of_single = class_weight_to_sample_weights(single, CLASS_WEIGHT)
    smoothed = {"from_logits": True, "label_smoothing": SMOOTHING}
    kinds = {
        "categorical": lambda x: keras.losses.CategoricalCrossentropy(**smoothed)(targets, x, sample_weight=weights),
        "binary": lambda x: keras.losses.BinaryCrossentropy(**smoothed)(targets, x, sample_weight=weights),
        "squared": lambda x: keras.losses.MeanSquaredError()(targets, x, sample_weight=weights),
        "single": lambda x: keras.losses.BinaryCrossentropy(**smoothed)(single, x, sample_weight=of_single),
    }
    for name, loss in kinds.items():
        x = logits[:, :1] if name == "single" else logits
        value, gradient = jax.value_and_grad(loss)(jnp.asarray(x))
        correct = np.sum(np.asarray(keras.metrics.categorical_accuracy(targets, logits)))
        yield name, np.asarray([value, correct], np.float32), np.asarray(gradient)


def main():
    random = np.random.default_rng(1)
    images = random.uniform(0, 1, SHAPE).astype(np.float32)
    labels = random.integers(0, CLASSES, SHAPE[0])
    labels[VALID:] = 0
    one_hot = np.eye(CLASSES, dtype=np.float32)[labels]
    logits = random.normal(0, 2, (SHAPE[0], CLASSES)).astype(np.float32)
    tensors = {"images": images, "labels": labels.astype(np.float32), "logits": logits}
    for kind, alpha, factor, steps in CASES:
        for t in steps:
            x, targets = mixed(kind, alpha, factor, t, images, one_hot)
            tensors[f"{kind} {t} images"], tensors[f"{kind} {t} labels"] = x, targets
            for loss, values, gradient in losses(targets, logits[:VALID]):
                tensors[f"{kind} {t} {loss}"] = values
                tensors[f"{kind} {t} {loss} gradient"] = gradient
    versions = {"keras": keras.__version__, "jax": jax.__version__, "numpy": np.__version__}
    tensors = {name: np.ascontiguousarray(values, np.float32) for name, values in tensors.items()}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keras.safetensors")
    save_file(tensors, path, metadata=versions)
    print(versions, len(tensors), "tensors,", os.path.getsize(path), "bytes")


main()
