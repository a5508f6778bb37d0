'use strict';
// What is behind one cell of a layer's output: the window of the input that it sees, the products, and their sum.
// The formulas are those of docs/models.md; padding counts as zeros, and for pooling not at all.

/**
 * A window of the input, whose cells are `dilation` rows and columns apart.
 * @typedef {{top: number, left: number, rows: number, columns: number, dilation: [number, number]}} SumWindow
 *
 * A window of one input map with its weights. Where a layer has several inputs: which one it is, and where the window
 * lies in it.
 * @typedef {{map: number, values: Float32Array, weights: Float32Array | null, sum: number,
 *   source?: number, window?: SumWindow}} SumPart
 *
 * @typedef {{
 *   rule: 'sum' | 'largest' | 'mean' | 'total' | 'each',
 *   window: SumWindow,
 *   rows: number, columns: number,
 *   parts: SumPart[], bias: number | null, total: number, formula: string, activation: string, value: number,
 * }} CellSum the window lies in the input; `rows` and `columns` are those of the values and weights of a part
 *
 * @typedef {{layer: PlanLayer, input: Float32Array, shape: [number, number, number],
 *   inputs: {values: Float32Array, shape: [number, number, number]}[],
 *   parameter: (what: string) => Float32Array | null}} LayerView `shape` is that of the input as maps; `inputs` has
 *   that input and, behind it, the others of a layer that merges several
 */

/** A shape with three sides: units are maps of one cell. */
const asMaps = (/** @type {number[]} */ shape) =>
  /** @type {[number, number, number]} */ (shape.length === 3 ? shape : [1, 1, elements(shape)]);

/** The layers of which the output holds the same values as the input. */
const PASSES_ON = [
  'Flatten', 'Dropout', 'SpatialDropout2D', 'GaussianNoise', 'RandomFlip', 'RandomRotation', 'RandomTranslation',
  'RandomZoom', 'RandomShear', 'RandomContrast', 'RandomBrightness', 'RandomErasing',
  'RandomElasticTransform',
];

/** A window of one cell. @returns {SumWindow} */
const cellAt = (/** @type {number} */ y, /** @type {number} */ x) => ({top: y, left: x, rows: 1, columns: 1, dilation: [1, 1]});

/**
 * The window of a layer with a kernel or a pool.
 * @param {PlanLayer} layer
 * @param {number[]} size
 * @param {number} y
 * @param {number} x
 * @returns {SumWindow}
 */
function windowOf(layer, size, y, x) {
  const {settings, input, output} = layer;
  const strides = settings.strides ?? size;
  const dilation = settings.dilation_rate ?? [1, 1];
  const start = (axis, at) => {
    const reach = (size[axis] - 1) * dilation[axis] + 1;
    return at * strides[axis] - paddingBefore(input[axis], output[axis], reach, strides[axis], settings.padding);
  };
  return {top: start(0, y), left: start(1, x), rows: size[0], columns: size[1], dilation};
}

/** The values of an input map in a window; NaN outside the input. */
function valuesIn(/** @type {LayerView} */ view, /** @type {SumWindow} */ window, /** @type {number} */ map) {
  const [height, width, maps] = view.shape;
  const values = new Float32Array(window.rows * window.columns);
  for (let at = 0; at < values.length; at++) {
    const y = window.top + Math.floor(at / window.columns) * window.dilation[0];
    const x = window.left + (at % window.columns) * window.dilation[1];
    const inside = y >= 0 && y < height && x >= 0 && x < width;
    values[at] = inside ? view.input[(y * width + x) * maps + map] : NaN;
  }
  return values;
}

/** The sum of products of a window's values, of which NaN is padding, with its weights. */
const productSum = (values, weights) =>
  values.reduce((sum, value, i) => (Number.isNaN(value) ? sum : sum + value * weights[i]), 0);

