'use strict';
// Runs the programs of plan.json with WebGPU. Pipelines, buffers and bind groups are created once; a step is one
// pass over prepared dispatches, and its state stays on the GPU.

/** @typedef {{pipeline: GPUComputePipeline, group: GPUBindGroup, grid: [number, number]}} Prepared */

/** The rates of an optimizer's step `t`, counted from 1: `Optimizer::rates` of the program. */
function ratesOf(/** @type {any} */ optimizer, /** @type {number} */ learningRate, /** @type {number} */ t) {
  let rate = learningRate;
  if (optimizer.beta_2 !== undefined) {
    // As in Keras, betas are rounded to 32 bits before the power is taken.
    const power = (/** @type {number} */ beta) => Math.fround(beta) ** t;
    rate *= Math.sqrt(1 - power(optimizer.beta_2)) / (1 - power(optimizer.beta_1));
  }
  return {
    rate,
    decay: learningRate * (optimizer.weight_decay ?? 0),
    keep: t > 1 ? optimizer.ema_momentum ?? 0 : 0,
    overwrites: optimizer.ema_overwrite_frequency && t % optimizer.ema_overwrite_frequency === 0 ? 1 : 0,
  };
}

/** A network on a GPU. */
class Runner {
  /**
   * Opens the browser's GPU and prepares predictions.
   * @param {Site} site
   */
  static async open(site) {
    if (!globalThis.navigator?.gpu) throw new Error('this browser has no WebGPU');
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter) throw new Error('this browser has WebGPU but offers no adapter');
    const device = await adapter.requestDevice({label: site.plan.name});
    const {vendor, architecture, description} = adapter.info;
    const runner = new Runner(site, device, description || [vendor, architecture].filter(Boolean).join(' '));
    await runner.#prepared('predict');
    return runner;
  }

  /**
   * @param {Site} site
   * @param {GPUDevice} device
   * @param {string} adapter
   */
  constructor(site, device, adapter) {
    this.site = site;
    this.kind = 'webgpu';
    this.reason = '';
    this.adapter = adapter;
    this.device = device;
    this.step = 0;
    this.learningRate = Math.fround(site.plan.optimizer.learning_rate);
    this.canTrain = site.plan.programs.train !== null;
    /** Which weights training starts from. @type {'exported' | 'initial'} */
    this.origin = 'exported';
    /** The steps that the exported weights have taken. */
    this.before = site.step;
    /** The arena from which training starts. */
    this.start = site.exported();
    /** @type {Map<string, Promise<void>>} */
    this.programs = new Map();
    /** @type {Map<string, Prepared[]>} */
    this.ready = new Map();
    /** @type {Map<number, GPUBuffer>} */
    this.buffers = new Map();
    /** @type {Map<number, Promise<GPUComputePipeline>>} */
    this.pipelines = new Map();
    /** @type {Map<string, GPUBindGroupLayout>} */
    this.layouts = new Map();
    /** @type {Promise<string>} a message, should the device be lost */
    this.lost = device.lost.then(({message, reason}) => message || `the device is lost (${reason})`);
    /** @type {string | null} the first error that the device reported */
    this.fault = null;
    device.onuncapturederror = ({error}) => { this.fault ??= error.message; };

    const {step} = site.plan;
    this.stepLayout = device.createBindGroupLayout({
      label: 'step',
      entries: [{binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: {type: 'uniform'}}],
    });
    this.stepBuffer = device.createBuffer({
      label: 'step', size: step.bytes, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    this.stepGroup = device.createBindGroup({
      label: 'step', layout: this.stepLayout, entries: [{binding: 0, resource: {buffer: this.stepBuffer}}],
    });
  }

  // Predictions.

  /**
   * The probabilities of the classes of one image, or the outputs of a network with the mean squared error.
   * @param {Uint8Array} pixels
   */
  async predict(pixels) {
    const {predictions} = this.site.plan.programs.predict;
    const {values} = await this.#submit('predict', pixels, new Uint8Array(1), {}, [predictions]);
    return perClass(values[0], this.site.plan);
  }

  /**
   * The output of a layer in the last prediction; without a name, of every layer by name.
   * @param {string} [layer]
   * @returns {Promise<any>}
   */
  async activations(layer) {
    const {plan} = this.site;
    const buffers = plan.programs.predict.layers;
    const wanted = plan.layers.map(({name}, i) => ({name, buffer: buffers[i]}))
      .filter(({name}) => layer === undefined || name === layer);
    if (!wanted.length) throw new Error(`the network has no layer ${layer}`);
    const values = await this.#read(wanted.map(({buffer}) => buffer));
    return layer === undefined ? new Map(wanted.map(({name}, i) => [name, values[i]])) : values[0];
  }

  /** The inputs of the last softmax in the last prediction; null if the network has no softmax at its end. */
  async logits() {
    const {logits} = this.site.plan.programs.predict;
    return logits === null ? null : (await this.#read([logits]))[0];
  }

  /** The values of a parameter. */
  async parameter(/** @type {string} */ name) {
    const {offset, length} = this.site.parameter(name);
    const arena = await this.#arena();
    return arena.slice(offset, offset + length);
  }

  /**
   * The predictions for any number of images, with the logits.
   * @param {Uint8Array} images
   */
  async predictAll(images) {
    const {batch, predictions, logits} = this.#program('evaluate');
    // An evaluation starts from the logits.
    const results = await this.#batches(images, null, [predictions, /** @type {number} */ (logits)]);
    const joined = [0, 1].map((which) => {
      const width = results.length ? results[0].values[which].length / batch : 0;
      const all = new Float32Array(width * results.reduce((sum, {rows}) => sum + rows, 0));
      results.forEach(({values, rows}, i) => all.set(values[which].subarray(0, width * rows), width * batch * i));
      return all;
    });
    return {predictions: joined[0], logits: joined[1]};
  }

  /**
   * The mean loss over any number of images, and the fraction that is classified correctly.
   * @param {Uint8Array} images
   * @param {Uint8Array} labels
   */
  async evaluate(images, labels) {
    const results = await this.#batches(images, labels, []);
    const sum = (/** @type {'loss' | 'correct' | 'rows'} */ what) => results.reduce((all, one) => all + one[what], 0);
    const rows = sum('rows');
    return {loss: sum('loss') / rows, accuracy: sum('correct') / rows, rows};
  }

  // Training.

  /**
   * Trains on one batch. The loss is the mean over its images, with the weights before the step.
   * @param {Uint8Array} images
   * @param {Uint8Array} labels
   */
  async trainStep(images, labels) {
    await this.#prepared('train');
    // No waiting from here to the submission: steps keep their order.
    this.step += 1;
    const step = this.step;
    const key = streamKey(this.site.plan.seed, STREAMS.step, step);
    const rates = ratesOf(this.site.plan.optimizer, this.learningRate, step);
    const {loss, correct, rows} = await this.#submit('train', images, labels, {...rates, key}, []);
    return {step, loss: loss / rows, correct, rows};
  }

  /** Sets the exported weights, or those before training; the moments become zero. */
  async reset(/** @type {'exported' | 'initial'} */ which = 'exported') {
    this.origin = which;
    this.before = which === 'initial' ? 0 : this.site.step;
    this.start = which === 'initial' ? this.site.initial() : this.site.exported();
    this.step = 0;
    const encoder = this.device.createCommandEncoder({label: 'reset'});
    for (const [i, buffer] of this.buffers) {
      if (this.site.plan.buffers[i].init === 'zeros') encoder.clearBuffer(buffer);
      else this.#fill(i);
    }
    this.device.queue.submit([encoder.finish()]);
  }

  /** A file of the weights, for `cnn-gpu evaluate` and others. */
  async weights() {
    const step = this.before + this.step;
    return this.site.file(await this.#arena(), step);
  }

  /** Releases the GPU. */
  close() {
    this.device.destroy();
  }

  // Preparing: kernels, buffers and bind groups.

  /** Prepares a program at the first call. */
  #prepared(/** @type {'predict' | 'evaluate' | 'train'} */ name) {
    let prepared = this.programs.get(name);
    if (!prepared) {
      prepared = Promise.all(this.#program(name).dispatches.map((dispatch) => this.#dispatch(dispatch)))
        .then((dispatches) => { this.ready.set(name, dispatches); });
      this.programs.set(name, prepared);
    }
    return prepared;
  }

  #program(/** @type {'predict' | 'evaluate' | 'train'} */ name) {
    const program = this.site.plan.programs[name];
    if (!program) throw new Error(this.site.plan.left_out[0] ?? `the page has no plan to ${name}`);
    return program;
  }

  /** @returns {Promise<Prepared>} */
  async #dispatch(/** @type {PlanDispatch} */ {kernel, grid, bindings}) {
    const {entry, writes} = this.site.plan.kernels[kernel];
    const entries = bindings.map(({buffer, offset, size}, binding) =>
      ({binding, resource: {buffer: this.#buffer(buffer), offset, size}}));
    const group = this.device.createBindGroup({label: entry, layout: this.#layout(writes), entries});
    return {pipeline: await this.#pipeline(kernel), group, grid};
  }

  #pipeline(/** @type {number} */ index) {
    let pipeline = this.pipelines.get(index);
    if (!pipeline) {
      const {entry, texts, writes} = this.site.plan.kernels[index];
      const code = texts.map((text) => this.site.plan.texts[text]).join('');
      pipeline = this.device.createComputePipelineAsync({
        label: entry,
        layout: this.device.createPipelineLayout({bindGroupLayouts: [this.stepLayout, this.#layout(writes)]}),
        compute: {module: this.device.createShaderModule({label: entry, code}), entryPoint: entry},
      });
      this.pipelines.set(index, pipeline);
    }
    return pipeline;
  }

  #layout(/** @type {boolean[]} */ writes) {
    const key = writes.join();
    let layout = this.layouts.get(key);
    if (!layout) {
      layout = this.device.createBindGroupLayout({
        entries: writes.map((written, binding) => ({
          binding, visibility: GPUShaderStage.COMPUTE, buffer: {type: written ? 'storage' : 'read-only-storage'},
        })),
      });
      this.layouts.set(key, layout);
    }
    return layout;
  }

  #buffer(/** @type {number} */ index) {
    let buffer = this.buffers.get(index);
    if (!buffer) {
      const {name, bytes, init} = this.site.plan.buffers[index];
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
      buffer = this.device.createBuffer({label: name, size: bytes, usage});
      this.buffers.set(index, buffer);
      if (init !== 'zeros') this.#fill(index);
    }
    return buffer;
  }

  /** Writes what a buffer holds at first, unless these are zeros. */
  #fill(/** @type {number} */ index) {
    const {init} = this.site.plan.buffers[index];
    this.device.queue.writeBuffer(this.#buffer(index), 0, Array.isArray(init) ? Uint32Array.from(init) : this.start);
  }

  // Running.

  /**
   * Submits a step of a prepared program. Returns a promise of its metrics and of the buffers that are wanted.
   * @param {'predict' | 'evaluate' | 'train'} name
   * @param {Uint8Array} images
   * @param {Uint8Array} labels one for each image
   * @param {{rate?: number, decay?: number, keep?: number, overwrites?: number, key?: Key}} values of the step
   * @param {number[]} wanted
   */
  #submit(name, images, labels, values, wanted) {
    const {batch, images: imageBuffer, labels: labelBuffer, metrics} = this.#program(name);
    const rows = labels.length;
    const size = elements(this.site.plan.input.shape);
    if (rows < 1 || rows > batch || images.length !== rows * size) {
      throw new Error(`expected 1 to ${batch} images of ${size} bytes with a label each, ` +
        `received ${images.length} bytes and ${rows} labels`);
    }
    this.#write(imageBuffer, images);
    this.#write(labelBuffer, labels);
    this.#writeStep({rows, batch_rows: rows, ...values});
    const encoder = this.device.createCommandEncoder({label: name});
    const pass = encoder.beginComputePass({label: name});
    pass.setBindGroup(0, this.stepGroup);
    for (const {pipeline, group, grid} of this.ready.get(name) ?? []) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(1, group);
      pass.dispatchWorkgroups(...grid);
    }
    pass.end();
    return this.#collect(encoder, metrics === null ? wanted : [...wanted, metrics]).then((found) => {
      const sums = metrics === null ? null : /** @type {ArrayBuffer} */ (found.pop());
      const arrays = found.map((bytes) => new Float32Array(bytes));
      return {
        rows, values: arrays,
        loss: sums ? new Float32Array(sums)[0] : NaN, correct: sums ? new Uint32Array(sums)[1] : NaN,
      };
    });
  }

  /**
   * Runs the evaluation on any number of images, a batch at a time.
   * @param {Uint8Array} images
   * @param {Uint8Array | null} labels
   * @param {number[]} wanted
   */
  async #batches(images, labels, wanted) {
    await this.#prepared('evaluate');
    const {batch} = this.#program('evaluate');
    const size = elements(this.site.plan.input.shape);
    const all = labels ?? new Uint8Array(images.length / size);
    const results = [];
    for (let at = 0; at < all.length; at += batch) {
      const some = all.subarray(at, at + batch);
      const pixels = images.subarray(at * size, (at + some.length) * size);
      results.push(this.#submit('evaluate', pixels, some, {}, wanted));
      // A few batches in flight keep the device busy.
      if (results.length > 4) await results[results.length - 4];
    }
    return Promise.all(results);
  }

  /** The contents of some buffers, after all steps submitted so far. */
  async #read(/** @type {number[]} */ buffers) {
    const found = await this.#collect(this.device.createCommandEncoder({label: 'read'}), buffers);
    return found.map((bytes) => new Float32Array(bytes));
  }

  /** The arena of the weights. */
  async #arena() {
    const [arena] = await this.#read([this.site.plan.buffers.findIndex(({init}) => init === 'weights')]);
    return arena;
  }

  /** Copies buffers at the end of a command encoder, submits it, and returns their contents. */
  async #collect(/** @type {GPUCommandEncoder} */ encoder, /** @type {number[]} */ buffers) {
    const sizes = buffers.map((i) => contentBytes(this.site.plan.buffers[i]));
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
    if (!total) {
      this.device.queue.submit([encoder.finish()]);
      return [];
    }
    const staging = this.device.createBuffer({
      label: 'read back', size: total, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    buffers.reduce((at, buffer, i) => {
      encoder.copyBufferToBuffer(this.#buffer(buffer), 0, staging, at, sizes[i]);
      return at + sizes[i];
    }, 0);
    this.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const bytes = staging.getMappedRange().slice(0);
    staging.destroy();
    if (this.fault) throw new Error(`WebGPU: ${this.fault}`);
    let at = 0;
    return sizes.map((size) => bytes.slice(at, at += size));
  }

  /** Writes the values of a step; those that are not given are 0. */
  #writeStep(/** @type {{[name: string]: number | Key}} */ values) {
    const {bytes, fields} = this.site.plan.step;
    const view = new DataView(new ArrayBuffer(bytes));
    for (const {name, type, at} of fields) {
      const value = values[name] ?? 0;
      if (Array.isArray(value)) value.forEach((word, i) => view.setUint32(at + 4 * i, word, true));
      else if (type === 'f32') view.setFloat32(at, value, true);
      else view.setUint32(at, value, true);
    }
    this.device.queue.writeBuffer(this.stepBuffer, 0, view.buffer);
  }

  /** Writes bytes to the start of a buffer. Writes consist of whole words. */
  #write(/** @type {number} */ buffer, /** @type {Uint8Array} */ bytes) {
    const whole = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
    whole.set(bytes);
    this.device.queue.writeBuffer(this.#buffer(buffer), 0, whole);
  }
}

/** The bytes of a buffer without its padding. */
function contentBytes(/** @type {Plan['buffers'][0]} */ {shape, bytes}) {
  return shape ? 4 * elements(shape) : bytes;
}

/** One value per class: a single sigmoid is the probability of the second of two classes. */
function perClass(/** @type {Float32Array} */ values, /** @type {Plan} */ {classes}) {
  return values.length === 1 && classes.length === 2 ? Float32Array.of(1 - values[0], values[0]) : values;
}

/** The network on the browser's GPU or, without WebGPU, in JavaScript. */
async function openRunner(/** @type {Site} */ site) {
  try {
    return await Runner.open(site);
  } catch (error) {
    return new CpuRunner(site, error instanceof Error ? error.message : String(error));
  }
}
