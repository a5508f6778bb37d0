'use strict';
// Trains the network in the page, with the plan with which the program trains it.

/** Held-out built-in digits that measure the accuracy. */
const TEST_DIGITS = 300;
/** Steps on their way to the GPU at a time. */
const STEPS_IN_FLIGHT = 3;
/** The share of the last value in a smoothed loss. */
const SMOOTHING = 0.9;
/** A curve with more points is thinned. */
const MOST_POINTS = 400;

/** @typedef {'digits' | 'mine' | 'both'} TrainingSource */

class Training {
  /**
   * @param {Runner} runner
   * @param {Examples} examples
   * @param {boolean} hasDigits whether the built-in digits suit the network
   */
  constructor(runner, examples, hasDigits) {
    this.runner = runner;
    this.examples = examples;
    this.hasDigits = hasDigits;
    /** @type {TrainingSource} */
    this.source = hasDigits ? 'digits' : 'mine';
    this.isRunning = false;
    this.isStopping = false;
    /** The held-out digits, drawn when they are needed first. @type {ReturnType<typeof drawDigits> | null} */
    this.test = null;
    /** Called when there is something new to show. @type {() => void} */
    this.progressed = () => {};
    /** Called with the tested weights. @type {() => Promise<void>} */
    this.tested = async () => {};
    /** The built-in digit that comes next, and the images of the collection that are still to come. */
    this.next = 0;
    this.epoch = 0;
    this.queue = /** @type {LabelledImage[]} */ ([]);
    this.curves = Training.#noCurves();
    /** The step at which the weights were tested last. */
    this.measured = -1;
  }

  /** @returns {Record<'loss' | 'smooth' | 'accuracy' | 'mine', [number, number][]>} */
  static #noCurves() {
    return {loss: [], smooth: [], accuracy: [], mine: []};
  }

  /** Forgets the curves, for new weights. */
  restart() {
    this.next = 0;
    this.epoch = 0;
    this.queue = [];
    this.curves = Training.#noCurves();
    this.measured = -1;
  }

  /** Why training cannot start, or ''. */
  obstacle() {
    const {runner} = this;
    if (!runner.canTrain) {
      return runner.reason ? `Training needs WebGPU: ${runner.reason}.` : runner.site.plan.left_out[0] ?? 'The page has no plan to train.';
    }
    if (this.source !== 'digits' && this.examples.which(false).length === 0) return 'First give some images a label.';
    return '';
  }

  /** Trains until `stop`, or for so many steps. */
  async start(steps = Infinity) {
    this.isRunning = true;
    this.isStopping = false;
    try {
      if (this.measured < 0) await this.measure();
      await this.#loop(this.runner.step + steps);
      await this.measure();
    } finally {
      this.isRunning = false;
      this.progressed();
    }
  }

  /** Ends training after the steps that are on their way. */
  stop() {
    this.isStopping = true;
    this.progressed();
  }

  async #loop(/** @type {number} */ end) {
    /** @type {Promise<void>[]} */
    const flying = [];
    let [pause, since] = [1000, performance.now()];
    while (!this.isStopping && this.runner.step < end) {
      const {images, labels} = this.#batch();
      flying.push(this.runner.trainStep(images, labels).then((result) => this.#record(result)));
      if (flying.length >= STEPS_IN_FLIGHT) await flying.shift();
      if (performance.now() - since < pause) continue;
      await Promise.all(flying.splice(0));
      const before = performance.now();
      await this.measure();
      since = performance.now();
      // Testing may take a fifth of the time.
      pause = Math.max(1000, 4 * (since - before));
    }
    await Promise.all(flying);
  }

  #record(/** @type {{step: number, loss: number}} */ {step, loss}) {
    if (!Number.isFinite(loss)) this.stop();
    const {loss: losses, smooth} = this.curves;
    const last = smooth.length ? smooth[smooth.length - 1][1] : loss;
    // The first values count more, as there are few to average.
    const keep = Math.min(SMOOTHING, smooth.length / (smooth.length + 1));
    losses.push([step, loss]);
    smooth.push([step, keep * last + (1 - keep) * loss]);
    for (const curve of [losses, smooth]) thin(curve);
    this.progressed();
  }

  /** Tests on held-out images, and lets the page show the new weights. */
  async measure() {
    const {runner, curves} = this;
    const step = runner.step;
    if (step === this.measured) return;
    this.measured = step;
    if (this.hasDigits) {
      this.test ??= drawDigits(FIRST_TEST_DIGIT, TEST_DIGITS);
      curves.accuracy.push([step, (await runner.evaluate(this.test.images, this.test.labels)).accuracy]);
    }
    const held = joined(this.examples.which(true));
    if (held.labels.length) curves.mine.push([step, (await runner.evaluate(held.images, held.labels)).accuracy]);
    [curves.accuracy, curves.mine].forEach(thin);
    this.progressed();
    await this.tested();
  }

  // Batches.

  /** The images of the next step. */
  #batch() {
    const {batch} = /** @type {PlanProgram} */ (this.runner.site.plan.programs.train);
    if (this.source === 'digits') return this.#digits(batch);
    const own = Math.min(this.source === 'both' ? batch >> 1 || 1 : batch, this.examples.which(false).length);
    const mine = joined(Array.from({length: own}, () => this.#nextExample()));
    if (this.source === 'mine' || own === batch) return mine;
    const digits = this.#digits(batch - own);
    return {images: bytes(mine.images, digits.images), labels: bytes(mine.labels, digits.labels)};
  }

  #digits(/** @type {number} */ count) {
    if (this.next + count > FIRST_TEST_DIGIT) this.next = 0;
    this.next += count;
    return drawDigits(this.next - count, count);
  }

  /** The collected images, in a new order each time round. */
  #nextExample() {
    if (this.queue.length === 0) {
      const key = streamKey(this.runner.site.plan.seed, STREAMS.shuffle, this.epoch++);
      this.queue = this.examples.which(false)
        .map((example, i) => ({example, at: uniformOf(key, i)}))
        .sort((a, b) => a.at - b.at)
        .map(({example}) => example);
    }
    return /** @type {LabelledImage} */ (this.queue.pop());
  }
}

/** Removes every second point of a long curve, but not its last. */
function thin(/** @type {[number, number][]} */ points) {
  if (points.length <= MOST_POINTS) return;
  const kept = points.filter((_, i) => (points.length - 1 - i) % 2 === 0);
  points.splice(0, points.length, ...kept);
}

function bytes(/** @type {Uint8Array} */ a, /** @type {Uint8Array} */ b) {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
