'use strict';
// Turns a drawing into an image like MNIST's, and a picture into one of the network's size, by the rules with which
// `cnn-gpu predict` prepares pictures (src/data/prepare.rs and src/data/picture/resize.rs).

/** @typedef {{width: number, height: number, channels: number, data: Uint8Array}} Pixels */

/** Height and width of a prepared digit, and of the box around its ink. */
const FIELD = 28;
const INK_BOX = 20;

/** The digit in a grey picture as 28x28 bytes; null if the picture has a single colour. */
function prepareDigit(/** @type {Pixels} */ grey) {
  const ink = inkOf(grey);
  // A picture of MNIST's own size has no noise.
  const box = ink && boundsOf(ink, grey.width === FIELD && grey.height === FIELD ? 1 : 32);
  if (!ink || !box) return null;
  const fitted = fitBox(cropped(ink, box));
  // Thin lines fade when scaled down.
  const most = Math.max(1, fitted.data.reduce((a, b) => Math.max(a, b), 0));
  fitted.data = fitted.data.map((value) => Math.floor((value * 255 + (most >> 1)) / most));
  return centredByMass(fitted);
}

/** How much each pixel differs from the background, which is the median of the border. */
function inkOf(/** @type {Pixels} */ grey) {
  const {width, height, data} = grey;
  const border = [...data.subarray(0, width), ...data.subarray((height - 1) * width)];
  for (let y = 0; y < height; y++) border.push(data[y * width], data[(y + 1) * width - 1]);
  border.sort((a, b) => a - b);
  const background = border[border.length >> 1];
  const side = background > 127 ? -1 : 1;
  const above = (/** @type {number} */ value) => side * (value - background);
  // A twentieth of the border may be a digit that touches it.
  const spread = border.map(above).sort((a, b) => a - b);
  const noise = Math.min(Math.max(spread[Math.floor((spread.length * 19) / 20)], 0), 127);
  const most = data.reduce((most, value) => Math.max(most, above(value)), -255);
  if (most - noise < 16) return null;
  const scaled = (/** @type {number} */ value) =>
    Math.floor((Math.max(above(value) - noise, 0) * 255 + ((most - noise) >> 1)) / (most - noise));
  return {...grey, data: data.map(scaled)};
}

/** The smallest box around all ink that is not faint. */
function boundsOf(/** @type {Pixels} */ {width, data}, /** @type {number} */ faint) {
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  data.forEach((ink, at) => {
    if (ink < faint) return;
    const [x, y] = [at % width, Math.floor(at / width)];
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
  });
  return right < 0 ? null : {left, top, width: right - left + 1, height: bottom - top + 1};
}

/** @returns {Pixels} */
function cropped(/** @type {Pixels} */ image, /** @type {{left: number, top: number, width: number, height: number}} */ box) {
  const data = new Uint8Array(box.width * box.height);
  for (let y = 0; y < box.height; y++) {
    const start = (box.top + y) * image.width + box.left;
    data.set(image.data.subarray(start, start + box.width), y * box.width);
  }
  return {width: box.width, height: box.height, channels: 1, data};
}

/** Scales the longer side to that of the box. */
function fitBox(/** @type {Pixels} */ image) {
  const longer = Math.max(image.width, image.height);
  const scaled = (/** @type {number} */ side) => Math.max(1, Math.floor((side * INK_BOX + (longer >> 1)) / longer));
  return resizedSmoothly(image, scaled(image.width), scaled(image.height));
}

/** Moves the image by whole pixels until its centre of mass is in the middle of the field. */
function centredByMass(/** @type {Pixels} */ {width, height, data}) {
  let [mass, x, y] = [0, 0, 0];
  data.forEach((ink, at) => {
    mass += ink;
    x += ink * (2 * (at % width) + 1);
    y += ink * (2 * Math.floor(at / width) + 1);
  });
  const place = (/** @type {number} */ moment, /** @type {number} */ size) =>
    Math.min(Math.max(Math.round(FIELD / 2 - moment / (2 * Math.max(mass, 1))), 0), FIELD - size);
  const [left, top] = [place(x, width), place(y, height)];
  const field = new Uint8Array(FIELD * FIELD);
  for (let row = 0; row < height; row++) {
    field.set(data.subarray(row * width, (row + 1) * width), (top + row) * FIELD + left);
  }
  return field;
}

