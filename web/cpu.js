'use strict';
// The network in plain JavaScript: inference only, for browsers without WebGPU. Sums are in 64 bits; tensors are
// in 32, as on a GPU.

/** The layers that are computed here; a network with another is refused by name. */
const LAYERS = {
  Conv2D: (settings, x, shape, parameters) => convolution(settings, x, shape, parameters, settings.groups),
  DepthwiseConv2D: (settings, x, shape, parameters) => {
    // [kh, kw, c, m] has the order of [kh, kw, 1, c * m]: one group per channel.
    return convolution(settings, x, shape, parameters, shape.input[2]);
  },
  Dense: (settings, x, shape, {kernel, bias}) => {
    const [inputs, units] = [x.length, settings.units];
    return activated(settings.activation, Float32Array.from({length: units}, (_, o) => {
      let sum = bias ? bias[o] : 0;
      for (let i = 0; i < inputs; i++) sum += x[i] * kernel[i * units + o];
      return sum;
    }), units);
  },
  MaxPooling2D: (settings, x, shape) => pooled(settings, x, shape, most),
  AveragePooling2D: (settings, x, shape) => pooled(settings, x, shape, (cells) => total(cells) / cells.length),
  SumPooling2D: (settings, x, shape) => pooled(settings, x, shape, total),
  GlobalMaxPooling2D: (settings, x, shape) => LAYERS.MaxPooling2D(whole(shape), x, shape),
  GlobalAveragePooling2D: (settings, x, shape) => LAYERS.AveragePooling2D(whole(shape), x, shape),
  ZeroPadding2D: ({padding: [[top], [left]]}, x, {input: [ih, iw, c], output}) => {
    const y = new Float32Array(elements(output));
    for (let iy = 0; iy < ih; iy++) {
      y.set(x.subarray(iy * iw * c, (iy + 1) * iw * c), ((top + iy) * output[1] + left) * c);
    }
    return y;
  },
  BatchNormalization: ({epsilon}, x, {input}, {gamma, beta, moving_mean: mean, moving_variance: variance}) => {
    const c = input[input.length - 1];
    return x.map((value, i) => {
      const at = i % c;
      return (gamma ? gamma[at] : 1) * (value - mean[at]) / Math.sqrt(variance[at] + epsilon) + (beta ? beta[at] : 0);
    });
  },
  Activation: ({activation}, x, {input}) => activated(activation, x, input[input.length - 1]),
  Rescaling: ({scale, offset}, x) => x.map((value) => value * Math.fround(scale) + Math.fround(offset)),
  Add: (settings, [first, ...others]) => others.reduce((sum, x) => sum.map((value, i) => value + x[i]), first),
  Concatenate: (settings, inputs, {output}) => {
    const whole = output[output.length - 1];
    const rows = elements(output) / whole;
    const y = new Float32Array(rows * whole);
    let at = 0;
    for (const x of inputs) {
      const width = x.length / rows;
      for (let row = 0; row < rows; row++) y.set(x.subarray(row * width, (row + 1) * width), row * whole + at);
      at += width;
    }
    return y;
  },
  RandomCrop: ({height, width}, x, {input: [ih, iw, c]}) => {
    // The largest part around the centre with the aspect of the output, resized to it.
    const [rows, top] = cutBy(ih, iw * height, width);
    const [columns, left] = cutBy(iw, ih * width, height);
    const y = new Float32Array(height * width * c);
    for (let oy = 0; oy < height; oy++) {
      const [y0, y1, fy] = placeOf(oy, rows, height);
      for (let ox = 0; ox < width; ox++) {
        const [x0, x1, fx] = placeOf(ox, columns, width);
        for (let channel = 0; channel < c; channel++) {
          const at = (row, column) => x[((top + row) * iw + left + column) * c + channel];
          const mix = (row) => (1 - fx) * at(row, x0) + fx * at(row, x1);
          y[(oy * width + ox) * c + channel] = (1 - fy) * mix(y0) + fy * mix(y1);
        }
      }
    }
    return y;
  },
  Flatten: (settings, x) => x,
  Dropout: (settings, x) => x,
  SpatialDropout2D: (settings, x) => x,
  RandomFlip: (settings, x) => x,
  RandomRotation: (settings, x) => x,
  RandomTranslation: (settings, x) => x,
  RandomZoom: (settings, x) => x,
  RandomShear: (settings, x) => x,
  RandomContrast: (settings, x) => x,
  RandomBrightness: (settings, x) => x,
  RandomErasing: (settings, x) => x,
  RandomElasticTransform: (settings, x) => x,
  GaussianNoise: (settings, x) => x,
};

