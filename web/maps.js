'use strict';
// The output of one layer as a picture: a tile for each map, or a cell for each unit of a layer without maps.

/** With more maps or units than this, the others are shown on demand. */
const MOST_MAPS = 64;
const MOST_UNITS = 1024;
/** The space between tiles, and around them, for the mark. */
const TILE_GAP = 3;
const TILE_EDGE = 2;

/**
 * A place in a layer's output.
 * @typedef {{map: number, y: number, x: number}} Place
 */

class LayerMaps {
  /**
   * @param {{name: string, kind: string, about: string, shape: number[]}} layer
   * @param {{pointed: (place: Place | null) => void, chosen: (place: Place) => void, entered: () => void}} told
   */
  constructor(layer, told) {
    this.layer = layer;
    const [height, width, maps] = asMaps(layer.shape);
    this.height = height;
    this.width = width;
    this.maps = maps;
    this.areUnits = layer.shape.length !== 3;
    /** How many are shown. */
    this.count = Math.min(maps, this.areUnits ? MOST_UNITS : MOST_MAPS);
    this.told = told;
    /** @type {Float32Array | null} */
    this.values = null;
    /** The place that is marked, and what is behind the marked cell of a later layer that reads this one. */
    this.marked = /** @type {Place | null} */ (null);
    this.framed = /** @type {CellSum | null} */ (null);
    this.cursor = 0;
    this.figure = make('figure', 'layer');
    this.legend = make('span', 'legend', ...legendOf(AMOUNT, 0, 0));
    this.range = {low: 0, high: 0};
    this.canvas = /** @type {HTMLCanvasElement} */ (make('canvas'));
    this.#build();
    /** The canvas's width on the page. Measured here only: to ask for it while drawing would be slow. */
    this.room = 0;
    new ResizeObserver(() => {
      this.room = this.canvas.clientWidth;
      this.draw();
    }).observe(this.canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  #build() {
    const {name, kind, about, shape} = this.layer;
    const caption = make('figcaption', '', make('h3', '', name), make('span', '', about), this.legend);
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'application');
    const what = this.areUnits ? counted(this.maps, 'unit') : `${counted(this.maps, 'map')} of ${shape[0]} by ${shape[1]}`;
    const how = this.areUnits ? 'Arrow keys choose a unit.' : 'Arrow keys choose a map, Enter goes to its cells.';
    this.canvas.setAttribute('aria-label', `${name}, ${kind}: ${what}. ${how}`);
    this.figure.append(caption, this.canvas);
    if (this.count < this.maps) this.figure.append(this.#moreButton());
    this.canvas.addEventListener('pointermove', (event) => this.told.pointed(this.#placeOf(event)));
    this.canvas.addEventListener('pointerleave', () => this.told.pointed(null));
    this.canvas.addEventListener('click', (event) => {
      const place = this.#placeOf(event);
      if (place) this.told.chosen(place);
    });
    this.canvas.addEventListener('focus', () => { if (this.canvas.matches(':focus-visible')) this.#choose(this.cursor); });
    this.canvas.addEventListener('keydown', (event) => this.#key(event));
  }

  #moreButton() {
    const more = make('button', '', `Show all ${counted(this.maps, this.areUnits ? 'unit' : 'map')}`);
    more.addEventListener('click', () => {
      this.count = this.maps;
      more.remove();
      this.draw();
    });
    return more;
  }

  /** Where tiles lie, in the canvas's width on the page. */
  #grid() {
    const room = Math.max(this.room, 60) - 2 * TILE_EDGE;
    const cells = Math.max(this.height, this.width);
    const side = this.areUnits ? (this.maps > 12 ? 14 : 22) : this.maps <= 8 ? 96 : cells >= 20 ? 56 : cells >= 8 ? 36 : 30;
    const exact = side / cells;
    const scale = exact >= 1 ? Math.floor(exact) : exact;
    const [tileWidth, tileHeight] = [this.width * scale, this.height * scale];
    const most = Math.max(1, Math.floor((room + TILE_GAP) / (tileWidth + TILE_GAP)));
    // Rows of 32 or 16 are easier to count than rows of 37; otherwise rows of one length.
    const even = Math.ceil(this.count / Math.ceil(this.count / most));
    const columns = this.count <= most ? this.count : [64, 32, 16, 8, 4].find((n) => n <= most && n * 1.4 > most) ?? even;
    const rows = Math.ceil(this.count / columns);
    return {tileWidth, tileHeight, scale, columns, rows, height: rows * (tileHeight + TILE_GAP) - TILE_GAP + 2 * TILE_EDGE};
  }

  show(/** @type {Float32Array | null} */ values) {
    this.values = values;
    this.range = rangeOf(values ?? []);
    this.legend.style.visibility = values ? '' : 'hidden';
    const {firstChild, lastChild} = this.legend;
    if (firstChild) firstChild.textContent = brief(this.range.low);
    if (lastChild) lastChild.textContent = brief(this.range.high);
    this.draw();
  }

  draw() {
    if (this.room === 0) return;
    const grid = this.#grid();
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.room, grid.height].map((side) => Math.max(1, Math.round(side * ratio)));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, {width, height});
      this.canvas.style.height = `${grid.height}px`;
    }
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext('2d'));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    // A frame around a whole map would tell nothing.
    const isWhole = this.framed?.rows === this.height && this.framed.columns === this.width;
    const seen = new Set(isWhole ? [] : this.framed?.parts.map((part) => part.map));
    for (let map = 0; map < this.count; map++) {
      const [x, y] = this.#cornerOf(map, grid);
      const box = /** @type {[number, number, number, number]} */ ([x, y, grid.tileWidth, grid.tileHeight]);
      if (this.values) drawMap(context, this.values, this, map, this.range, box);
      else {
        context.fillStyle = '#88888833';
        context.fillRect(...box);
      }
      if (this.framed && seen.has(map)) outline(context, this.framed.window, [x, y], grid.scale, ['#ffffff', '#00000099']);
    }
    if (this.marked && this.marked.map < this.count) this.#mark(context, grid, this.marked);
  }

