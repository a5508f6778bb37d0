// Opens exported pages in Chromium and compares what their runners compute with the CPU path of cnn-gpu.
// The argument is the folder that the Rust test wrote. Writes the weights that pages trained there.
import {readFileSync, writeFileSync} from 'node:fs';

import {launch, serve} from './browser.mjs';

const [folder] = process.argv.slice(2);
const NETWORKS = ['mnist-cnn', 'mnist-mlp', 'every-layer', 'skips', 'sigmoids', 'plain-numbers'];
const [BATCH, STEPS] = [16, 5];
const TOLERANCE = 1e-4;

let failures = 0;
function check(what, passes, found = '') {
  console.log(`${passes ? 'ok' : 'FAILED'}: ${what} ${found}`);
  if (!passes) failures += 1;
}

const floats = (path) => {
  const bytes = readFileSync(`${folder}/${path}`);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
};

/** The largest difference, relative to the largest expected value. */
function relative(found, expected) {
  if (found.length !== expected.length) return Infinity;
  const most = expected.reduce((m, x) => Math.max(m, Math.abs(x)), Number.MIN_VALUE);
  const worst = found.reduce((m, x, i) => (Number.isFinite(x) ? Math.max(m, Math.abs(x - expected[i])) : Infinity), 0);
  return worst / most;
}

const {address, close} = await serve(folder);

/** A page with a runner in `window.runner`, and what it wrote on its console. */
async function load(browser, url) {
  const page = await browser.newPage();
  const said = [];
  // Chromium itself says that it has no adapter.
  page.on('console', (message) => message.text() !== 'No available adapters.' && said.push(message.text()));
  page.on('pageerror', (error) => said.push(String(error)));
  await page.goto(url);
  const runs = await page.evaluate(async () => {
    // The page itself predicts once.
    await started;
    window.runner = await opened;
    window.bytes = async (name) => new Uint8Array(await (await fetch(`/${name}`)).arrayBuffer());
    return {kind: runner.kind, adapter: runner.adapter, reason: runner.reason};
  });
  return {page, said, runs};
}

/** Predicts the test digits one by one: logits, or the outputs without a softmax, and the seconds of the first. */
const predictEach = (page) => page.evaluate(async () => {
  const images = await bytes('test.images');
  const values = [];
  const start = performance.now();
  let first = 0;
  for (let i = 0; i < 100; i++) {
    const predictions = await runner.predict(images.subarray(i * 784, (i + 1) * 784));
    first ||= (performance.now() - start) / 1000;
    values.push(...(await runner.logits() ?? predictions));
  }
  return {values, first};
});

/** Trains the compared steps, and returns weights and metrics. */
const train = (page) => page.evaluate(async (batch, steps) => {
  await runner.reset();
  const [images, labels] = [await bytes('train.images'), await bytes('train.labels')];
  const size = batch * 784;
  const metrics = await Promise.all(Array.from({length: steps}, (_, t) => runner.trainStep(
    images.subarray(t * size, (t + 1) * size), labels.subarray(t * batch, (t + 1) * batch))));
  const {parameters} = runner.site.plan;
  const weights = {};
  for (const {name} of parameters) weights[name] = Array.from(await runner.parameter(name));
  return {metrics, weights, file: Array.from(await runner.weights()), parameters};
}, BATCH, STEPS);