/** The length of a part of an axis, product / divisor but no more than all, and where it starts around the centre. */
function cutBy(/** @type {number} */ length, /** @type {number} */ product, /** @type {number} */ divisor) {
  const part = Math.max(Math.min(length, Math.floor(product / divisor)), 1);
  return [part, Math.floor((length - part) / 2)];
}

/** The two cells of `length` between which the centre of cell `at` of `out` lies, and the share of the second. */
function placeOf(/** @type {number} */ at, /** @type {number} */ length, /** @type {number} */ out) {
  const place = Math.min(Math.max((at + 0.5) * length / out - 0.5, 0), length - 1);
  const first = Math.floor(place);
  return [first, Math.min(first + 1, length - 1), place - first];
}

const total = (/** @type {number[]} */ cells) => cells.reduce((a, b) => a + b, 0);
const most = (/** @type {number[]} */ cells) => cells.reduce((a, b) => Math.max(a, b));

/** A pool over the whole image. */
const whole = ({input: [h, w]}) => ({pool_size: [h, w], padding: 'valid'});

/**
 * Where windows start along one axis: the cell before which padding lies.
 * @param {number} size of the input
 * @param {number} out of the output
 * @param {number} reach of the window
 * @param {number} stride
 * @param {string} padding
 */
function paddingBefore(size, out, reach, stride, padding) {
  return padding === 'same' ? Math.floor(Math.max((out - 1) * stride + reach - size, 0) / 2) : 0;
}

/** A convolution whose channels are divided into groups. */
function convolution(settings, x, {input: [ih, iw, c], output: [oh, ow, oc]}, {kernel, bias}, groups) {
  const {kernel_size: [kh, kw], strides: [sh, sw], dilation_rate: [dh, dw], padding} = settings;
  const top = paddingBefore(ih, oh, (kh - 1) * dh + 1, sh, padding);
  const left = paddingBefore(iw, ow, (kw - 1) * dw + 1, sw, padding);
  const [ic, each] = [c / groups, oc / groups];
  const y = new Float32Array(oh * ow * oc);
  const sums = new Float64Array(oc);
  for (let oy = 0; oy < oh; oy++) for (let ox = 0; ox < ow; ox++) {
    sums.set(bias ?? sums.fill(0));
    for (let ky = 0; ky < kh; ky++) for (let kx = 0; kx < kw; kx++) {
      const [iy, ix] = [oy * sh + ky * dh - top, ox * sw + kx * dw - left];
      if (iy < 0 || iy >= ih || ix < 0 || ix >= iw) continue;
      for (let i = 0; i < c; i++) {
        const [group, row] = [Math.floor(i / ic), ((ky * kw + kx) * ic + i % ic) * oc];
        const value = x[(iy * iw + ix) * c + i];
        for (let o = group * each; o < (group + 1) * each; o++) sums[o] += value * kernel[row + o];
      }
    }
    y.set(sums, (oy * ow + ox) * oc);
  }
  return activated(settings.activation, y, oc);
}

/** A pool that reduces the cells under each window, without padding. */
function pooled({pool_size: [kh, kw], strides, padding}, x, {input: [ih, iw, c]}, reduce) {
  const [sh, sw] = strides ?? [kh, kw];
  const same = padding === 'same';
  const [oh, ow] = same ? [Math.ceil(ih / sh), Math.ceil(iw / sw)] :
    [Math.floor((ih - kh) / sh) + 1, Math.floor((iw - kw) / sw) + 1];
  const top = paddingBefore(ih, oh, kh, sh, padding);
  const left = paddingBefore(iw, ow, kw, sw, padding);
  const y = new Float32Array(oh * ow * c);
  for (let oy = 0; oy < oh; oy++) for (let ox = 0; ox < ow; ox++) for (let channel = 0; channel < c; channel++) {
    const cells = [];
    for (let iy = Math.max(oy * sh - top, 0); iy < Math.min(oy * sh - top + kh, ih); iy++) {
      for (let ix = Math.max(ox * sw - left, 0); ix < Math.min(ox * sw - left + kw, iw); ix++) {
        cells.push(x[(iy * iw + ix) * c + channel]);
      }
    }
    y[(oy * ow + ox) * c + channel] = reduce(cells);
  }
  return y;
}

const sigmoid = (/** @type {number} */ x) => 1 / (1 + Math.exp(-x));

/** erfc(-x / sqrt(2)) / 2, with a relative error below 1.2e-7 (Press et al., Numerical Recipes, 6.2). */
function normalShare(/** @type {number} */ x) {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.5 * z);
  const coefficients = [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418,
    0.37409196, 1.00002368, -1.26551223];
  const power = coefficients.reduce((sum, coefficient) => sum * t + coefficient, 0);
  const beyond = 0.5 * t * Math.exp(power - z * z);
  return x < 0 ? beyond : 1 - beyond;
}

