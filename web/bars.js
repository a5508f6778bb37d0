'use strict';
// The outputs of the network as bars: probabilities, or plain numbers if the network predicts those.

/** With more classes than this, only the most likely ones are shown. */
const MOST_BARS = 12;

class Bars {
  /**
   * @param {HTMLElement} list
   * @param {Plan} plan
   */
  constructor(list, plan) {
    this.list = list;
    this.classes = plan.classes;
    this.areShares = plan.loss !== 'mean_squared_error';
    this.rows = Array.from({length: Math.min(plan.classes.length, MOST_BARS)}, () => this.#row());
    this.clear();
  }

  #row() {
    const row = document.createElement('li');
    const [name, track, value] = ['name', 'track', 'value'].map((part) =>
      Object.assign(document.createElement('span'), {className: part}));
    const bar = document.createElement('span');
    track.append(bar);
    row.append(name, track, value);
    this.list.append(row);
    return {row, name, bar, value};
  }

  /** Shows the outputs, in the order of the classes, or the largest first if there are many. */
  show(/** @type {ArrayLike<number>} */ outputs) {
    const order = Array.from(this.classes, (_, i) => i);
    const best = order.reduce((best, i) => (outputs[i] > outputs[best] ? i : best), 0);
    if (order.length > MOST_BARS) order.sort((a, b) => outputs[b] - outputs[a]);
    const most = this.areShares ? 1 : Math.max(rangeOf(outputs).high, 1e-9);
    this.rows.forEach(({row, name, bar, value}, at) => {
      const output = outputs[order[at]];
      name.textContent = this.classes[order[at]];
      // Plain numbers may be negative: those have no bar.
      bar.style.transform = `scaleX(${Math.max(0, Math.min(1, output / most)) || 0})`;
      value.textContent = this.areShares ? percent(output) : brief(output);
      row.classList.toggle('best', order[at] === best);
    });
    return best;
  }

  /** Shows that there is no prediction. */
  clear() {
    this.rows.forEach(({row, name, bar, value}, at) => {
      name.textContent = this.classes.length > MOST_BARS ? '' : this.classes[at];
      bar.style.transform = 'scaleX(0)';
      value.textContent = '';
      row.classList.remove('best');
    });
  }
}
