'use strict';
// The section that looks inside: the picture of every layer, the place that is chosen, and the panel behind it.

/** @typedef {{index: number, place: Place}} Chosen `index` is -1 for the input */

class Inside {
  /**
   * @param {HTMLElement} host
   * @param {HTMLElement} panel
   * @param {Runner | CpuRunner} runner
   * @param {(message: string) => void} say
   */
  constructor(host, panel, runner, say) {
    this.runner = runner;
    this.say = say;
    this.layers = runner.site.plan.layers;
    /** The outputs of the layers, and the input as the layers see it. */
    this.outputs = /** @type {Map<string, Float32Array>} */ (new Map());
    this.input = /** @type {Float32Array | null} */ (null);
    this.parameters = /** @type {Map<string, Float32Array>} */ (new Map());
    this.kept = /** @type {Chosen | null} */ (null);
    this.pointed = /** @type {Chosen | null} */ (null);
    this.usual = /** @type {Chosen | null} */ (null);
    this.behind = new Behind(panel, {
      moved: (place) => this.#moveTo(place), left: () => this.#leavePanel(), released: () => this.#keep(null), say,
    });
    this.pictures = this.#pictures(host);
    document.addEventListener('keydown', ({key}) => { if (key === 'Escape') this.#keep(null); });
    // A click beside the maps lets go; one on the pad does not, so that one can watch a cell while drawing.
    host.addEventListener('click', ({target}) => {
      if (target instanceof Element && !target.closest('.layer canvas, button')) this.#keep(null);
    });
  }

  /** A picture of the input, and of each layer that computes; the others are named. */
  #pictures(/** @type {HTMLElement} */ host) {
    const {shape} = this.runner.site.plan.input;
    /** @type {Map<number, LayerMaps>} */
    const pictures = new Map();
    const add = (/** @type {number} */ index, /** @type {LayerMaps['layer']} */ layer) => {
      const maps = new LayerMaps(layer, {
        pointed: (place) => this.#point(place && {index, place}),
        chosen: (place) => this.#keep({index, place}),
        entered: () => this.behind.map.focus(),
      });
      pictures.set(index, maps);
      host.append(maps.figure);
    };
    add(-1, {name: 'input', kind: 'Input', about: shapeText(shape), shape});
    this.layers.forEach((layer, index) => {
      const {name, kind, output} = layer;
      if (!PASSES_ON.includes(kind)) return add(index, {name, kind, about: aboutLayer(layer, this.layers), shape: output});
      const why = kind === 'Flatten' ? 'the same values in one row' : 'acts in training only';
      host.append(make('p', 'passes', make('b', '', name), ` ${kind}: ${why}`));
    });
    return pictures;
  }

  /** Shows a prediction, or none. */
  async show(/** @type {Uint8Array | null} */ image) {
    this.outputs = image ? await this.runner.activations() : new Map();
    this.input = image && Float32Array.from(image, (byte) => byte / 255);
    this.pictures.forEach((maps, index) => {
      maps.show(index < 0 ? this.input : this.outputs.get(this.layers[index].name) ?? null);
    });
    this.usual = image ? this.#first() : this.usual;
    await this.#update();
  }

  /** Forgets parameters that training has changed. */
  forget() {
    this.parameters.clear();
  }

  /** What to show when one points at nothing: a map of the first layer that computes, which stays the same, and its
   * brightest cell. */
  #first() {
    const found = [...this.pictures].find(([index]) => index >= 0);
    return found?.[1].values ? {index: found[0], place: found[1].brightest(this.usual?.place.map)} : null;
  }

  // Choosing.