/**
 * What is behind cell (y, x) of an output map, or behind a unit.
 * @param {LayerView} view
 * @param {number} map
 * @returns {CellSum | null} null for layers whose cells are not explained
 */
function behindCell(view, map, y, x) {
  const {kind, settings, output} = view.layer;
  const activation = settings.activation ?? 'linear';
  const one = cellAt(y, x);
  switch (kind) {
    case 'Conv2D': return withActivation(view, convolutionSum(view, map, y, x), activation, (m) => convolutionSum(view, m, y, x));
    case 'DepthwiseConv2D': return withActivation(view, depthwiseSum(view, map, y, x), activation, (m) => depthwiseSum(view, m, y, x));
    case 'Dense': return withActivation(view, denseSum(view, map), activation, (unit) => denseSum(view, unit));
    case 'MaxPooling2D': return poolOf(view, windowOf(view.layer, settings.pool_size, y, x), map, 'largest');
    case 'AveragePooling2D': return poolOf(view, windowOf(view.layer, settings.pool_size, y, x), map, 'mean');
    case 'SumPooling2D': return poolOf(view, windowOf(view.layer, settings.pool_size, y, x), map, 'total');
    case 'GlobalMaxPooling2D': return poolOf(view, wholeOf(view), map, 'largest');
    case 'GlobalAveragePooling2D': return poolOf(view, wholeOf(view), map, 'mean');
    case 'Activation': return withActivation(view, single(view, one, map), activation, (m) => single(view, one, m));
    case 'Rescaling': {
      const found = single(view, one, map);
      const total = found.total * settings.scale + settings.offset;
      return {...found, total, value: total, formula: `× ${brief(settings.scale)} + ${brief(settings.offset)}`};
    }
    case 'BatchNormalization': return normalized(view, single(view, one, map), map);
    case 'ZeroPadding2D': {
      const [[top], [left]] = settings.padding;
      return single(view, {...one, top: y - top, left: x - left}, map);
    }
    case 'Add': {
      const [, columns, maps] = asMaps(output);
      return summed(one, view.inputs.map((_, source) => mergedPart(view, source, (y * columns + x) * maps + map)), null);
    }
    case 'Concatenate': return concatenated(view, map, y, x);
    default: return PASSES_ON.includes(kind) && output.length === 3 ? single(view, one, map) : null;
  }
}

/** The whole input. @returns {SumWindow} */
const wholeOf = (/** @type {LayerView} */ {shape}) => ({top: 0, left: 0, rows: shape[0], columns: shape[1], dilation: [1, 1]});

/**
 * @param {SumWindow} window
 * @param {SumPart[]} parts
 * @param {number | null} bias
 * @param {CellSum['rule']} rule
 * @returns {CellSum}
 */
function summed(window, parts, bias, rule = 'sum') {
  const total = parts.reduce((sum, part) => sum + part.sum, 0) + (bias ?? 0);
  const {rows, columns} = window;
  return {rule, window, rows, columns, parts, bias, total, formula: '', activation: 'linear', value: total};
}

function convolutionSum(view, map, y, x) {
  const {settings, input, output} = view.layer;
  const [kernel, bias] = [view.parameter('kernel'), view.parameter('bias')];
  const window = windowOf(view.layer, settings.kernel_size, y, x);
  const [maps, filters] = [input[2] / settings.groups, output[2]];
  const first = Math.floor(map / (filters / settings.groups)) * maps;
  const parts = Array.from({length: maps}, (_, i) => {
    const values = valuesIn(view, window, first + i);
    const weights = values.map((_, at) => kernel[(at * maps + i) * filters + map]);
    return {map: first + i, values, weights, sum: productSum(values, weights)};
  });
  return summed(window, parts, bias && bias[map]);
}

