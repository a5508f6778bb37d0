'use strict';
// The site's data: the plan, which docs/web.md of cnn-gpu describes, and the weights.

/**
 * @typedef {{name: string, kind: string, input: number[], output: number[], settings: any,
 *   from?: (number | null)[], parameters: string[]}} PlanLayer
 * @typedef {{name: string, shape: number[], offset: number, trainable: boolean,
 *   initializer: any}} PlanParameter
 * @typedef {{kernel: number, grid: [number, number],
 *   bindings: {buffer: number, offset: number, size: number}[]}} PlanDispatch
 * @typedef {{batch: number, images: number, labels: number, metrics: number | null, layers: number[],
 *   logits: number | null, predictions: number, dispatches: PlanDispatch[]}} PlanProgram
 * @typedef {{version: number, name: string, seed: Key, classes: string[], loss: string,
 *   input: {shape: [number, number, number], prepare: 'mnist' | 'resize', interpolation: string},
 *   layers: PlanLayer[], parameters: PlanParameter[], optimizer: any,
 *   step: {bytes: number, fields: {name: string, type: string, at: number}[]}, texts: string[],
 *   kernels: {entry: string, texts: number[], writes: boolean[]}[],
 *   buffers: {name: string, bytes: number, shape: number[] | null, element: string | null,
 *     init: 'zeros' | 'weights' | number[]}[],
 *   programs: {predict: PlanProgram, evaluate: PlanProgram | null, train: PlanProgram | null},
 *   left_out: string[]}} Plan
 */

/** The version of plan.json that this file reads. */
const PLAN_VERSION = 1;

/** The number of elements of a shape. */
const elements = (/** @type {number[]} */ shape) => shape.reduce((a, b) => a * b, 1);

/** The network of a page. */
class Site {
  /** Reads the data in the page itself, or the files beside it. */
  static async load() {
    const [plan, weights] = await Promise.all(['plan.json.gz', 'weights.safetensors'].map(async (name) => {
      const inPage = document.getElementById(name);
      if (inPage) return unpacked(bytesInPage(inPage));
      const answer = await fetch(name).catch((error) => {
        const fromDisk = globalThis.location?.protocol === 'file:';
        throw fromDisk ? new Error(`a page on disk cannot read ${name} beside it: open it from a web server, ` +
          'or export the network with --single') : error;
      });
      if (!answer.ok) throw new Error(`${name}: the server answers ${answer.status} ${answer.statusText}`);
      return unpacked(new Uint8Array(await answer.arrayBuffer()));
    }));
    return new Site(JSON.parse(new TextDecoder().decode(plan)), weights);
  }

  /**
   * @param {Plan} plan
   * @param {Uint8Array} file a safetensors file with the plan's parameters
   */
  constructor(plan, file) {
    if (plan.version !== PLAN_VERSION) {
      throw new Error(`the plan has version ${plan.version}, expected ${PLAN_VERSION}: export the page again`);
    }
    this.plan = plan;
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const length = Number(view.getBigUint64(0, true));
    /** The file's header: metadata, and each tensor's type, shape and place. */
    this.header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
    this.data = file.slice(8 + length);
    /** The training steps that the weights have taken. */
    this.step = Number(/^step = (\d+)$/m.exec(this.header.__metadata__?.cnn_gpu ?? '')?.[1] ?? 0);
    for (const {name, shape} of plan.parameters) {
      const found = this.header[name];
      if (found?.dtype !== 'F32' || `${found.shape}` !== `${shape}`) {
        throw new Error(`weights.safetensors: expected ${name} of shape ${shape}, in 32-bit floats`);
      }
    }
  }

  /**
   * Takes over the weights of another file of the same network; `reset` gives them to a runner.
   * @param {Uint8Array} file
   * @returns whether they are others
   */
  replace(file) {
    const {header, data, step} = new Site(this.plan, file);
    // The entry holds a hash of the weights.
    const isSame = header.__metadata__.cnn_gpu === this.header.__metadata__.cnn_gpu;
    Object.assign(this, {header, data, step});
    return !isSame;
  }

  /** The length of an arena, which holds all parameters, in floats. */
  arenaLength() {
    const ends = this.plan.parameters.map(({offset, shape}) => offset + elements(shape));
    // Parameters start at multiples of 64 floats, and the last one is padded as well.
    return Math.ceil(Math.max(1, ...ends) / 64) * 64;
  }

  /** The arena of the exported weights. */
  exported() {
    const arena = new Float32Array(this.arenaLength());
    for (const {name, offset} of this.plan.parameters) {
      const [start, end] = this.header[name].data_offsets;
      arena.set(new Float32Array(this.data.slice(start, end).buffer), offset);
    }
    return arena;
  }

  /** The arena of the weights before training. */
  initial() {
    const arena = new Float32Array(this.arenaLength());
    this.plan.parameters.forEach(({shape, offset, initializer}, i) => {
      arena.set(initialValues(initializer, shape, streamKey(this.plan.seed, STREAMS.init, i)), offset);
    });
    return arena;
  }

  /** The place of a parameter in an arena. */
  parameter(/** @type {string} */ name) {
    const found = this.plan.parameters.find((parameter) => parameter.name === name);
    if (!found) throw new Error(`the network has no parameter ${name}`);
    return {...found, length: elements(found.shape)};
  }

  /**
   * A file of weights as `cnn-gpu` writes and reads it.
   * @param {Float32Array} arena
   * @param {number} step the number of training steps taken
   */
  async file(arena, step) {
    const parameters = this.plan.parameters.map(({name, offset, shape}) =>
      ({name, values: arena.slice(offset, offset + elements(shape))}));
    const hash = await sha256(parameters.map(({values}) => values));
    const data = new Uint8Array(this.data.length);
    for (const {name, values} of parameters) {
      data.set(new Uint8Array(values.buffer), this.header[name].data_offsets[0]);
    }
    // The settings at the start of the text, before its first table.
    const settings = this.header.__metadata__.cnn_gpu
      .replace(/^step = .*$/m, `step = ${step}`)
      .replace(/^weights_hash = .*$/m, `weights_hash = "${hash}"`);
    const header = {...this.header, __metadata__: {...this.header.__metadata__, cnn_gpu: settings}};
    const text = new TextEncoder().encode(JSON.stringify(header));
    const length = Math.ceil(text.length / 8) * 8;
    const file = new Uint8Array(8 + length + data.length).fill(0x20, 8, 8 + length);
    new DataView(file.buffer).setBigUint64(0, BigInt(length), true);
    file.set(text, 8);
    file.set(data, 8 + length);
    return file;
  }
}

/** The contents of a file, unpacked if it is in gzip's format; a server may have done so already. */
async function unpacked(/** @type {Uint8Array<ArrayBuffer>} */ file) {
  if (file[0] !== 0x1f || file[1] !== 0x8b) return file;
  const stream = new Blob([file]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The SHA-256 of some arrays, one after the other, in hexadecimal digits. */
async function sha256(/** @type {Float32Array<ArrayBuffer>[]} */ arrays) {
  if (!globalThis.crypto?.subtle) {
    throw new Error('the browser computes hashes only on https, on localhost or from disk');
  }
  const all = await new Blob(arrays).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
