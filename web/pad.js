'use strict';
// The pad on which one draws with mouse, finger, pen or the arrow keys. Strokes are kept, so that one can take them
// back and the theme can change.

/** The side of the pad in its own pixels, whatever its size on the screen. */
const PAD_SIDE = 280;
/** The width of a line without pressure. */
const PAD_LINE = 22;
/** How far an arrow key moves the pen. */
const PAD_STEP = 10;

/** @typedef {[x: number, y: number, width: number]} PadPoint */

class Pad {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(message: string) => void} say tells screen readers what keys did
   */
  constructor(canvas, say) {
    this.canvas = canvas;
    this.say = say;
    canvas.width = canvas.height = PAD_SIDE;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', {willReadFrequently: true}));
    /** @type {PadPoint[][]} */
    this.strokes = [];
    /** A digit that is shown until one draws. @type {Uint8Array | null} */
    this.shown = null;
    /** Whether the next stroke starts a new drawing. */
    this.done = false;
    /** @type {() => void} */
    this.changed = () => {};
    /** The pen that the keys move. */
    this.pen = {x: PAD_SIDE / 2, y: PAD_SIDE / 4, down: false, visible: false};
    canvas.addEventListener('pointerdown', (event) => this.#down(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, () => { this.pointer = null; });
    canvas.addEventListener('keydown', (event) => this.#key(event));
    canvas.addEventListener('focus', () => this.#showPen(canvas.matches(':focus-visible')));
    canvas.addEventListener('blur', () => this.#showPen(false));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    /** @type {number | null} */
    this.pointer = null;
  }

  get isEmpty() {
    return this.strokes.length === 0 && this.shown === null;
  }

  /** The drawing in grey, black on white. @returns {Pixels} */
  grey() {
    this.draw(false);
    const {data} = this.context.getImageData(0, 0, PAD_SIDE, PAD_SIDE);
    this.draw();
    const grey = new Uint8Array(PAD_SIDE * PAD_SIDE);
    for (let at = 0; at < grey.length; at++) grey[at] = 255 - data[at * 4 + 3];
    return {width: PAD_SIDE, height: PAD_SIDE, channels: 1, data: grey};
  }

  /** Shows a prepared digit until one draws. */
  show(/** @type {Uint8Array} */ image) {
    this.strokes = [];
    this.shown = image;
    this.pen.down = false;
    this.draw();
    this.changed();
  }

  clear() {
    this.strokes = [];
    this.shown = null;
    this.done = false;
    this.pen.down = false;
    this.draw();
    this.changed();
  }

  undo() {
    this.shown = null;
    this.strokes.pop();
    this.pen.down = false;
    this.draw();
    this.changed();
  }

  draw(withPen = true) {
    const {context, canvas} = this;
    const ink = getComputedStyle(canvas).color;
    context.clearRect(0, 0, PAD_SIDE, PAD_SIDE);
    if (this.shown) this.#drawShown(this.shown, ink);
    context.strokeStyle = context.fillStyle = ink;
    context.lineCap = context.lineJoin = 'round';
    this.strokes.forEach((stroke) => this.#drawStroke(stroke));
    if (!withPen || !this.pen.visible) return;
    const {x, y, down} = this.pen;
    context.lineWidth = 2;
    context.strokeStyle = getComputedStyle(canvas).outlineColor;
    context.beginPath();
    context.arc(x, y, PAD_LINE / 2, 0, 2 * Math.PI);
    if (down) context.stroke();
    else for (const [dx, dy] of [[1, 0], [0, 1]]) {
      context.moveTo(x - 14 * dx, y - 14 * dy);
      context.lineTo(x + 14 * dx, y + 14 * dy);
      context.stroke();
    }
  }

  #drawShown(/** @type {Uint8Array} */ image, /** @type {string} */ ink) {
    const side = Math.sqrt(image.length);
    const cell = PAD_SIDE / side;
    this.context.fillStyle = ink;
    image.forEach((value, at) => {
      this.context.globalAlpha = value / 255;
      this.context.fillRect((at % side) * cell, Math.floor(at / side) * cell, cell, cell);
    });
    this.context.globalAlpha = 1;
  }

  /** A smooth line through the middles between points. */
  #drawStroke(/** @type {PadPoint[]} */ stroke) {
    const {context} = this;
    const middle = (/** @type {PadPoint} */ a, /** @type {PadPoint} */ b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    let [fromX, fromY] = stroke[0];
    if (stroke.length === 1) {
      context.beginPath();
      context.arc(fromX, fromY, stroke[0][2] / 2, 0, 2 * Math.PI);
      context.fill();
    }
    for (let i = 1; i < stroke.length; i++) {
      const [x, y, width] = stroke[i - 1];
      const [toX, toY] = i + 1 === stroke.length ? stroke[i] : middle(stroke[i - 1], stroke[i]);
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(fromX, fromY);
      context.quadraticCurveTo(x, y, toX, toY);
      context.stroke();
      [fromX, fromY] = [toX, toY];
    }
  }

  // Mouse, finger and pen.

  #point(/** @type {PointerEvent} */ event) {
    const box = this.canvas.getBoundingClientRect();
    const width = event.pointerType === 'pen' ? PAD_LINE * (0.5 + event.pressure) : PAD_LINE;
    return /** @type {PadPoint} */ ([
      ((event.clientX - box.left) / box.width) * PAD_SIDE, ((event.clientY - box.top) / box.height) * PAD_SIDE, width,
    ]);
  }

  #down(/** @type {PointerEvent} */ event) {
    if (event.button !== 0 || this.pointer !== null) return;
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.#begin(this.#point(event));
  }

  #move(/** @type {PointerEvent} */ event) {
    if (event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.#extend((events.length ? events : [event]).map((each) => this.#point(each)));
  }

  #begin(/** @type {PadPoint} */ point) {
    if (this.shown || this.done) this.strokes = [];
    this.shown = null;
    this.done = false;
    this.strokes.push([point]);
    this.draw();
    this.changed();
  }

  #extend(/** @type {PadPoint[]} */ points) {
    this.strokes[this.strokes.length - 1].push(...points);
    this.draw();
    this.changed();
  }

  // Keys: arrows move the pen, Space lowers and lifts it.

  #showPen(/** @type {boolean} */ visible) {
    this.pen.visible = visible;
    if (!visible) this.pen.down = false;
    this.draw();
  }

  #key(/** @type {KeyboardEvent} */ event) {
    const moves = /** @type {Record<string, number[]>} */ ({
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    });
    if (moves[event.key]) this.#step(moves[event.key]);
    else if (event.key === ' ') this.#lowerOrLift();
    else if (event.key === 'Escape' || event.key === 'Delete') this.#erase();
    else if (event.key === 'Backspace') this.undo();
    else return;
    event.preventDefault();
  }

  #step(/** @type {number[]} */ [dx, dy]) {
    const inside = (/** @type {number} */ at) => Math.min(Math.max(at, 0), PAD_SIDE);
    this.pen.x = inside(this.pen.x + dx * PAD_STEP);
    this.pen.y = inside(this.pen.y + dy * PAD_STEP);
    this.pen.visible = true;
    if (this.pen.down) this.#extend([[this.pen.x, this.pen.y, PAD_LINE]]);
    else this.draw();
  }

  #lowerOrLift() {
    this.pen.visible = true;
    this.pen.down = !this.pen.down;
    this.say(this.pen.down ? 'The pen is down.' : 'The pen is up.');
    if (this.pen.down) this.#begin([this.pen.x, this.pen.y, PAD_LINE]);
    else this.draw();
  }

  #erase() {
    this.clear();
    this.say('The pad is empty.');
  }
}