async function checkOnGpu(browser, name) {
  const {page, said, runs} = await load(browser, `${address}${name}/`);
  check(`${name} runs with WebGPU`, runs.kind === 'webgpu', runs.adapter + runs.reason);
  const [logits, predictions] = [floats(`${name}/logits`), floats(`${name}/predictions`)];
  const all = await page.evaluate(async () => {
    const {predictions, logits} = await runner.predictAll(await bytes('test.images'));
    return {predictions: Array.from(predictions), logits: Array.from(logits)};
  });
  for (const [what, expected] of [['logits', logits], ['predictions', predictions]]) {
    const error = relative(all[what], expected);
    check(`${name}: ${what} of 100 digits`, error <= TOLERANCE, error.toExponential(1));
  }
  const each = await predictEach(page);
  const eachError = relative(each.values, name === 'sigmoids' ? predictions : logits);
  const first = `${eachError.toExponential(1)}, the first in ${each.first.toFixed(2)} s`;
  check(`${name}: one by one`, eachError <= TOLERANCE, first);

  const [once, again] = [await train(page), await train(page)];
  check(`${name}: two runs give the same bytes`, `${once.file}` === `${again.file}`);
  const trained = floats(`${name}/trained`);
  for (const {name: parameter, offset} of once.parameters) {
    const values = once.weights[parameter];
    const error = relative(values, trained.slice(offset, offset + values.length));
    check(`${name}: ${parameter} after ${STEPS} steps`, error <= TOLERANCE, error.toExponential(1));
  }
  const losses = once.metrics.map(({loss, correct}) => `${loss.toFixed(4)} (${correct})`);
  console.log(`   losses ${losses.join(', ')}`);
  writeFileSync(`${folder}/${name}/trained.safetensors`, Uint8Array.from(once.file));
  const scores = await page.evaluate(async () =>
    runner.evaluate(await bytes('test.images'), await bytes('test.labels')));
  const error = relative([scores.loss, scores.accuracy], floats(`${name}/scores`));
  check(`${name}: loss and accuracy after ${STEPS} steps`, error <= TOLERANCE, error.toExponential(1));
  check(`${name}: the console stays empty`, said.length === 0, said.join('; '));
  await page.close();
}

async function checkInJavaScript(browser, name) {
  const {page, said, runs} = await load(browser, `${address}${name}/`);
  check(`${name} runs in JavaScript`, runs.kind === 'javascript', runs.reason);
  const {values, first} = await predictEach(page);
  const error = relative(values, floats(`${name}/${name === 'sigmoids' ? 'predictions' : 'logits'}`));
  check(`${name}: in JavaScript`, error <= TOLERANCE, `${error.toExponential(1)}, the first in ${first.toFixed(2)} s`);
  check(`${name}: the console stays empty`, said.length === 0, said.join('; '));
  await page.close();
}

/** The page prepares pictures as the program does, to within one level, and draws the same digits. */
async function checkPictures(browser) {
  const {page} = await load(browser, `${address}mnist-cnn/`);
  const differences = await page.evaluate(async () => {
    const worst = (found, expected) => found?.length === expected.length
      ? expected.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i])), 0) : Infinity;
    const pictures = await (await fetch('/pictures.json')).json();
    const results = pictures.map(({width, height, data, digit, resized}) => {
      const pixels = {width, height, channels: 3, data: Uint8Array.from(data)};
      return {
        size: `${width}x${height}`, digit: worst(prepareDigit(greyOf(pixels)), digit),
        resized: Math.max(...resized.map(({interpolation, shape, data}) => worst(resizePicture(pixels, shape, interpolation), data))),
      };
    });
    const [images, labels] = [await bytes('built-in.images'), await bytes('built-in.labels')];
    const drawn = drawDigits(FIRST_TEST_DIGIT, 100);
    return {results, drawn: worst(drawn.images, images), labels: worst(drawn.labels, labels)};
  });
  for (const {size, digit, resized} of differences.results) {
    check(`a picture of ${size}, as a digit and resized`, digit <= 1 && resized <= 1, `differ by ${digit} and ${resized} of 255`);
  }
  check('built-in digits', differences.drawn <= 1 && differences.labels === 0, `differ by ${differences.drawn} of 255`);
  await page.close();
}

/** From disk, nothing is fetched. Prints the seconds from opening the file to the first prediction. */
async function checkFromDisk(name) {
  const browser = await launch();
  const page = await browser.newPage();
  const fetched = [];
  page.on('request', (request) => fetched.push(request.url()));
  const start = performance.now();
  await page.goto(`file://${folder}/${name}/single.html`);
  await page.waitForFunction(() => typeof opened !== 'undefined');
  const kind = await page.evaluate(async () => {
    await (await opened).predict(new Uint8Array(784));
    return (await opened).kind;
  });
  const seconds = (performance.now() - start) / 1000;
  check(`${name}: from disk`, kind === 'webgpu', `the first prediction in ${seconds.toFixed(2)} s`);
  check(`${name}: nothing is fetched`, fetched.length === 1, fetched.slice(1).join());
  await browser.close();
}

let browser = await launch();
for (const name of NETWORKS) await checkOnGpu(browser, name);
await checkPictures(browser);
await browser.close();
await checkFromDisk('mnist-cnn');
browser = await launch({webgpu: false});
for (const name of NETWORKS) await checkInJavaScript(browser, name);
await browser.close();
close();
process.exit(failures ? 1 : 0);
