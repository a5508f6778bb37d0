'use strict';
// The curves of training, in the manner of the program's reports: one chart for the loss, one for the accuracy.

const SVG = 'http://www.w3.org/2000/svg';
/** The size of a chart in its own units, and its margins: top, right, bottom, left. */
const CHART = {width: 340, height: 190, margins: [14, 12, 32, 44]};

/** @typedef {{name: string, style: string, points: [number, number][], dots?: boolean}} Series */

class Chart {
  /**
   * @param {HTMLElement} host
   * @param {string} title
   * @param {{limits?: [number, number], text: (value: number) => string, across?: string}} options `across` is what the
   * curves run over, in the singular
   */
  constructor(host, title, {limits, text, across = 'step'}) {
    this.title = title;
    this.limits = limits;
    this.text = text;
    this.across = across;
    /** The axis reaches at least so far. */
    this.reach = 10;
    this.svg = document.createElementNS(SVG, 'svg');
    this.svg.setAttribute('viewBox', `0 0 ${CHART.width} ${CHART.height}`);
    this.svg.setAttribute('class', 'chart');
    this.svg.setAttribute('role', 'img');
    host.append(this.svg);
    this.show([]);
  }

  /** Draws series, over the numbers of steps or epochs. */
  show(/** @type {Series[]} */ series) {
    const points = series.flatMap((one) => one.points);
    const xs = ticksOf(0, Math.max(this.reach, ...points.map(([x]) => x)), 5);
    const values = points.map(([, y]) => y).filter(Number.isFinite);
    const [low, high] = this.limits ?? [0, values.length ? Math.max(...values) : 1];
    const ys = ticksOf(low, high || 1, 4);
    const [top, right, bottom, left] = CHART.margins;
    const [endX, endY] = [Math.max(xs[xs.length - 1], 1), Math.max(ys[ys.length - 1], high)];
    const x = (/** @type {number} */ value) => left + (value / endX) * (CHART.width - left - right);
    const y = (/** @type {number} */ value) => CHART.height - bottom - ((value - low) / (endY - low)) * (CHART.height - top - bottom);
    this.svg.replaceChildren();
    ys.forEach((at) => {
      this.#add('line', {class: 'grid', x1: left, x2: CHART.width - right, y1: y(at), y2: y(at)});
      this.#add('text', {class: 'tick', x: left - 6, y: y(at) + 4, 'text-anchor': 'end'}, this.text(at));
    });
    xs.forEach((at) => this.#add('text', {class: 'tick', x: x(at), y: CHART.height - bottom + 14, 'text-anchor': 'middle'}, String(at)));
    this.#add('text', {class: 'label', x: (left + CHART.width - right) / 2, y: CHART.height - 4, 'text-anchor': 'middle'}, this.across);
    series.forEach((one) => this.#curve(one, x, y));
    const last = series.map(({name, points}) => (points.length ? `${name} ${this.text(points[points.length - 1][1])}` : ''));
    this.svg.setAttribute('aria-label', `${this.title}: ${last.filter(Boolean).join(', ') || `no ${this.across}s yet`}`);
  }

  #curve(/** @type {Series} */ {style, points, dots}, x, y) {
    const shown = points.filter(([, value]) => Number.isFinite(value));
    const path = shown.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    if (path) this.#add('polyline', {class: `curve ${style}`, points: path});
    if (dots) shown.forEach(([at, value]) => this.#add('circle', {class: `dot ${style}`, cx: x(at), cy: y(value), r: 2.4}));
  }

  #add(/** @type {string} */ tag, /** @type {Record<string, string | number>} */ attributes, text = '') {
    const element = document.createElementNS(SVG, tag);
    Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, String(value)));
    element.textContent = text;
    this.svg.append(element);
  }
}

/** Round numbers from `low` to at least `high`, about `count` of them. */
function ticksOf(/** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((n) => n * power >= rough * 0.999) ?? 10);
  const ticks = [];
  for (let i = 0; low + (i - 1) * step < high - step * 0.001; i++) ticks.push(Number((low + i * step).toPrecision(12)));
  return ticks;
}