  #point(/** @type {Chosen | null} */ chosen) {
    this.pointed = chosen;
    if (!this.kept) this.#update();
  }

  #keep(/** @type {Chosen | null} */ chosen) {
    if (!chosen && !this.kept) return;
    this.kept = chosen;
    this.#update().then(() => {
      // Unless one has moved on in the meantime.
      if (chosen && this.kept === chosen) this.say(`${this.behind.title.textContent}. ${this.behind.cell.querySelector('h4')?.textContent ?? ''}`);
    });
  }

  #moveTo(/** @type {Place} */ place) {
    const now = this.kept ?? this.usual;
    if (!now) return;
    this.kept = {...now, place};
    this.#update();
  }

  #leavePanel() {
    if (this.kept) this.pictures.get(this.kept.index)?.canvas.focus();
  }

  /** Marks the chosen place and shows what is behind it. */
  async #update() {
    const chosen = this.input && (this.kept ?? this.pointed ?? this.usual);
    this.latest = chosen;
    const subject = chosen && chosen.index >= 0 ? await this.#subjectOf(chosen) : null;
    if (this.latest !== chosen) return;
    const found = subject && this.behind.show(subject, chosen === this.kept);
    at('behind').hidden = !subject;
    const sources = chosen ? this.#sourcesOf(chosen.index) : [];
    this.pictures.forEach((maps, index) => {
      const marked = chosen?.index === index ? chosen.place : null;
      const framed = found ? seenIn(found, sources, index) : null;
      if (maps.marked === marked && maps.framed === framed) return;
      Object.assign(maps, {marked, framed});
      maps.draw();
    });
  }

  /** The layers whose outputs a layer reads, past those that only pass values on; -1 is the input. */
  #sourcesOf(/** @type {number} */ index) {
    const readBy = (/** @type {number} */ reader) =>
      this.layers[reader]?.from?.map((source) => source ?? -1) ?? [reader - 1];
    return readBy(index).map((source) => {
      while (source >= 0 && PASSES_ON.includes(this.layers[source].kind)) [source] = readBy(source);
      return source;
    });
  }

  /** @returns {Promise<Subject | null>} */
  async #subjectOf(/** @type {Chosen} */ {index, place}) {
    const layer = this.layers[index];
    const maps = this.pictures.get(index);
    const inputs = [];
    const sources = [];
    for (const source of this.#sourcesOf(index)) {
      const {name, output} = source < 0 ? {name: 'input', output: this.runner.site.plan.input.shape} : this.layers[source];
      const values = source < 0 ? this.input : this.outputs.get(name);
      if (!values) return null;
      const shape = asMaps(output);
      inputs.push({values, shape});
      sources.push({name, maps: shape[2]});
    }
    if (!maps) return null;
    for (const name of layer.parameters) {
      if (!this.parameters.has(name)) this.parameters.set(name, await this.runner.parameter(name));
    }
    const parameter = (/** @type {string} */ what) =>
      this.parameters.get(layer.parameters.find((name) => name.endsWith(`/${what}`)) ?? '') ?? null;
    const part = maps.areUnits ? `unit ${place.map}` : `map ${place.map}`;
    const view = {layer, input: inputs[0].values, shape: inputs[0].shape, inputs, parameter};
    return {title: `${layer.name}, ${part}`, layer, maps, place, view, sources};
  }
}

/**
 * What a cell sees of a layer or of the input, of the `sources` that it reads; null if nothing.
 * @param {CellSum} found
 * @param {number[]} sources
 * @param {number} index
 */
function seenIn(found, sources, index) {
  const parts = found.parts.filter(({source}) => sources[source ?? 0] === index);
  return parts.length ? {...found, parts, window: parts[0].window ?? found.window} : null;
}

const shapeText = (/** @type {number[]} */ shape) => shape.join('×');

/** What a layer does, in a few words. */
function aboutLayer(/** @type {PlanLayer} */ {kind, settings, output, from}, /** @type {PlanLayer[]} */ layers) {
  const size = settings.kernel_size ?? settings.pool_size;
  const parts = [kind + (size ? ` ${shapeText(size)}` : '')];
  if (settings.strides && settings.kernel_size && Math.max(...settings.strides) > 1) parts.push(`strides ${shapeText(settings.strides)}`);
  if (settings.padding === 'same') parts.push('same');
  if (settings.activation && settings.activation !== 'linear') parts.push(settings.activation);
  const names = from?.map((source) => (source === null ? 'input' : layers[source].name)) ?? [];
  return `${parts.join(', ')}${names.length ? ` of ${names.join(', ')}` : ''} → ${shapeText(output)}`;
}
