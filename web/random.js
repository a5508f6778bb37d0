'use strict';
// The program's random numbers (src/rng.rs) and initial weights (src/model/initializer.rs): a draw is a pure
// function of a key and a counter.

/** @typedef {[number, number]} Key two words of 32 bits */

/** The purposes of draws that the page shares with the program. */
const STREAMS = {init: 1, shuffle: 2, digits: 3, step: 5};

/**
 * Threefry-2x32 with 20 rounds: 64 random bits from a key and a counter.
 * @param {Key} key
 * @param {Key} counter
 * @returns {Key}
 */
function threefry(key, counter) {
  const rotations = [[13, 15, 26, 6], [17, 29, 16, 24]];
  const keys = [key[0], key[1], 0x1bd11bda ^ key[0] ^ key[1]];
  let x = (counter[0] + keys[0]) | 0;
  let y = (counter[1] + keys[1]) | 0;
  for (let block = 0; block < 5; block++) {
    for (const r of rotations[block % 2]) {
      x = (x + y) | 0;
      y = ((y << r) | (y >>> (32 - r))) ^ x;
    }
    x = (x + keys[(block + 1) % 3]) | 0;
    y = (y + keys[(block + 2) % 3] + block + 1) | 0;
  }
  return [x >>> 0, y >>> 0];
}

/** The key of a stream at one coordinate, such as a step or a parameter's index. */
const streamKey = (/** @type {Key} */ seed, /** @type {number} */ stream, /** @type {number} */ coordinate) =>
  threefry(seed, [stream, coordinate]);

/** A number in [0, 1) with 24 bits. */
const uniformOf = (/** @type {Key} */ key, /** @type {number} */ i) => (threefry(key, [i, 0])[0] >>> 8) / 2 ** 24;

/** A standard normal number (Box and Muller). */
function normalOf(/** @type {Key} */ key, /** @type {number} */ i) {
  const [a, b] = threefry(key, [i, 0]);
  const u = 1 - (a >>> 8) / 2 ** 24;
  return Math.fround(Math.sqrt(-2 * Math.log(u)) * Math.cos((2 * Math.PI * b) / 2 ** 32));
}

/** The standard deviation of the standard normal distribution truncated at two. */
const CUT_DEVIATION = 0.8796256610342398;

/**
 * The initial values of a parameter of this shape.
 * @param {string | {constant: number}} initializer as in a model file
 * @param {number[]} shape
 * @param {Key} key
 * @returns {Float32Array}
 */
function initialValues(initializer, shape, key) {
  const length = shape.reduce((a, b) => a * b, 1);
  const field = shape.slice(0, -2).reduce((a, b) => a * b, 1);
  const fanIn = shape.length > 1 ? field * shape[shape.length - 2] : length;
  const fanOut = shape.length > 1 ? field * shape[shape.length - 1] : length;
  const fill = (/** @type {(i: number) => number} */ draw) => Float32Array.from({length}, (_, i) => draw(i));
  const uniform = (/** @type {number} */ limit) => fill((i) => (uniformOf(key, i) * 2 - 1) * limit);
  const cutNormal = (/** @type {number} */ deviation) => {
    const scale = Math.fround(deviation / CUT_DEVIATION);
    return fill((i) => {
      // A draw outside the limit is repeated; each value has 64 counters of its own.
      for (let attempt = 0; attempt < 64; attempt++) {
        const x = normalOf(key, i * 64 + attempt);
        if (Math.abs(x) < 2) return x * scale;
      }
      return 0;
    });
  };
  if (typeof initializer === 'object') return fill(() => initializer.constant);
  switch (initializer) {
    case 'glorot_uniform': return uniform(Math.sqrt(6 / (fanIn + fanOut)));
    case 'glorot_normal': return cutNormal(Math.sqrt(2 / (fanIn + fanOut)));
    case 'he_uniform': return uniform(Math.sqrt(6 / fanIn));
    case 'he_normal': return cutNormal(Math.sqrt(2 / fanIn));
    case 'lecun_uniform': return uniform(Math.sqrt(3 / fanIn));
    case 'lecun_normal': return cutNormal(Math.sqrt(1 / fanIn));
    case 'random_normal': return fill((i) => Math.fround(0.05) * normalOf(key, i));
    case 'random_uniform': return uniform(0.05);
    case 'truncated_normal': return cutNormal(0.05 * CUT_DEVIATION);
    case 'dirac': return dirac(shape, fill(() => 0));
    case 'dirac_uniform': return dirac(shape, uniform(Math.sqrt(1 / fanIn)));
    case 'orthogonal': return orthogonal(shape, key);
    case 'zeros': return fill(() => 0);
    case 'ones': return fill(() => 1);
    default: throw new Error(`the page does not know the initializer ${initializer}`);
  }
}

/**
 * Lets the first filters of a kernel pass the channel of their number through.
 * @param {number[]} shape
 * @param {Float32Array} kernel changed in place
 * @returns {Float32Array}
 */
function dirac(shape, kernel) {
  const [fanIn, fanOut] = shape.slice(-2);
  const field = shape.slice(0, -2);
  const centre = field.reduce((index, size) => index * size + Math.floor(size / 2), 0);
  const cells = field.reduce((a, b) => a * b, 1);
  for (let filter = 0; filter < Math.min(fanIn, fanOut); filter++) {
    for (let cell = 0; cell < cells; cell++) {
      for (let channel = 0; channel < fanIn; channel++) {
        kernel[(cell * fanIn + channel) * fanOut + filter] = cell === centre && channel === filter ? 1 : 0;
      }
    }
  }
  return kernel;
}

/**
 * A matrix with orthonormal columns, or rows if there are fewer: Gram and Schmidt's process on normal draws.
 * @param {number[]} shape
 * @param {Key} key
 */
function orthogonal(shape, key) {
  const columns = shape[shape.length - 1] ?? 1;
  const rows = shape.reduce((a, b) => a * b, 1) / columns;
  const [count, length] = [Math.min(rows, columns), Math.max(rows, columns)];
  /** @type {Float64Array[]} */
  const basis = [];
  for (let v = 0; v < count; v++) {
    const draws = Float64Array.from({length}, (_, i) => normalOf(key, v * length + i));
    // Twice: one pass is inaccurate for nearly parallel vectors.
    for (const other of [...basis, ...basis]) {
      let dot = 0;
      for (let i = 0; i < length; i++) dot += draws[i] * other[i];
      for (let i = 0; i < length; i++) draws[i] -= dot * other[i];
    }
    const norm = Math.sqrt(draws.reduce((sum, a) => sum + a * a, 0));
    basis.push(draws.map((a) => a / norm));
  }
  return Float32Array.from({length: rows * columns}, (_, at) => {
    const [r, c] = [Math.floor(at / columns), at % columns];
    return rows < columns ? basis[r][c] : basis[c][r];
  });
}
