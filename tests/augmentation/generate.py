"""Writes keras.safetensors: images that Keras's augmentation layers make of the numbers that this program draws.

    pip install jax keras safetensors
    KERAS_BACKEND=jax python tests/augmentation/generate.py

The draws are those of src/rng.rs and src/plan/op: Threefry-2x32-20 under the key of step STEP of a run with seed
SEED, a series per layer, eight draws per row of the batch. Each case is a tensor under its name; tests/augmentation.rs
has the same cases. The metadata state the versions. With JAX, because TensorFlow's `wrap` repeats an image with one
pixel too few and does not interpolate between its ends.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np
from keras import layers
from safetensors.numpy import save_file

SEED, STEP = 7, 3
SHAPE = (9, 7, 6, 3)
# Large enough for a blur.
ELASTIC = (6, 24, 20, 2)
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


KEY = threefry([SEED, 0], [5, STEP])


def bits(series, i):
    return np.array([threefry(KEY, [row * 8 + i, series])[0] for row in range(SHAPE[0])], np.uint64)


def uniform(series, i, lower, upper):
    return lower + (upper - lower) * (bits(series, i) >> np.uint64(8)).astype(np.float64) / 2**24


def sign(series, i):
    return np.where(bits(series, i) >= 2**31, -1.0, 1.0)


def normals(series, count):
    words = np.array([threefry(KEY, [i, series]) for i in range(count)], np.uint64)
    a, b = ((words >> np.uint64(8)).astype(np.float64) / 2**24).T
    return np.sqrt(-2 * np.log(1 - a)) * np.cos(2 * np.pi * b)


def normal(series):
    return normals(series, int(np.prod(SHAPE))).reshape(SHAPE)


def column(values):
    return np.asarray(values, np.float32)[:, None]


def transformed(layer, transformation, x):
    return np.asarray(layer.transform_images(x, transformation, training=True))


def flip(x, series):
    for i, mode in enumerate(["horizontal", "vertical"]):
        flips = (sign(series, i) < 0)[:, None, None, None]
        x = transformed(layers.RandomFlip(mode), {"flips": flips, "input_shape": x.shape}, x)
    return x


def rotation_matrix(series, lower, upper):
    zeros = np.zeros(SHAPE[0], np.float32)
    angle = np.asarray(uniform(series, 0, lower, upper) * 360, np.float32)
    return layers.RandomRotation(0.1)._compute_affine_matrix(
        center_x=0.5, center_y=0.5, angle=angle, translate_x=zeros, translate_y=zeros, scale=zeros + 1,
        shear_x=zeros, shear_y=zeros, height=SHAPE[1], width=SHAPE[2])


def rotation(x, series, **kwargs):
    return transformed(layers.RandomRotation((-0.5, 1.0), **kwargs),
                       {"rotation_matrix": rotation_matrix(series, -0.5, 1.0)}, x)


def translation(x, series, **kwargs):
    down, right = uniform(series, 0, -0.75, 0.75) * SHAPE[1], uniform(series, 1, -0.25, 0.5) * SHAPE[2]
    shifts = np.concatenate([column(right), column(down)], 1)
    return transformed(layers.RandomTranslation(0.75, (-0.25, 0.5), **kwargs), {"translations": shifts}, x)


def zoom(x, series, width=False, **kwargs):
    rows = column(1 + uniform(series, 0, -0.5, 0.75))
    columns = column(1 + uniform(series, 1, 0.0, 0.25)) if width else rows
    return transformed(layers.RandomZoom((-0.5, 0.75), **kwargs), {"height_zoom": rows, "width_zoom": columns}, x)


def shear(x, series, **kwargs):
    s = sign(series, 0)
    factors = np.concatenate([column(s * uniform(series, 1, -0.5, 0.5)), column(s * uniform(series, 2, 0.1, 0.4))], 1)
    return transformed(layers.RandomShear(0.5, (0.1, 0.4), **kwargs), {"shear_factor": factors}, x)


def joined(x):
    """A flip, a rotation and a zoom as one transformation."""
    h, w = SHAPE[1:3]
    full = lambda m: np.concatenate([np.asarray(m, np.float64), np.ones((SHAPE[0], 1))], 1).reshape(-1, 3, 3)
    flips = np.zeros((SHAPE[0], 8))
    sx, sy = sign(0, 0), sign(0, 1)
    flips[:, 0], flips[:, 2] = sx, np.where(sx < 0, w - 1, 0)
    flips[:, 4], flips[:, 5] = sy, np.where(sy < 0, h - 1, 0)
    rows = column(1 + uniform(2, 0, -0.5, 0.75))
    zooms = layers.RandomZoom(0.1)._get_zoom_matrix(np.concatenate([rows, rows], 1), h, w)
    matrix = full(flips) @ full(rotation_matrix(1, -0.5, 1.0)) @ full(zooms)
    return np.asarray(keras.ops.image.affine_transform(
        x, matrix.reshape(-1, 9)[:, :8].astype(np.float32), interpolation="bilinear", fill_mode="reflect"))


def contrast(x):
    factor = uniform(0, 0, 0.75, 1.5).astype(np.float32)[:, None, None, None]
    return transformed(layers.RandomContrast((0.25, 0.5), value_range=(0, 1)), {"contrast_factor": factor}, x)


def brightness(x):
    delta = uniform(0, 0, -0.5, 0.25).astype(np.float32)[:, None, None, None]
    return transformed(layers.RandomBrightness((-0.5, 0.25), value_range=(0, 1)), {"rgb_delta": delta}, x)


def erasing(x, fill_value):
    layer = layers.RandomErasing(1.0, fill_value=fill_value, value_range=(0, 1))
    low, extent = round(0.02 * 2**24), round(0.33 * 2**16) - round(0.02 * 2**16)
    corners = []
    for size, place, length in [(2, 4, SHAPE[2]), (3, 5, SHAPE[1])]:
        square = low + ((extent * (bits(0, size) >> np.uint64(16))) >> np.uint64(8))
        root = np.floor(np.sqrt(square.astype(np.float64)))
        start = (bits(0, place) >> np.uint64(20)).astype(np.float64) * (4096 - root)
        corners += [start * length / 2**24, (start + root * 4096) * length / 2**24]
    masks = layer._generate_batch_mask(SHAPE, corners)
    probability = bits(0, 0) >> np.uint64(16)
    filling = normal(1) if fill_value is None else np.full(SHAPE, fill_value)
    return transformed(layer, {
        "apply_erasing": (bits(0, 1) >> np.uint64(16)) < (65536 * probability >> np.uint64(16)),
        "batch_masks": masks,
        "fill_value": np.clip(filling, 0, 1).astype(np.float32),
    }, x)


def elastic(x, **kwargs):
    """Keras asks JAX for the noise of both axes with one seed, which gives the same numbers twice; here each has its own."""
    layer = layers.RandomElasticTransform((0.5, 1.0), scale=(0.5, 1.0), value_range=(0, 1), **kwargs)
    low = 2**15
    sixteen = lambda i: bits(0, i)[:len(x)] >> np.uint64(16)
    share = lambda words: low + ((low * words) >> np.uint64(16)).astype(np.int64)
    pixels = int(np.prod(x.shape[:3]))
    noise = [normals(series, pixels).reshape(x.shape[:3]).astype(np.float32) for series in (1, 2)]
    drawn = jax.random.normal
    jax.random.normal = lambda seed, shape, dtype: noise.pop(0)
    try:
        return transformed(layer, {
            "apply_transform": sixteen(1).astype(np.int64) < share(sixteen(0)),
            "distortion_factor": np.float32(share(sixteen(2))[0] / 65536),
            "seed": keras.random.SeedGenerator(1),
        }, x)
    finally:
        jax.random.normal = drawn


def crop(x, rows, columns):
    layer = layers.RandomCrop(rows, columns)
    if SHAPE[1] > rows and SHAPE[2] > columns:
        places = [int(((bits(0, i) >> np.uint64(16))[0] * np.uint64(n)) >> np.uint64(16))
                  for i, n in enumerate([SHAPE[1] - rows + 1, SHAPE[2] - columns + 1])]
    else:
        places = layer.get_random_transformation(x, training=True)
    return transformed(layer, places, x)


def cropped_after_flip(x):
    # The series of the crop follows that of the flip.
    rows, columns = 5, 3
    places = [int(((bits(1, i) >> np.uint64(16))[0] * np.uint64(n)) >> np.uint64(16))
              for i, n in enumerate([SHAPE[1] - rows + 1, SHAPE[2] - columns + 1])]
    return transformed(layers.RandomCrop(rows, columns), places, flip(x, 0))


def main():
    random = np.random.default_rng(1)
    x = random.uniform(0, 1, SHAPE).astype(np.float32)
    cases = {"input": x, "flip": flip(x, 0)}
    for mode in ["reflect", "constant", "nearest", "wrap"]:
        for interpolation in ["bilinear", "nearest"]:
            how = {"fill_mode": mode, "interpolation": interpolation, "fill_value": 0.375}
            cases[f"rotation {mode} {interpolation}"] = rotation(x, 0, **how)
            cases[f"translation {mode} {interpolation}"] = translation(x, 0, **how)
    cases["zoom"] = zoom(x, 0)
    cases["zoom width"] = zoom(x, 0, width=True)
    cases["shear"] = shear(x, 0)
    cases["joined"] = joined(x)
    cases["contrast"] = contrast(x)
    cases["brightness"] = brightness(x)
    cases["erasing value"] = erasing(x, 0.5)
    cases["erasing noise"] = erasing(x, None)
    cases["noise"] = x + np.float32(0.25) * normal(0).astype(np.float32)
    cases["crop"] = crop(x, 5, 3)
    cases["crop flipped"] = cropped_after_flip(x)
    cases["crop narrow"] = crop(x, 7, 4)
    cases["crop large"] = crop(x, 9, 10)
    for rows, columns in [(5, 3), (7, 4), (9, 10), (3, 3)]:
        # Keras 3.15 resizes in inference by its description and not by its code: as this layer does.
        centre = layers.Resizing(rows, columns, crop_to_aspect_ratio=True)
        cases[f"centre {rows} {columns}"] = np.asarray(centre(x))
    large = random.uniform(0, 1, ELASTIC).astype(np.float32)
    cases["elastic input"] = large
    cases["elastic"] = elastic(large)
    cases["elastic constant"] = elastic(large, fill_mode="constant", fill_value=0.375)
    cases["elastic nearest"] = elastic(large, fill_mode="wrap", interpolation="nearest")
    versions = {"keras": keras.__version__, "jax": jax.__version__, "numpy": np.__version__}
    cases = {name: np.ascontiguousarray(values, np.float32) for name, values in cases.items()}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keras.safetensors")
    save_file(cases, path, metadata=versions)
    print(versions, len(cases), "tensors,", os.path.getsize(path), "bytes")


main()