  #mark(context, grid, {map, y, x}) {
    const [left, top] = this.#cornerOf(map, grid);
    if (!this.areUnits) {
      const cell = {top: y, left: x, rows: 1, columns: 1, dilation: [1, 1]};
      outline(context, cell, [left, top], grid.scale, ['#ffffff', '#000000']);
    }
    context.strokeStyle = getComputedStyle(this.canvas).outlineColor;
    context.lineWidth = 2;
    context.strokeRect(left - 1, top - 1, grid.tileWidth + 2, grid.tileHeight + 2);
  }

  #cornerOf(map, {columns, tileWidth, tileHeight}) {
    return [TILE_EDGE + (map % columns) * (tileWidth + TILE_GAP), TILE_EDGE + Math.floor(map / columns) * (tileHeight + TILE_GAP)];
  }

  /** The place under the pointer. @returns {Place | null} */
  #placeOf(/** @type {MouseEvent} */ event) {
    const grid = this.#grid();
    const box = this.canvas.getBoundingClientRect();
    const [across, down] = [event.clientX - box.left - TILE_EDGE, event.clientY - box.top - TILE_EDGE];
    const column = Math.floor(across / (grid.tileWidth + TILE_GAP));
    const map = Math.floor(down / (grid.tileHeight + TILE_GAP)) * grid.columns + column;
    if (column < 0 || column >= grid.columns || map < 0 || map >= this.count) return null;
    const [left, top] = this.#cornerOf(map, grid);
    const inside = (at, count) => Math.min(Math.max(Math.floor(at / grid.scale), 0), count - 1);
    return {map, y: inside(down + TILE_EDGE - top, this.height), x: inside(across + TILE_EDGE - left, this.width)};
  }

  // Keys.

  #key(/** @type {KeyboardEvent} */ event) {
    const {columns} = this.#grid();
    const steps = /** @type {Record<string, number>} */ ({
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -this.cursor, End: this.count - 1 - this.cursor,
    });
    if (event.key in steps) this.#choose(Math.min(Math.max(this.cursor + steps[event.key], 0), this.count - 1));
    else if (event.key === 'Enter') this.told.entered();
    else return;
    event.preventDefault();
  }

  /** Chooses a map and its cell with the largest value. */
  #choose(/** @type {number} */ map) {
    this.cursor = map;
    this.told.chosen(this.brightest(map));
  }

  /** The place of the largest value of a map, or of all. @returns {Place} */
  brightest(map = -1) {
    let best = Math.max(map, 0);
    for (let at = best; this.values && at < this.values.length; at += map < 0 ? 1 : this.maps) {
      if (at % this.maps < this.count && this.values[at] > this.values[best]) best = at;
    }
    const cell = Math.floor(best / this.maps);
    return {map: best % this.maps, y: Math.floor(cell / this.width), x: cell % this.width};
  }
}

