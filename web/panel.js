'use strict';
// The controls of training: what to train with, start and stop, the curves, and the weights as a file.

/** An element of the page, by its id. @returns {any} */
function at(/** @type {string} */ id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element ${id}`);
  return element;
}

class TrainingPanel {
  /**
   * @param {Training} training
   * @param {(message: string) => void} say
   */
  constructor(training, say) {
    this.training = training;
    /** The name of the downloaded weights. */
    this.file = `${training.runner.site.plan.name.replace(/[^\w.-]+/g, '-') || 'model'}.safetensors`;
    this.say = say;
    const {runner, hasDigits} = training;
    this.loss = new Chart(at('loss-chart'), 'Training loss', {text: (value) => String(Number(value.toPrecision(3)))});
    this.accuracy = new Chart(at('accuracy-chart'), 'Accuracy', {limits: [0, 1], text: (value) => `${Math.round(value * 100)} %`});
    this.#describe();
    at('sources').hidden = !hasDigits;
    at('rate').value = String(Number(runner.learningRate.toPrecision(6)));
    at('training').addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#toggle();
    });
    at('sources').addEventListener('change', (/** @type {any} */ {target}) => {
      training.source = target.value;
      this.show();
    });
    at('rate').addEventListener('change', () => this.#setRate());
    at('reset').addEventListener('click', () => this.#reset('exported', 'The weights are the original ones again.'));
    at('scratch').addEventListener('click', () => this.#reset('initial', 'The weights are those before any training.'));
    at('download').addEventListener('click', () => this.#guard(() => this.#download()));
    training.progressed = () => this.#later();
    this.show();
  }

  #describe() {
    const {runner, hasDigits} = this.training;
    const {optimizer, programs} = runner.site.plan;
    const batch = programs.train?.batch ?? 0;
    at('train-text').textContent = runner.canTrain
      ? `With the program’s own training step: batches of ${batch}, ${optimizer.rule ?? optimizer.name}. ` +
        'It changes the weights in this page only: download them to keep them.'
      : this.training.obstacle();
    at('train-desk').hidden = at('collection').hidden = !runner.canTrain;
    const key = (/** @type {string} */ style) => make('i', `key ${style}`);
    const yours = ['images held out of your collection ', key('s1')];
    at('accuracy-text').replaceChildren('Accuracy on ', ...(hasDigits
      ? [`${TEST_DIGITS} held-out digits that the page draws `, key('s0'), ' and on ', ...yours] : yours), '.');
  }

  /** Shows the state soon; many steps a second are shown together. */
  #later() {
    if (this.waits) return;
    this.waits = setTimeout(() => {
      this.waits = 0;
      this.show();
    }, 150);
  }

  show() {
    const {training, loss, accuracy} = this;
    const {curves, isRunning, isStopping, runner} = training;
    loss.show([{name: 'loss', style: 'faint', points: curves.loss}, {name: 'running mean', style: 's0', points: curves.smooth}]);
    accuracy.show([
      {name: 'held-out digits', style: 's0', points: curves.accuracy, dots: true},
      {name: 'your held-out images', style: 's1', points: curves.mine, dots: true},
    ]);
    at('start').textContent = !isRunning ? 'Train' : isStopping ? 'Stopping …' : 'Stop';
    const obstacle = isRunning ? '' : training.obstacle();
    at('start').disabled = obstacle !== '' || (isRunning && isStopping);
    for (const id of ['reset', 'scratch', 'download', 'rate', 'sources']) at(id).disabled = isRunning;
    at('progress').textContent = obstacle || this.#progress(runner.step);
    this.#showMine();
  }

  #progress(/** @type {number} */ step) {
    const {smooth, accuracy, mine} = this.training.curves;
    const last = (/** @type {[number, number][]} */ curve) => curve[curve.length - 1]?.[1];
    const parts = [counted(step, 'step')];
    if (smooth.length) parts.push(`loss ${brief(last(smooth))}`);
    if (accuracy.length) parts.push(`${percent(last(accuracy))} of held-out digits right`);
    if (mine.length) parts.push(`${percent(last(mine))} of yours`);
    return parts.join(' · ');
  }

  #showMine() {
    const {examples} = this.training;
    const [learned, held] = [examples.which(false).length, examples.which(true).length];
    at('mine-text').textContent = learned + held === 0
      ? 'Empty. Say above which one an image really is, and it is kept here, until you leave the page.'
      : `${learned} to train on, ${held} held out for testing (every fifth). A click removes one.`;
  }

  async #toggle() {
    if (this.training.isRunning) return this.training.stop();
    if (!this.#setRate()) return;
    await this.#guard(async () => {
      this.say('Training started.');
      const done = this.training.start();
      this.show();
      await done;
      this.say(`Training stopped: ${this.#progress(this.training.runner.step)}`);
    });
  }

  /** Takes over the learning rate, if it is one. */
  #setRate() {
    const rate = Number(at('rate').value.replace(',', '.'));
    const isRate = at('rate').value.trim() !== '' && Number.isFinite(rate) && rate > 0;
    at('rate').setAttribute('aria-invalid', String(!isRate));
    at('trouble').textContent = isRate ? '' : 'The learning rate must be a number above 0, such as 0.001.';
    if (isRate) this.training.runner.learningRate = rate;
    return isRate;
  }

  #reset(/** @type {'exported' | 'initial'} */ which, /** @type {string} */ message) {
    return this.#guard(async () => {
      await this.training.runner.reset(which);
      this.training.restart();
      await this.training.measure();
      this.say(message);
    });
  }

  async #download() {
    const weights = await this.training.runner.weights();
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([weights]));
    link.download = this.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    at('trouble').textContent = '';
    at('progress').textContent = `Downloaded. To test the weights: cnn-gpu evaluate ${this.file}`;
    this.say(at('progress').textContent);
  }

  /** Shows what went wrong. */
  async #guard(/** @type {() => Promise<void>} */ work) {
    try {
      at('trouble').textContent = '';
      await work();
    } catch (error) {
      at('trouble').textContent = error instanceof Error ? error.message : String(error);
      this.show();
    }
  }
}