function depthwiseSum(view, map, y, x) {
  const {settings, input} = view.layer;
  const [kernel, bias] = [view.parameter('kernel'), view.parameter('bias')];
  const window = windowOf(view.layer, settings.kernel_size, y, x);
  const multiplier = settings.depth_multiplier ?? 1;
  const from = Math.floor(map / multiplier);
  const values = valuesIn(view, window, from);
  const weights = values.map((_, at) => kernel[(at * input[2] + from) * multiplier + (map % multiplier)]);
  return summed(window, [{map: from, values, weights, sum: productSum(values, weights)}], bias && bias[map]);
}

/** A dense layer after Flatten sees whole maps, like a convolution whose kernel is as large as its input. */
function denseSum(view, unit) {
  const [kernel, bias] = [view.parameter('kernel'), view.parameter('bias')];
  const window = wholeOf(view);
  const [maps, units] = [view.shape[2], elements(view.layer.output)];
  const parts = Array.from({length: maps}, (_, map) => {
    const values = valuesIn(view, window, map);
    const weights = values.map((_, at) => kernel[(at * maps + map) * units + unit]);
    return {map, values, weights, sum: productSum(values, weights)};
  });
  return summed(window, parts, bias && bias[unit]);
}

/** A cell that depends on one cell of the input. */
function single(view, window, map) {
  const values = valuesIn(view, window, map);
  const sum = Number.isNaN(values[0]) ? 0 : values[0];
  return summed(window, [{map, values, weights: null, sum}], null, 'each');
}

/** The value with this index of one of several inputs. @returns {SumPart} */
function mergedPart({inputs}, source, index) {
  const {values, shape: [, columns, maps]} = inputs[source];
  const cell = Math.floor(index / maps);
  const window = cellAt(Math.floor(cell / columns), cell % columns);
  return {map: index % maps, values: values.slice(index, index + 1), weights: null, sum: values[index], source, window};
}

/** The cell of the input whose maps, behind those of the inputs before it, include this one. */
function concatenated(view, map, y, x) {
  const [rows, columns] = asMaps(view.layer.output);
  let [source, own] = [0, map];
  const maps = () => view.inputs[source].values.length / (rows * columns);
  while (own >= maps()) {
    own -= maps();
    source += 1;
  }
  const part = mergedPart(view, source, (y * columns + x) * maps() + own);
  return summed(cellAt(y, x), [part], null, 'each');
}

/**
 * A pool: padding does not count.
 * @param {LayerView} view
 * @param {SumWindow} window
 * @param {number} map
 * @param {'largest' | 'mean' | 'total'} rule
 */
function poolOf(view, window, map, rule) {
  const values = valuesIn(view, window, map);
  const cells = values.filter((value) => !Number.isNaN(value));
  const sum = cells.reduce((a, b) => a + b, 0);
  const value = rule === 'largest' ? Math.max(...cells) : rule === 'mean' ? sum / cells.length : sum;
  return {...summed(window, [{map, values, weights: null, sum: value}], null, rule), value};
}

/** Batch normalisation, with the statistics that training gathered. */
function normalized(view, found, map) {
  const at = (/** @type {string} */ name, /** @type {number} */ otherwise) => view.parameter(name)?.[map] ?? otherwise;
  const [mean, variance] = [at('moving_mean', 0), at('moving_variance', 1)];
  const scale = at('gamma', 1) / Math.sqrt(variance + view.layer.settings.epsilon);
  const total = (found.total - mean) * scale + at('beta', 0);
  const formula = `− mean ${brief(mean)}, × ${brief(scale)}, + ${brief(at('beta', 0))}`;
  return {...found, total, value: total, formula};
}

/** Applies the activation; softmax needs the sums of all maps or units. */
function withActivation(view, found, activation, sumOf) {
  if (activation !== 'softmax') return {...found, activation, value: ACTIVATIONS[activation](found.total)};
  const totals = Array.from({length: asMaps(view.layer.output)[2]}, (_, map) => sumOf(map).total);
  const most = Math.max(...totals);
  const powers = totals.reduce((sum, total) => sum + Math.exp(total - most), 0);
  return {...found, activation, value: Math.exp(found.total - most) / powers};
}
