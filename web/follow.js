'use strict';
// Follows a run while it trains: its curves, and its newest weights. Only `cnn-gpu serve --follow` serves this file.

/** Milliseconds between two questions: while the run trains, otherwise, and on a slow machine. */
const ASK = {often: 1000, seldom: 5000, most: 15000};
/** Curves of more epochs have no dots. */
const MOST_DOTS = 40;

/**
 * @typedef {{epoch: number, loss: number, accuracy: number, val_loss?: number, val_accuracy?: number,
 *   learning_rate: number}} Epoch
 * @typedef {{state: 'training' | 'silent' | 'finished' | 'stopped' | 'interrupted' | 'replaced', epochs: number,
 *   history: Epoch[], weights: string, is_trained: boolean, reason: string | null, restored_epoch: number | null,
 *   test_accuracy: number | null}} News what docs/web.md describes as follow.json
 */

class Follower {
  constructor(/** @type {Page} */ page) {
    this.page = page;
    /** The weights that the page has seen, by the server's name. */
    this.weights = '';
    /** The last news. */
    this.text = '';
    /** The last line for screen readers. */
    this.told = '';
    this.line = make('p', 'progress');
    this.curves = make('div', 'charts');
    this.loss = this.#chart('Loss', (value) => String(Number(value.toPrecision(3))));
    this.accuracy = this.#chart('Accuracy', (value) => `${Math.round(value * 100)} %`);
    const section = make('section', '', make('h2', '', 'The run'), this.line, this.curves);
    section.id = 'run';
    at('draw').before(section);
    at('reset').textContent = 'Reset to the newest weights of the run';
  }

  #chart(/** @type {string} */ title, /** @type {(value: number) => string} */ text) {
    const [host, caption] = [make('div'), make('figcaption')];
    this.curves.append(make('figure', '', host, caption));
    return {chart: new Chart(host, title, {text, across: 'epoch'}), title, caption};
  }

  /** Asks for news as long as the page is open and visible. */
  async follow() {
    for (;;) {
      const before = performance.now();
      const news = await this.#ask();
      // Training may need the processor: the page takes a fiftieth of its time.
      const rest = Math.min(50 * (performance.now() - before), ASK.most);
      await new Promise((later) => setTimeout(later, Math.max(rest, news?.state === 'training' ? ASK.often : ASK.seldom)));
      while (document.hidden) await new Promise((seen) => document.addEventListener('visibilitychange', seen, {once: true}));
    }
  }

  /** Shows the news; none if there are none to be had. */
  async #ask() {
    try {
      const text = await (await asked('follow.json')).text();
      const news = /** @type {News} */ (JSON.parse(text));
      if (text !== this.text) this.#draw(news);
      this.text = text;
      const line = newsLine(news);
      const isOwn = await this.#take(news);
      this.#tell(isOwn ? `${line} The page keeps the weights that were trained here until you reset them.` : line);
      if (this.told !== line) say(this.told = line);
      return news;
    } catch (error) {
      this.#tell(`No news of the run: ${tellError(error)}. The page keeps asking.`, true);
      return null;
    }
  }

  /** Shows a line; the same line again costs no painting. */
  #tell(/** @type {string} */ line, isTrouble = false) {
    if (this.line.textContent === line) return;
    this.line.textContent = line;
    this.line.classList.toggle('trouble', isTrouble);
  }

  #draw(/** @type {News} */ {history, epochs}) {
    const series = (/** @type {'loss' | 'accuracy'} */ what) => ([
      {name: 'training', style: 's0', points: curveOf(history, (epoch) => epoch[what])},
      {name: 'validation', style: 's1', points: curveOf(history, (epoch) => epoch[`val_${what}`])},
    ]).map((one) => ({...one, dots: one.points.length <= MOST_DOTS}));
    const shares = series('accuracy');
    const lowest = Math.min(...shares.flatMap(({points}) => points.map(([, share]) => share)), 0.9);
    this.accuracy.chart.limits = [Math.floor(lowest * 10) / 10, 1];
    const key = (/** @type {string} */ style) => make('i', `key ${style}`);
    for (const [{chart, title, caption}, curves] of /** @type {const} */ ([[this.loss, series('loss')], [this.accuracy, shares]])) {
      // The first of many epochs would be a line on the left.
      chart.reach = Math.min(Math.max(epochs, 5), Math.max(20, 2 * history.length));
      chart.show(curves);
      const more = curves[1].points.length ? [' and in validation (at its end) ', key('s1')] : [];
      caption.replaceChildren(`${title} in training (mean over the epoch) `, key('s0'), ...more, '.');
    }
  }

  /** Takes over newer weights, unless the page trains its own. Returns whether it has its own. */
  async #take(/** @type {News} */ {weights}) {
    const {runner, panel, inside} = this.page;
    const training = panel.training;
    const isOwn = training.isRunning || runner.step > 0 || (runner instanceof Runner && runner.origin === 'initial');
    if (weights !== this.weights) {
      const file = new Uint8Array(await (await asked('weights.safetensors')).arrayBuffer());
      const areOthers = runner.site.replace(file);
      this.weights = weights;
      if (areOthers && !isOwn) {
        await runner.reset();
        training.restart();
        panel.show();
        inside.forget();
        await this.page.refresh();
        performance.mark('newer weights');
      }
    }
    return isOwn;
  }
}

/** An answer of the server. */
async function asked(/** @type {string} */ name) {
  const answer = await fetch(name).catch(() => { throw new Error('the server does not answer: has it ended?'); });
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

/** The values of the epochs that have one. */
function curveOf(/** @type {Epoch[]} */ history, /** @type {(epoch: Epoch) => number | undefined} */ valueOf) {
  const points = history.flatMap((epoch) => {
    const value = valueOf(epoch);
    return value === undefined ? [] : [/** @type {[number, number]} */ ([epoch.epoch, value])];
  });
  thin(points);
  return points;
}

/** The state of the run in a line or two. */
function newsLine(/** @type {News} */ {state, epochs, history, is_trained, reason, restored_epoch, test_accuracy}) {
  const last = history[history.length - 1];
  const results = !last ? '' : last.val_accuracy === undefined ? `: accuracy ${percent(last.accuracy)}, loss ${brief(last.loss)}`
    : `: validation accuracy ${percent(last.val_accuracy)}, loss ${brief(last.val_loss ?? NaN)}`;
  const now = last ? `Epoch ${last.epoch} of ${epochs}${results}. Learning rate ${Number(last.learning_rate.toPrecision(3))}.`
    : `Epoch 1 of ${epochs} is running.`;
  const place = last ? `after epoch ${last.epoch} of ${epochs}${results}` : 'before the end of an epoch';
  const from = restored_epoch === null ? '' : ` Its weights are those of epoch ${restored_epoch}.`;
  const test = test_accuracy === null ? '' : ` Accuracy on the test images: ${percent(test_accuracy)}.`;
  const before = is_trained ? '' : ' The network below is as it was before the run.';
  switch (state) {
    case 'training': return now + before;
    case 'silent': return `${now}${before} The run has written nothing for minutes: it may have been killed.`;
    case 'finished': return `The run has ended ${place}.${from}${test}`;
    case 'stopped': return `The run stopped ${place} (${reason}).${from}${test}`;
    case 'interrupted': return `The run was interrupted ${place}. cnn-gpu train --resume continues it.${before}`;
    case 'replaced': return 'The folder holds another network now: start cnn-gpu serve again, and reload the page.';
  }
}

started.then((page) => new Follower(page).follow());
