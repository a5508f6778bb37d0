'use strict';
// Colours for numbers, the same as in the program's reports: viridis of Matplotlib for amounts, and blue over white
// to red (RdBu of ColorBrewer) for signed weights.

/** @typedef {(value: number) => [number, number, number]} Ramp from 0..1 to red, green and blue */

/** @returns {Ramp} */
function rampOf(/** @type {string} */ anchors) {
  const colours = anchors.split(' ').map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  /** @type {[number, number, number][]} */
  const table = Array.from({length: 255}, (_, i) => {
    const place = (i / 254) * (colours.length - 1);
    const low = Math.min(Math.floor(place), colours.length - 2);
    const mix = (/** @type {number} */ c) =>
      Math.round(colours[low][c] + (place - low) * (colours[low + 1][c] - colours[low][c]));
    return [mix(0), mix(1), mix(2)];
  });
  // A value that is not a number gets the first colour.
  return (value) => table[value > 0 ? Math.round(Math.min(value, 1) * 254) : 0];
}

const AMOUNT = rampOf('440154 482475 414487 355f8d 2a788e 21918c 22a884 44bf70 7ad151 bddf26 fde725');
const SIGN = rampOf('053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f');

/** The amounts as pixels, red in the lowest byte, for pictures of many cells. */
const AMOUNT_PIXELS = Uint32Array.from({length: 255}, (_, i) => {
  const [r, g, b] = AMOUNT(i / 254);
  return (255 << 24) | (b << 16) | (g << 8) | r;
});

/** The smallest and the largest finite value; zeros if there is none. */
function rangeOf(/** @type {ArrayLike<number>} */ values) {
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < values.length; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high && values[i] !== Infinity) high = values[i];
  }
  return low <= high ? {low, high} : {low: 0, high: 0};
}

/** The largest magnitude. */
const largestOf = (/** @type {ArrayLike<number>} */ values) => {
  const {low, high} = rangeOf(values);
  return Math.max(-low, high);
};

/** A number as a share of a range. */
const shareOf = (/** @type {number} */ value, /** @type {{low: number, high: number}} */ {low, high}) =>
  high > low ? (value - low) / (high - low) : 0.5;

/** A signed number as a place on the ramp of signs. */
const signOf = (/** @type {number} */ value, /** @type {number} */ most) => (most > 0 ? 0.5 + value / (2 * most) : 0.5);

const css = (/** @type {number[]} */ [r, g, b]) => `rgb(${r} ${g} ${b})`;

/** Black or white, whichever is readable on a colour. */
const readableOn = (/** @type {number[]} */ [r, g, b]) => (0.299 * r + 0.587 * g + 0.114 * b > 140 ? '#1b1f24' : '#ffffff');

/** A small number with three digits and a real minus sign. */
function brief(/** @type {number} */ value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  const size = Math.abs(value);
  const text = size === 0 ? '0' : size < 0.001 ? size.toExponential(0) : size < 10 ? size.toFixed(size < 0.1 ? 3 : 2)
    : size < 1000 ? size.toFixed(1) : size.toPrecision(4);
  return (value < 0 && Number(text) !== 0 ? '−' : '') + text.replace('e-', 'e−').replace('e+', 'e');
}

/** A share in per cent, as in the reports. */
function percent(/** @type {number} */ share) {
  if (!Number.isFinite(share)) return '–';
  if (share > 0 && share < 0.001) return '< 0.1 %';
  if (share < 1 && share > 0.999) return '> 99.9 %';
  return `${(share * 100).toFixed(1)} %`;
}

const counted = (/** @type {number} */ n, /** @type {string} */ word) =>
  `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;
