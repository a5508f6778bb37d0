'use strict';
// The page: from a drawing or a picture to the prediction, the layers and the training.

/** Which browsers have WebGPU (the GPU for the Web group's status of April 2026). */
const BROWSERS = 'WebGPU is in Chrome and Edge (Windows, macOS and ChromeOS from 113, Android from 121, Linux from 144 on Intel ' +
  'and 147 on NVIDIA GPUs), Firefox (Windows from 141, macOS from 145 on Apple silicon) and Safari 26.';

class Page {
  constructor(/** @type {Runner | CpuRunner} */ runner) {
    this.runner = runner;
    this.plan = runner.site.plan;
    this.isDigit = this.plan.input.prepare === 'mnist';
    /** Whether the built-in digits suit the network. */
    this.hasDigits = this.isDigit && this.plan.classes.length === SKELETONS.length && this.plan.input.shape.join() === '28,28,1';
    /** The image that the network sees. @type {Uint8Array | null} */
    this.image = null;
    /** A picture that one chose, in the network's size. @type {Uint8Array | null} */
    this.picture = null;
    this.examplesShown = 0;
    this.bars = new Bars(at('bars'), this.plan);
    this.inside = new Inside(at('layers'), at('behind'), runner, say);
    this.pad = new Pad(at('pad'), say);
    this.pad.changed = () => this.refresh();
    this.examples = new Examples(at('mine'), this.plan, () => this.panel?.show());
    const training = new Training(/** @type {Runner} */ (runner), this.examples, this.hasDigits);
    training.tested = async () => {
      this.inside.forget();
      await this.refresh();
    };
    this.panel = new TrainingPanel(training, say);
    this.#connect();
    this.#describe();
  }

  #connect() {
    at('clear').addEventListener('click', () => this.pad.clear());
    at('undo').addEventListener('click', () => this.pad.undo());
    at('example').addEventListener('click', () => this.showExample());
    at('example').hidden = !this.hasDigits;
    at('pad-side').hidden = !this.isDigit;
    at('picture-side').hidden = this.isDigit;
    at('file').addEventListener('change', () => this.#read(at('file').files?.[0]));
    // A picture may be dropped anywhere, and on the pad, too: photographs of digits are prepared as drawings are.
    addEventListener('dragover', (event) => event.preventDefault());
    addEventListener('drop', (event) => {
      event.preventDefault();
      this.#read(event.dataTransfer?.files[0]);
    });
    this.plan.classes.forEach((name, label) => {
      const button = make('button', '', name);
      button.addEventListener('click', () => this.#keep(label));
      at('labels').append(button);
    });
    this.runner.lost.then((message) => { at('engine').textContent = `The GPU is gone: ${message}. Reload the page.`; });
  }

  #describe() {
    const {name, parameters, layers, classes, input} = this.plan;
    const count = parameters.reduce((sum, {shape}) => sum + elements(shape), 0);
    document.title = at('name').textContent = name;
    at('about').textContent = `A network of ${counted(layers.length, 'layer')} and ${counted(count, 'parameter')} that reads ` +
      `${this.isDigit ? 'digits' : `pictures of ${shapeText(input.shape)}`} and tells ${classes.length} classes apart. ` +
      `It runs in this page; what you ${this.isDigit ? 'draw' : 'show'} stays here.`;
    if (!this.isDigit) at('draw-title').textContent = 'Show a picture';
    at('footer').textContent = `Written by ${/** @type {any} */ (this.plan).generator ?? 'cnn-gpu'}.`;
    at('engine').textContent = this.runner.kind === 'webgpu' ? `Computes with WebGPU on ${this.runner.adapter}.`
      : `Computes in JavaScript, and does not train: ${this.runner.reason}. ${BROWSERS}` +
        (isSecureContext ? '' : ' It needs https, localhost or a file on disk.');
    at('teach').hidden = !this.runner.canTrain;
  }

