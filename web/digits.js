'use strict';
// The program's built-in digits (src/data/digits), drawn in the page: synthetic handwriting, each sample a pure
// function of a seed and an index. The skeletons come from the program itself, in skeletons.js; only the last bits
// of the arithmetic differ.

/**
 * A node of a stroke: x, y, and 1 at a corner.
 * @typedef {number[]} StrokeNode
 *
 * A way to write a digit.
 * @typedef {{weight: number, strokes: StrokeNode[][]}} Style
 *
 * @typedef {[number, number]} Point
 */

/** Height and width of a digit. */
const DIGIT_SIDE = 28;
/** The seed of the program's data set `digits`. */
const DIGIT_SEED = /** @type {Key} */ ([28, 0]);
/** The index of its first test digit. */
const FIRST_TEST_DIGIT = 60000;

/** Successive random numbers of one sample. */
class Draws {
  constructor(/** @type {Key} */ key) {
    this.key = key;
    this.next = 0;
  }

  pair() {
    return threefry(this.key, [this.next++, 0]);
  }

  /** A whole number below `n`. */
  below(/** @type {number} */ n) {
    return Math.floor((this.pair()[0] * n) / 2 ** 32);
  }

  /** A number from `low` to `high`. */
  range(/** @type {number} */ low, /** @type {number} */ high) {
    return low + (high - low) * ((this.pair()[0] >>> 8) / 2 ** 24);
  }

  /** A nearly normal number: the sum of four uniform ones. */
  bell() {
    const [a, b] = this.pair();
    const sum = (a & 0xffff) + (a >>> 16) + (b & 0xffff) + (b >>> 16);
    return (sum / 65536 - 2) * 1.7320508;
  }
}

/** Samples of the built-in digits: `count` of them from index `first` on. */
function drawDigits(/** @type {number} */ first, /** @type {number} */ count) {
  const images = new Uint8Array(count * DIGIT_SIDE * DIGIT_SIDE);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const draws = new Draws(streamKey(DIGIT_SEED, STREAMS.digits, first + i));
    labels[i] = draws.below(SKELETONS.length);
    images.set(drawDigit(SKELETONS[labels[i]], draws), i * DIGIT_SIDE * DIGIT_SIDE);
  }
  return {images, labels};
}

/** One digit in one of its styles. */
function drawDigit(/** @type {Style[]} */ styles, /** @type {Draws} */ draws) {
  const {strokes} = pickStyle(styles, draws);
  // Some writers are careful, some are not.
  const jitter = draws.range(0.01, 0.055);
  const bend = draws.range(0.01, 0.08);
  const distort = drawDistortion(bend, draws);
  const lines = strokes.map((nodes) => trimLine(traceStroke(nodes, jitter, draws), 0.07, draws).map(distort));
  const nodes = strokes.reduce((sum, stroke) => sum + stroke.length, 0);
  const bell = draws.bell();
  const pen = {
    radius: clamp(1.27 + 0.38 * bell + 0.06 * bell * bell, 0.65, 3.2 - 0.09 * nodes),
    pressure: [0, 0, 0].map(() => 1 + 0.1 * draws.bell()),
    softness: draws.range(0.9, 1.5),
  };
  return renderLines(lines, pen);
}

const clamp = (/** @type {number} */ x, /** @type {number} */ low, /** @type {number} */ high) =>
  Math.min(Math.max(x, low), high);

function pickStyle(/** @type {Style[]} */ styles, /** @type {Draws} */ draws) {
  let ticket = draws.below(styles.reduce((sum, style) => sum + style.weight, 0));
  for (const style of styles) {
    if (ticket < style.weight) return style;
    ticket -= style.weight;
  }
  return styles[0];
}

// Curves.

/** A stroke through displaced nodes, six straight pieces to a span. */
function traceStroke(/** @type {StrokeNode[]} */ nodes, /** @type {number} */ jitter, /** @type {Draws} */ draws) {
  /** @type {Point[]} */
  const points = nodes.map(([x, y]) => [x + jitter * draws.bell(), y + jitter * draws.bell()]);
  const line = [points[0]];
  for (let span = 0; span + 1 < points.length; span++) {
    const [from, to] = [points[span], points[span + 1]];
    // At a corner, as at an end, the neighbour beyond it does not bend the curve.
    const before = span === 0 || nodes[span][2] ? from : points[span - 1];
    const after = span + 2 === points.length || nodes[span + 1][2] ? to : points[span + 2];
    for (let step = 1; step <= 6; step++) {
      const at = (/** @type {0 | 1} */ axis) => catmullRom(before[axis], from[axis], to[axis], after[axis], step / 6);
      line.push([at(0), at(1)]);
    }
  }
  return line;
}

/** The Catmull-Rom spline from `b` at t = 0 to `c` at t = 1. */
const catmullRom = (
  /** @type {number} */ a, /** @type {number} */ b, /** @type {number} */ c, /** @type {number} */ d,
  /** @type {number} */ t,
) => b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));

/** Cuts up to a share `most` of a stroke's points from each end, as in hasty writing. */
function trimLine(/** @type {Point[]} */ line, /** @type {number} */ most, /** @type {Draws} */ draws) {
  const head = Math.floor(line.length * draws.range(0, most));
  const tail = Math.floor(line.length * draws.range(0, most));
  return head + tail + 2 <= line.length ? line.slice(head, line.length - tail) : line;
}

// Distortions.

