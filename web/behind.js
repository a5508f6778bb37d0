'use strict';
// The panel that shows what is behind a map (the filter) and behind one of its cells (the window and the sum).

/** Windows with more cells than this are pictures instead of numbers. */
const MOST_NUMBERS = 25;
/** The input maps that are named in a sum, and those shown with window and weights. */
const NAMED_PARTS = 5;
const SHOWN_PARTS = 2;

/**
 * @typedef {{title: string, layer: PlanLayer, maps: LayerMaps, place: Place, view: LayerView,
 *   sources: {name: string, maps: number}[]}} Subject `sources` are the inputs of the view
 */

/** An element with a class and contents. */
function make(/** @type {string} */ tag, /** @type {string} */ className = '', /** @type {(Node | string)[]} */ ...contents) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...contents);
  return element;
}

class Behind {
  /**
   * @param {HTMLElement} panel
   * @param {{moved: (place: Place) => void, left: () => void, released: () => void, say: (message: string) => void}} told
   */
  constructor(panel, told) {
    this.told = told;
    this.panel = panel;
    this.title = make('h3');
    this.map = /** @type {HTMLCanvasElement} */ (make('canvas', 'whole-map'));
    this.map.tabIndex = 0;
    this.map.setAttribute('role', 'application');
    this.mapNote = make('p', 'note');
    this.filter = make('div', 'filter');
    this.cell = make('div', 'cell');
    this.hint = make('p', 'note hint', 'A click keeps it.');
    this.close = make('button', 'close', 'Let go');
    this.close.addEventListener('click', () => told.released());
    panel.replaceChildren(this.title, make('div', 'pair', make('div', '', this.map, this.mapNote), this.filter), this.cell, this.hint, this.close);
    this.map.addEventListener('pointermove', (event) => this.#pointed(event));
    this.map.addEventListener('pointerdown', (event) => this.#pointed(event));
    this.map.addEventListener('keydown', (event) => this.#key(event));
    /** @type {Subject | null} */
    this.subject = null;
  }

  /** Shows a subject; `isKept` if it stays when the pointer moves on. */
  show(/** @type {Subject} */ subject, /** @type {boolean} */ isKept) {
    this.subject = subject;
    const {maps, place, view} = subject;
    const value = maps.values ? maps.values[(place.y * maps.width + place.x) * maps.maps + place.map] : NaN;
    const found = behindCell(view, place.map, place.y, place.x);
    this.title.textContent = subject.title;
    this.#showMap(subject);
    this.filter.replaceChildren(...this.#filterOf(subject, found));
    this.cell.replaceChildren(...this.#cellOf(subject, found, value));
    this.cell.dataset.value = String(value);
    this.cell.dataset.sum = found ? String(found.value) : '';
    this.panel.classList.toggle('kept', isKept);
    return found;
  }

  #showMap(/** @type {Subject} */ {maps, place}) {
    this.map.parentElement?.toggleAttribute('hidden', maps.areUnits || !maps.values);
    if (maps.areUnits || !maps.values) return;
    const scale = Math.max(1, Math.floor(148 / Math.max(maps.width, maps.height)));
    const [width, height] = [maps.width * scale, maps.height * scale];
    Object.assign(this.map, {width, height});
    this.map.setAttribute('aria-label', `Map ${place.map} enlarged. Arrow keys choose a cell, Escape goes back.`);
    const context = /** @type {CanvasRenderingContext2D} */ (this.map.getContext('2d'));
    drawMap(context, maps.values, maps, place.map, rangeOf(maps.values), [0, 0, width, height]);
    const cell = {top: place.y, left: place.x, rows: 1, columns: 1, dilation: [1, 1]};
    outline(context, cell, [0, 0], scale, ['#ffffff', '#000000']);
    this.mapNote.textContent = `Row ${place.y}, column ${place.x}`;
  }

  // The filter.

  #filterOf(/** @type {Subject} */ subject, /** @type {CellSum | null} */ found) {
    if (!found) return [make('p', 'note', 'The page does not explain the cells of this layer.')];
    const weights = found.parts.filter((part) => part.weights);
    if (weights.length === 0) return [make('p', 'note', this.#ruleOf(found, subject))];
    const size = `${found.rows}×${found.columns}`;
    const many = weights.length > 1 ? `${weights.length} × ${size} weights, a tile for each map of ${subject.sources[0].name}` : `${size} weights`;
    const isPlain = found.rows * found.columns === 1;
    const text = isPlain ? `${counted(weights.length, 'weight')}, one for each unit of ${subject.sources[0].name}` : many;
    const most = Math.max(...weights.map((part) => largestOf(/** @type {Float32Array} */ (part.weights))));
    const bias = found.bias === null ? '' : ` Bias ${brief(found.bias)}.`;
    const legend = make('span', 'legend', ...legendOf(SIGN, -most, most));
    return [make('h4', '', 'Filter'), weightTiles(weights, found, most), legend, make('p', 'note', `${text}.${bias}`)];
  }

  #ruleOf(/** @type {CellSum} */ {rule, rows, columns, formula}, /** @type {Subject} */ {sources}) {
    const window = `its window of ${rows}×${columns}`;
    switch (rule) {
      case 'largest': return `No weights: a cell is the largest value of ${window}.`;
      case 'mean': return `No weights: a cell is the mean of ${window}.`;
      case 'total': return `No weights: a cell is the sum of ${window}.`;
      case 'sum': return 'No weights: a cell is the sum of the same cell of each input.';
      default:
        if (sources.length > 1) return 'No weights: the maps of the inputs, one after the other.';
        return formula ? `Each cell: ${formula}.` : 'Each cell depends on one cell of the input.';
    }
  }

  // The cell.

  #cellOf(/** @type {Subject} */ subject, /** @type {CellSum | null} */ found, /** @type {number} */ value) {
    const {maps, place} = subject;
    const heading = make('h4', '', maps.areUnits ? `Unit ${place.map}: ` : `Cell ${place.y}, ${place.x}: `, make('b', '', brief(value)));
    if (!found) return [heading];
    const sorted = [...found.parts].sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
    const windows = found.rows * found.columns > 1 ? sorted.slice(0, found.rule === 'sum' ? SHOWN_PARTS : 1) : [];
    const most = largestOf(subject.view.input);
    return [heading, ...windows.map((part) => this.#windowOf(subject, found, part, most)), this.#sumOf(subject, found, sorted)];
  }

  #nameOf(/** @type {Subject} */ {sources}, /** @type {SumPart} */ {map, source = 0}) {
    const {name, maps} = sources[source];
    if (maps === 1) return name;
    const colours = name === 'input' && maps === 3 ? ['red', 'green', 'blue'] : [];
    return `${name} ${colours[map] ?? map}`;
  }

  /** A window of one input map, its weights, and their products. */
  #windowOf(subject, found, part, most) {
    const {rows, columns} = found;
    const name = this.#nameOf(subject, part);
    const range = {low: Math.min(0, rangeOf(subject.view.input).low), high: most};
    const inputs = cellTable(part.values, columns, (value) => AMOUNT(shareOf(value, range)), `Window of ${name}`);
    if (!part.weights) {
      const marks = found.rule === 'largest' ? part.values.indexOf(found.value) : -1;
      if (marks >= 0) inputs.querySelectorAll('td')[marks]?.classList.add('chosen');
      return make('div', 'window', make('p', 'note', `Window of ${name}`), make('div', 'product', inputs));
    }
    const largest = largestOf(part.weights);
    const weights = cellTable(part.weights, columns, (value) => SIGN(signOf(value, largest)), `Weights for ${name}`);
    const products = part.values.map((value, i) => (Number.isNaN(value) ? 0 : value * part.weights[i]));
    const bound = largestOf(products);
    const results = cellTable(products, columns, (value) => SIGN(signOf(value, bound)), 'Products');
    return make('div', 'window', make('p', 'note', `Window of ${name} × weights = products, in sum ${brief(part.sum)}`),
      make('div', rows * columns > MOST_NUMBERS ? 'product small' : 'product', inputs, make('span', '', '×'), weights, make('span', '', '='), results));
  }

  /** The sum, line by line. */
  #sumOf(/** @type {Subject} */ subject, /** @type {CellSum} */ found, /** @type {SumPart[]} */ sorted) {
    const table = make('table', 'sum');
    const line = (name, value, className = '') =>
      table.append(make('tr', className, make('th', '', name), make('td', '', value)));
    if (found.rule !== 'sum') {
      if (found.rule === 'each') line(this.#nameOf(subject, sorted[0]), brief(sorted[0].sum));
      if (found.formula) line(found.formula, brief(found.total));
      if (found.rule !== 'each') line({largest: 'largest', mean: 'mean', total: 'sum'}[found.rule], brief(found.value), 'end');
    } else {
      const [named, others] = [sorted.slice(0, NAMED_PARTS), sorted.slice(NAMED_PARTS)];
      named.forEach((part) => line(`${this.#nameOf(subject, part)}${this.#productOf(found, part)}`, signed(part.sum)));
      if (others.length) line(`${others.length} more`, signed(others.reduce((sum, part) => sum + part.sum, 0)));
      if (found.bias !== null) line('bias', signed(found.bias));
      line('sum', brief(found.total), 'total');
    }
    if (found.activation === 'softmax') line('softmax: exp of it, as a share of all', brief(found.value), 'end');
    else if (found.activation !== 'linear') line(found.activation, brief(found.value), 'end');
    return table;
  }

  /** The product of a single value and its weight. */
  #productOf(/** @type {CellSum} */ found, /** @type {SumPart} */ {values, weights}) {
    return found.rows * found.columns === 1 && weights ? `: ${brief(values[0])} × ${brief(weights[0])}` : '';
  }

  // Pointing at the enlarged map.

  #pointed(/** @type {PointerEvent} */ event) {
    if (!this.subject) return;
    const {maps, place} = this.subject;
    const box = this.map.getBoundingClientRect();
    const at = (share, count) => Math.min(Math.max(Math.floor(share * count), 0), count - 1);
    const y = at((event.clientY - box.top) / box.height, maps.height);
    const x = at((event.clientX - box.left) / box.width, maps.width);
    this.told.moved({map: place.map, y, x});
  }

  #key(/** @type {KeyboardEvent} */ event) {
    const moves = /** @type {Record<string, number[]>} */ ({
      ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
    });
    if (!this.subject) return;
    if (event.key === 'Escape') this.told.left();
    else if (moves[event.key]) {
      const {maps, place} = this.subject;
      const [y, x] = [place.y + moves[event.key][0], place.x + moves[event.key][1]];
      if (y >= 0 && x >= 0 && y < maps.height && x < maps.width) this.told.moved({map: place.map, y, x});
      this.told.say(`${this.mapNote.textContent}: ${this.cell.querySelector('b')?.textContent}`);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** A number for a small cell: without the zero before the point. */
function short(/** @type {number} */ value, /** @type {number} */ decimals) {
  const size = Math.abs(value);
  const text = size >= 10 ? size.toPrecision(3) : size.toFixed(decimals).replace(/^0\./, '.');
  return Number(text) === 0 ? '0' : (value < 0 ? '−' : '') + text;
}

const signed = (/** @type {number} */ value) => (value >= 0 ? `+${brief(value)}` : brief(value));

/** The weights of a filter as tiles, in the order of the input maps. */
function weightTiles(/** @type {SumPart[]} */ parts, /** @type {CellSum} */ {rows, columns}, /** @type {number} */ most) {
  const canvas = /** @type {HTMLCanvasElement} */ (make('canvas', 'weights'));
  const room = 148;
  const side = parts.length === 1 ? room : parts.length <= 16 ? 34 : parts.length <= 64 ? 16 : 10;
  const cell = Math.max(1, Math.floor(side / Math.max(rows, columns)));
  const [tileWidth, tileHeight, gap] = [columns * cell, rows * cell, parts.length > 1 ? 2 : 0];
  const across = Math.max(1, Math.min(parts.length, Math.floor((room + gap) / (tileWidth + gap))));
  canvas.width = across * (tileWidth + gap) - gap;
  canvas.height = Math.ceil(parts.length / across) * (tileHeight + gap) - gap;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  parts.forEach(({weights}, i) => weights?.forEach((weight, at) => {
    context.fillStyle = css(SIGN(signOf(weight, most)));
    const [x, y] = [(i % across) * (tileWidth + gap), Math.floor(i / across) * (tileHeight + gap)];
    context.fillRect(x + (at % columns) * cell, y + Math.floor(at / columns) * cell, cell, cell);
  }));
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', 'The weights as a picture');
  return canvas;
}

/**
 * Numbers on their colours; without the numbers if there are many.
 * @param {Float32Array} values of which NaN is padding
 * @param {number} columns
 * @param {(value: number) => number[]} colourOf
 * @param {string} label
 */
function cellTable(values, columns, colourOf, label) {
  const table = make('table', 'cells');
  table.setAttribute('aria-label', label);
  const isText = values.length <= MOST_NUMBERS;
  const decimals = largestOf(values) < 0.1 ? 3 : 2;
  for (let at = 0; at < values.length; at += columns) {
    table.append(make('tr', '', ...Array.from(values.subarray(at, at + columns), (value) => {
      if (Number.isNaN(value)) return make('td', 'padding', isText ? '·' : '');
      const colour = colourOf(value);
      const cell = make('td', '', isText ? short(value, decimals) : '');
      Object.assign(cell.style, {background: css(colour), color: readableOn(colour)});
      return cell;
    })));
  }
  return table;
}
