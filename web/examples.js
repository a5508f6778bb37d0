'use strict';
// The images that one collects with a label. Every fifth is held out: the network is tested on it, never trained.

/** Of so many images one is held out. */
const HELD_OUT = 5;

/** @typedef {{image: Uint8Array, label: number}} LabelledImage */

class Examples {
  /**
   * @param {HTMLElement} list
   * @param {Plan} plan
   * @param {() => void} changed
   */
  constructor(list, plan, changed) {
    this.list = list;
    this.plan = plan;
    this.changed = changed;
    /** @type {(LabelledImage & {held: boolean, remove: () => void})[]} */
    this.all = [];
    this.added = 0;
  }

  /** Keeps an image; another label for the newest one replaces its label. */
  add(/** @type {Uint8Array} */ image, /** @type {number} */ label) {
    const newest = this.all[this.all.length - 1];
    if (newest?.image.every((value, i) => value === image[i])) {
      newest.remove();
      this.added -= 1;
    }
    this.added += 1;
    const item = make('li');
    const example = {
      image: image.slice(), label, held: this.added % HELD_OUT === 0,
      remove: () => {
        this.all = this.all.filter((other) => other !== example);
        item.remove();
      },
    };
    this.all.push(example);
    const name = this.plan.classes[label];
    const picture = /** @type {HTMLCanvasElement} */ (make('canvas'));
    drawInput(picture, image, this.plan.input.shape);
    const button = make('button', '', picture, make('span', '', name + (example.held ? ' (test)' : '')));
    button.setAttribute('aria-label', `Remove this ${name}${example.held ? ', which is held out for testing' : ''}`);
    button.title = 'Remove';
    item.append(button);
    button.addEventListener('click', () => {
      const neighbour = item.nextElementSibling ?? item.previousElementSibling;
      example.remove();
      neighbour?.querySelector('button')?.focus();
      this.changed();
    });
    this.list.append(item);
    this.changed();
    return example;
  }

  /** Those to train on, or those held out. */
  which(/** @type {boolean} */ held) {
    return this.all.filter((example) => example.held === held);
  }
}

/** Images one after the other, with their labels. */
function joined(/** @type {LabelledImage[]} */ examples) {
  const size = examples[0]?.image.length ?? 0;
  const images = new Uint8Array(examples.length * size);
  examples.forEach(({image}, i) => images.set(image, i * size));
  return {images, labels: Uint8Array.from(examples, ({label}) => label)};
}

/** Draws an image of the network's input: grey ones as ink on paper, as on the pad. */
function drawInput(/** @type {HTMLCanvasElement} */ canvas, /** @type {Uint8Array | null} */ image, /** @type {number[]} */ [height, width, channels]) {
  Object.assign(canvas, {width, height});
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  if (!image) return;
  const pixels = new ImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    const [r, g, b] = [0, 1, 2].map((c) => image[at * channels + Math.min(c, channels - 1)]);
    pixels.data.set([r, g, b, 255], at * 4);
  }
  context.putImageData(pixels, 0, 0);
}