// Resizing.

/** A picture as the network's input: `[h, w, c]`, grey for one channel, otherwise red, green and blue. */
function resizePicture(
  /** @type {Pixels} */ picture, /** @type {number[]} */ [height, width, channels], /** @type {string} */ interpolation,
) {
  const isGrey = channels === 1;
  if (interpolation === 'bilinear-no-antialias') {
    return resizedBetween(isGrey ? greyOf(picture) : picture, width, height).data;
  }
  const resized = resizedSmoothly(picture, width, height);
  return (isGrey ? greyOf(resized) : resized).data;
}

/** The brightness of each pixel with the weights of ITU-R BT.601. */
function greyOf(/** @type {Pixels} */ picture) {
  if (picture.channels === 1) return picture;
  const data = new Uint8Array(picture.width * picture.height);
  for (let at = 0; at < data.length; at++) {
    const [r, g, b] = picture.data.subarray(at * 3, at * 3 + 3);
    data[at] = (19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16;
  }
  return {...picture, channels: 1, data};
}

/**
 * The weights of old pixels in each new one: a triangle that is two new pixels wide where the picture shrinks.
 * @param {number} old
 * @param {number} count
 */
function triangleWeights(old, count) {
  const ratio = old / count;
  const support = Math.max(ratio, 1);
  return Array.from({length: count}, (_, i) => {
    const centre = (i + 0.5) * ratio;
    const first = Math.min(Math.max(Math.floor(centre - support), 0), old - 1);
    const end = Math.min(Math.max(Math.ceil(centre + support), first + 1), old);
    const weights = Array.from({length: end - first}, (_, j) =>
      Math.max(0, 1 - Math.abs((first + j - centre + 0.5) / support)));
    const sum = weights.reduce((a, b) => a + b);
    return {first, weights: weights.map((weight) => weight / sum)};
  });
}

/**
 * A resized picture, columns first, as in the `image` crate.
 * @param {Pixels} image
 * @param {number} width
 * @param {number} height
 * @returns {Pixels}
 */
function resizedSmoothly(image, width, height) {
  const {channels} = image;
  if (image.width === width && image.height === height) return {...image};
  const line = image.width * channels;
  const tall = new Float32Array(line * height);
  triangleWeights(image.height, height).forEach(({first, weights}, y) => {
    for (let at = 0; at < line; at++) {
      let sum = 0;
      weights.forEach((weight, j) => { sum += weight * image.data[(first + j) * line + at]; });
      tall[y * line + at] = sum;
    }
  });
  const data = new Uint8Array(width * height * channels);
  triangleWeights(image.width, width).forEach(({first, weights}, x) => {
    for (let y = 0; y < height; y++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        weights.forEach((weight, j) => { sum += weight * tall[y * line + (first + j) * channels + c]; });
        data[(y * width + x) * channels + c] = Math.round(Math.min(Math.max(sum, 0), 255));
      }
    }
  });
  return {width, height, channels, data};
}

/**
 * A resized picture whose pixels lie between the four nearest old ones, as TensorFlow's `ResizeBilinear`.
 * @param {Pixels} image
 * @param {number} width
 * @param {number} height
 * @returns {Pixels}
 */
function resizedBetween(image, width, height) {
  const {channels} = image;
  const places = (/** @type {number} */ old, /** @type {number} */ count) => Array.from({length: count}, (_, i) => {
    const at = ((i + 0.5) * old) / count - 0.5;
    return {low: Math.max(Math.floor(at), 0), high: Math.min(Math.ceil(at), old - 1), part: at - Math.floor(at)};
  });
  const data = new Uint8Array(width * height * channels);
  const columns = places(image.width, width);
  places(image.height, height).forEach((y, row) => columns.forEach((x, column) => {
    for (let c = 0; c < channels; c++) {
      const old = (/** @type {number} */ y, /** @type {number} */ x) => image.data[(y * image.width + x) * channels + c];
      const across = (/** @type {number} */ y) => old(y, x.low) + (old(y, x.high) - old(y, x.low)) * x.part;
      const [top, bottom] = [across(y.low), across(y.high)];
      data[(row * width + column) * channels + c] = Math.round(top + (bottom - top) * y.part);
    }
  }));
  return {width, height, channels, data};
}