/** The activations of one value, by Keras's names. */
const ACTIVATIONS = {
  linear: (x) => x,
  relu: (x) => (x <= 0 ? 0 : x),
  leaky_relu: (x) => (x <= 0 ? 0.2 * x : x),
  elu: (x) => (x <= 0 ? Math.expm1(x) : x),
  selu: (x) => 1.0507009873554805 * (x <= 0 ? 1.6732632423543772 * Math.expm1(x) : x),
  gelu: (x) => x * normalShare(x),
  silu: (x) => x * sigmoid(x),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  sigmoid,
  tanh: Math.tanh,
};

/** Applies an activation; softmax to rows of `width` values. */
function activated(/** @type {string} */ name, /** @type {Float32Array} */ x, /** @type {number} */ width) {
  if (name !== 'softmax') return x.map(ACTIVATIONS[name]);
  const y = new Float32Array(x.length);
  for (let at = 0; at < x.length; at += width) {
    const row = x.subarray(at, at + width);
    const highest = most(Array.from(row));
    const powers = Array.from(row, (value) => Math.exp(value - highest));
    y.set(powers.map((power) => power / total(powers)), at);
  }
  return y;
}

/** A network in JavaScript, with the methods of `Runner` that need no training. */
class CpuRunner {
  /**
   * @param {Site} site
   * @param {string} reason why it does not run on a GPU
   */
  constructor(site, reason) {
    for (const {name, kind} of site.plan.layers) {
      if (!(kind in LAYERS)) throw new Error(`${reason}, and JavaScript alone cannot compute layer ${name}: ${kind}`);
    }
    this.site = site;
    this.kind = 'javascript';
    this.adapter = 'JavaScript';
    this.reason = reason;
    this.canTrain = false;
    this.step = 0;
    this.learningRate = site.plan.optimizer.learning_rate;
    /** @type {Promise<string>} */
    this.lost = new Promise(() => {});
    this.arena = site.exported();
    /** @type {Map<string, Float32Array>} outputs of the last prediction */
    this.outputs = new Map();
    /** @type {Float32Array | null} */
    this.lastLogits = null;
  }

  /** See `Runner.predict`. */
  async predict(/** @type {Uint8Array} */ pixels) {
    const {layers, input} = this.site.plan;
    if (pixels.length !== elements(input.shape)) {
      throw new Error(`expected an image of ${elements(input.shape)} bytes, received ${pixels.length}`);
    }
    const image = Float32Array.from(pixels, (byte) => byte / 255);
    /** @type {Float32Array[]} */
    const outputs = [];
    let x = image;
    this.lastLogits = null;
    layers.forEach((layer, i) => {
      const isLast = i === layers.length - 1;
      const inputs = layer.from?.map((source) => (source === null ? image : outputs[source])) ?? [x];
      const input = inputs.length === 1 ? inputs[0] : inputs;
      const apply = (settings) => LAYERS[layer.kind](settings, input, layer, this.#parameters(layer));
      if (isLast && layer.settings.activation === 'softmax') {
        const logits = apply({...layer.settings, activation: 'linear'});
        this.lastLogits = logits;
        x = activated('softmax', logits, logits.length);
      } else {
        x = apply(layer.settings);
      }
      outputs.push(x);
      this.outputs.set(layer.name, x);
    });
    return perClass(x, this.site.plan);
  }

  /** See `Runner.activations`. @param {string} [layer] */
  async activations(layer) {
    if (layer === undefined) return new Map(this.outputs);
    const output = this.outputs.get(layer);
    if (!output) throw new Error(`the network has no layer ${layer}, or has predicted nothing`);
    return output;
  }

  /** See `Runner.logits`. */
  async logits() {
    return this.lastLogits;
  }

  /** See `Runner.parameter`. */
  async parameter(/** @type {string} */ name) {
    return this.#parameter(name).slice();
  }

  /** See `Runner.weights`. */
  async weights() {
    return this.site.file(this.arena, this.site.step);
  }

  /** See `Runner.reset`; without training there is nothing to reset but newer weights of the site. */
  async reset() {
    this.arena = this.site.exported();
  }

  async trainStep() {
    throw new Error(`training needs WebGPU: ${this.reason}`);
  }

  async evaluate() {
    throw new Error(`evaluating needs WebGPU: ${this.reason}`);
  }

  async predictAll() {
    throw new Error(`predicting many images needs WebGPU: ${this.reason}`);
  }

  close() {}

  #parameter(/** @type {string} */ name) {
    const {offset, length} = this.site.parameter(name);
    return this.arena.subarray(offset, offset + length);
  }

  /** The parameters of a layer, by the last part of their names. */
  #parameters(/** @type {PlanLayer} */ {parameters}) {
    return Object.fromEntries(parameters.map((name) => [name.slice(name.lastIndexOf('/') + 1), this.#parameter(name)]));
  }
}