const mapScratch = document.createElement('canvas');

/**
 * Draws one map into a box.
 * @param {CanvasRenderingContext2D} context
 * @param {Float32Array} values
 * @param {{height: number, width: number, maps: number}} shape
 * @param {number} map
 * @param {{low: number, high: number}} range
 * @param {[number, number, number, number]} box
 */
function drawMap(context, values, {height, width, maps}, map, range, [x, y, boxWidth, boxHeight]) {
  if (width * height === 1) {
    context.fillStyle = css(AMOUNT(shareOf(values[map], range)));
    context.fillRect(x, y, boxWidth, boxHeight);
    return;
  }
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const [low, scale] = range.high > range.low ? [range.low, 254 / (range.high - range.low)] : [range.low - 1, 127];
  for (let at = 0; at < pixels.length; at++) {
    const share = (values[at * maps + map] - low) * scale;
    pixels[at] = AMOUNT_PIXELS[share > 0 ? Math.min(Math.round(share), 254) : 0];
  }
  if (mapScratch.width !== width || mapScratch.height !== height) Object.assign(mapScratch, {width, height});
  /** @type {CanvasRenderingContext2D} */ (mapScratch.getContext('2d')).putImageData(image, 0, 0);
  context.imageSmoothingEnabled = boxWidth < width;
  context.drawImage(mapScratch, x, y, boxWidth, boxHeight);
}

/** Frames the cells of a window, at least three pixels wide, light inside dark so that it shows on every colour. */
function outline(/** @type {CanvasRenderingContext2D} */ context, {top, left, rows, columns, dilation}, [x, y], scale, [inner, outer]) {
  const [width, height] = [((columns - 1) * dilation[1] + 1) * scale, ((rows - 1) * dilation[0] + 1) * scale];
  const more = Math.max(0, (3 - Math.min(width, height)) / 2);
  const box = [x + left * scale - more, y + top * scale - more, width + 2 * more, height + 2 * more];
  const grown = (/** @type {number} */ by) => /** @type {[number, number, number, number]} */ ( [box[0] - by, box[1] - by, box[2] + 2 * by, box[3] + 2 * by]);
  context.lineWidth = 1;
  context.strokeStyle = outer;
  context.strokeRect(...grown(1.5));
  context.strokeStyle = inner;
  context.strokeRect(...grown(0.5));
}

/** A strip of colours between its two ends. */
function legendOf(/** @type {Ramp} */ ramp, /** @type {number} */ low, /** @type {number} */ high) {
  const strip = document.createElement('i');
  strip.className = 'strip';
  const colours = Array.from({length: 11}, (_, i) => css(ramp(i / 10)));
  strip.style.background = `linear-gradient(to right, ${colours.join(', ')})`;
  return [brief(low), strip, brief(high)];
}