  /** Shows something at once, so that there is something to look inside. */
  async start() {
    if (this.hasDigits) this.pad.show(this.#nextExample());
    await this.refresh();
  }

  // What the network sees.

  /** Shows one of the digits that the program draws. */
  showExample() {
    this.pad.show(this.#nextExample());
  }

  #nextExample() {
    // Test digits, from the end, so that the accuracy is measured on others.
    this.examplesShown += 1;
    return drawDigits(FIRST_TEST_DIGIT + 10000 - this.examplesShown, 1).images;
  }

  async #read(/** @type {File | undefined} */ file) {
    if (!file) return;
    try {
      const pixels = await readPicture(file);
      const {shape, interpolation} = this.plan.input;
      const image = this.isDigit ? prepareDigit(greyOf(pixels)) : resizePicture(pixels, shape, interpolation);
      if (!image) throw new Error('the picture has a single colour: choose one with a digit on a plain background');
      if (this.isDigit) return this.pad.show(image);
      this.picture = image;
      drawInput(at('picture'), image, shape);
      await this.refresh();
    } catch (error) {
      say(tellError(error));
      at('sure').textContent = tellError(error);
    }
  }

  /** Keeps the image with its label. */
  #keep(/** @type {number} */ label) {
    if (!this.image) return say('There is no image to keep yet.');
    const {held} = this.examples.add(this.image, label);
    this.pad.done = true;
    const name = this.plan.classes[label];
    say(held ? `Kept as ${name}, for testing.` : `Kept as ${name}.`);
    at('teach-text').textContent = `Kept as ${name}${held ? ', for testing' : ''}. ${this.isDigit ? 'Draw the next one.' : 'Show the next one.'}`;
  }

  // The prediction.

  /** Predicts the newest image; while a prediction runs, the one after it waits. */
  async refresh() {
    this.isStale = true;
    this.refreshing ??= this.#predictNewest().finally(() => { this.refreshing = undefined; });
    return this.refreshing;
  }

  async #predictNewest() {
    try {
      while (this.isStale) {
        this.isStale = false;
        await this.#predict();
        await new Promise(requestAnimationFrame);
      }
    } catch (error) {
      at('sure').textContent = tellError(error);
    }
  }

  async #predict() {
    const {pad, plan} = this;
    this.image = this.isDigit ? pad.shown ?? (pad.isEmpty ? null : prepareDigit(pad.grey())) : this.picture;
    drawInput(at('seen'), this.image ?? new Uint8Array(elements(plan.input.shape)), plan.input.shape);
    if (!this.image) {
      this.bars.clear();
      at('guess').textContent = '\u00a0';
      at('sure').textContent = this.isDigit ? 'Draw a digit.' : 'Show a picture.';
      return this.inside.show(null);
    }
    const outputs = await this.runner.predict(this.image);
    const best = this.bars.show(outputs);
    at('guess').textContent = plan.classes[best];
    at('sure').textContent = this.bars.areShares ? `${percent(outputs[best])} sure` : `with an output of ${brief(outputs[best])}`;
    await this.inside.show(this.image);
    performance.mark('prediction');
    // Screen readers hear it when the drawing pauses.
    clearTimeout(telling);
    telling = setTimeout(() => say(`${at('guess').textContent} ${at('sure').textContent}`), 700);
  }
}

const tellError = (/** @type {unknown} */ error) => (error instanceof Error ? error.message : String(error));

/** The timer of the prediction to tell. */
let telling = 0;

/** Tells screen readers. What is said next replaces a prediction that has not been told yet. */
function say(/** @type {string} */ message) {
  clearTimeout(telling);
  at('say').textContent = message;
}

/** The network. */
const opened = Site.load().then(openRunner);
/** The page, after its first prediction. */
const started = opened.then(async (runner) => {
  const page = new Page(runner);
  await page.start();
  return page;
});
started.catch((error) => {
  at('about').textContent = tellError(error);
  at('about').className = 'trouble';
});