/** A random smooth map of the plane: displacements on a grid, then rotation, slant and aspect ratio. */
function drawDistortion(/** @type {number} */ bend, /** @type {Draws} */ draws) {
  const cells = 3;
  const grid = Array.from({length: (cells + 1) ** 2}, () => [bend * draws.bell(), bend * draws.bell()]);
  const aspect = clamp(0.85 + 0.2 * draws.bell(), 0.6, 1.6);
  // Most people's writing leans to the right.
  const slant = -(0.12 + 0.26 * draws.bell());
  const half = 0.06 * draws.bell();
  const norm = 1 + half * half;
  const [cos, sin] = [(1 - half * half) / norm, (2 * half) / norm];
  /** The grid cell of a coordinate, and the position in it, eased so that cells join smoothly. */
  const cell = (/** @type {number} */ coordinate) => {
    const scaled = clamp(coordinate, 0, 1) * cells;
    const index = Math.min(Math.floor(scaled), cells - 1);
    const t = scaled - index;
    return {index, t: t * t * (3 - 2 * t)};
  };
  return (/** @type {Point} */ point) => {
    const [column, row] = [cell(point[0]), cell(point[1])];
    const moved = (/** @type {0 | 1} */ axis) => {
      const at = (/** @type {number} */ r, /** @type {number} */ c) => grid[r * (cells + 1) + c][axis];
      const across = (/** @type {number} */ r) =>
        at(r, column.index) + (at(r, column.index + 1) - at(r, column.index)) * column.t;
      const [top, bottom] = [across(row.index), across(row.index + 1)];
      return point[axis] + top + (bottom - top) * row.t - 0.5;
    };
    const [x, y] = [moved(0), moved(1)];
    return /** @type {Point} */ ([cos * aspect * x + (cos * slant - sin) * y, sin * aspect * x + (sin * slant + cos) * y]);
  };
}

// Rendering.

/** @typedef {{radius: number, pressure: number[], softness: number}} Pen */

/** Scales the strokes to the box of 20x20 pixels, draws them, and centres them by mass. */
function renderLines(/** @type {Point[][]} */ lines, /** @type {Pen} */ pen) {
  const all = lines.flat();
  const low = [0, 1].map((axis) => Math.min(...all.map((point) => point[axis])));
  const high = [0, 1].map((axis) => Math.max(...all.map((point) => point[axis])));
  const scale = (20 - 2 * pen.radius) / Math.max(high[0] - low[0], high[1] - low[1], 0.05);
  const canvas = new Float32Array(DIGIT_SIDE * DIGIT_SIDE);
  for (const line of lines) {
    const placed = line.map((point) =>
      [0, 1].map((axis) => (point[axis] - 0.5 * (low[axis] + high[axis])) * scale + 14));
    const radius = (/** @type {number} */ i) => pen.radius * pressureAt(pen.pressure, i / (Math.max(line.length, 2) - 1));
    for (let i = 0; i + 1 < placed.length; i++) {
      drawSegment(canvas, placed[i], placed[i + 1], [radius(i), radius(i + 1)], pen.softness);
    }
  }
  return centredInk(canvas);
}

/** Interpolates the three pressures along a stroke. */
const pressureAt = (/** @type {number[]} */ [start, middle, end], /** @type {number} */ t) =>
  t < 0.5 ? start + (middle - start) * 2 * t : middle + (end - middle) * (2 * t - 1);

/**
 * @param {Float32Array} canvas
 * @param {number[]} a
 * @param {number[]} b
 * @param {number[]} radii
 * @param {number} softness
 */
function drawSegment(canvas, a, b, radii, softness) {
  const reach = Math.max(...radii) + softness;
  const [from, to] = [0, 1].map((which) => [0, 1].map((axis) => which === 0
    ? clamp(Math.floor(Math.min(a[axis], b[axis]) - reach), 0, DIGIT_SIDE)
    : clamp(Math.floor(Math.max(a[axis], b[axis]) + reach + 1), 0, DIGIT_SIDE)));
  const along = [b[0] - a[0], b[1] - a[1]];
  const inverse = 1 / Math.max(along[0] ** 2 + along[1] ** 2, 1e-6);
  for (let row = from[1]; row < to[1]; row++) {
    for (let column = from[0]; column < to[0]; column++) {
      const [x, y] = [column + 0.5 - a[0], row + 0.5 - a[1]];
      const t = clamp((x * along[0] + y * along[1]) * inverse, 0, 1);
      const distance = Math.sqrt((x - t * along[0]) ** 2 + (y - t * along[1]) ** 2);
      const ink = (radii[0] + (radii[1] - radii[0]) * t - distance) / softness + 0.5;
      const at = row * DIGIT_SIDE + column;
      canvas[at] = Math.max(canvas[at], Math.min(ink, 1));
    }
  }
}

/** The canvas as bytes, moved by whole pixels until its centre of mass is in the middle. */
function centredInk(/** @type {Float32Array} */ canvas) {
  let [mass, x, y] = [0, 0, 0];
  canvas.forEach((ink, at) => {
    mass += ink;
    x += ink * ((at % DIGIT_SIDE) + 0.5);
    y += ink * (Math.floor(at / DIGIT_SIDE) + 0.5);
  });
  const shift = (/** @type {number} */ moment) =>
    Math.floor(clamp(DIGIT_SIDE / 2 - moment / Math.max(mass, 1e-6), -4, 4) + 4.5) - 4;
  const [right, down] = [shift(x), shift(y)];
  const image = new Uint8Array(canvas.length);
  for (let at = 0; at < image.length; at++) {
    const [row, column] = [Math.floor(at / DIGIT_SIDE) - down, (at % DIGIT_SIDE) - right];
    if (row >= 0 && row < DIGIT_SIDE && column >= 0 && column < DIGIT_SIDE) {
      image[at] = Math.floor(canvas[row * DIGIT_SIDE + column] * 255 + 0.5);
    }
  }
  return image;
}
