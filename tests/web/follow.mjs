// Follows a run in a browser while it trains: node tests/web/follow.mjs PROGRAM FOLDER [SHOTS]
// The page shows the run before its first epoch has ended, takes over the weights of each epoch, keeps those that it
// trained itself, and says that the run was interrupted, resumed and ended. Writes pictures of the page into the folder
// SHOTS, if there is one.
import assert from 'node:assert/strict';
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import fs from 'node:fs';
import path from 'node:path';

import {draw, launch, open, shoot} from './browser.mjs';

const [program, folder, shots] = process.argv.slice(2);
const run = path.join(folder, 'live');
const EPOCHS = 60;
const TRAIN = ['train', '--backend', 'cpu', '--dataset', 'digits', '--limit', '20000', '--validation-split', '0.1',
  '--epochs', String(EPOCHS), '--verbose', '0'];

/** The processes that must not outlive this one. */
const running = [];
function start(args, stdio = 'ignore') {
  const child = spawn(program, args, {stdio});
  running.push(child);
  return child;
}

/** Ends training as Ctrl-C does. */
async function interrupt(training) {
  training.kill('SIGINT');
  if (training.exitCode === null) await once(training, 'exit');
  assert.equal(training.exitCode, 130);
}

/** Serves a run, and returns the address. */
async function serve(name) {
  const server = start(['serve', name, '--follow', '--port', '0'], ['ignore', 'pipe', 'inherit']);
  let printed = '';
  for await (const piece of server.stdout) {
    printed += piece;
    const [address] = printed.match(/http:\S+/) ?? [];
    if (address) return address;
  }
  throw new Error(`no address in: ${printed}`);
}

async function waitForFile(file) {
  for (let i = 0; i < 600; i++) {
    if (fs.existsSync(file)) return;
    await new Promise((later) => setTimeout(later, 100));
  }
  throw new Error(`${file} was not written`);
}

const line = (page) => page.$eval('#run .progress', (line) => line.textContent);
/** Waits until the line about the run has words. */
async function says(page, words) {
  await page.waitForFunction((words) => new RegExp(words).test(document.querySelector('#run .progress')?.textContent), {}, words);
  return line(page);
}
const epochOf = async (page) => Number((await line(page)).match(/[Ee]poch (\d+) of/)[1]);
const taken = (page) => page.evaluate(() => performance.getEntriesByName('newer weights').length);
const bars = (page) => page.$eval('#bars', (list) => list.textContent);

/** The page takes over the weights of epochs, and keeps what is drawn. */
async function checkEpochs(page) {
  await draw(page);
  const strokes = () => page.evaluate(async () => JSON.stringify((await started).pad.strokes));
  const [drawn, before, count] = [await strokes(), await bars(page), await taken(page)];
  const first = await says(page, '^Epoch \\d+ of \\d+: validation accuracy [\\d.]+ %, loss \\S+ Learning rate 0.001.$');
  await page.waitForFunction((count) => performance.getEntriesByName('newer weights').length >= count + 2, {}, count);
  assert.equal(await strokes(), drawn, 'the drawing stays');
  assert.notEqual(await bars(page), before, 'the prediction is that of the new weights');
  assert.notEqual(await line(page), first);
  const curves = await page.$$eval('#run svg', (charts) => charts.map((chart) => ({
    curves: chart.querySelectorAll('polyline').length, text: chart.getAttribute('aria-label')})));
  assert.deepEqual(curves.map(({curves}) => curves), [2, 2]);
  curves.forEach(({text}) => assert.match(text, /^(Loss|Accuracy): training \S+( %)?, validation \S+( %)?$/));
}

/** The page keeps the weights that it trains itself, until it is told to take the run's. */
async function checkOwn(page) {
  await page.click('#start');
  await page.waitForFunction(() => /^([2-9]|\d\d)/.test(document.getElementById('progress').textContent));
  await page.click('#start');
  await page.waitForFunction(() => document.getElementById('start').textContent === 'Train');
  await says(page, 'The page keeps the weights that were trained here until you reset them.$');
  const [epoch, count] = [await epochOf(page), await taken(page)];
  await page.waitForFunction((epoch) => !document.querySelector('#run .progress').textContent.includes(`poch ${epoch} of`), {}, epoch);
  assert.equal(await taken(page), count, 'the page keeps its own weights');
  await page.click('#reset');
  await page.waitForFunction(() => /^0 steps/.test(document.getElementById('progress').textContent));
  await page.waitForFunction((count) => performance.getEntriesByName('newer weights').length > count, {}, count);
}

async function follow(browser) {
  let training = start([...TRAIN, '--out', run]);
  await waitForFile(path.join(run, 'config.toml'));
  const address = await serve(run);
  const {page, problems} = await open(browser, address);
  // Unless the machine is so busy that the browser opens later.
  console.log(await says(page, '^Epoch \\d+ of'));
  if (!fs.existsSync(path.join(run, 'model.safetensors'))) assert.match(await line(page), /1 of \d+ is running/);
  await checkEpochs(page);
  if (await page.$eval('#train-desk', (desk) => !desk.hidden)) await checkOwn(page);
  await shoot(page, shots, 'follow-1200-light', false);

  await interrupt(training);
  const words = await says(page, '^The run was interrupted after epoch \\d+ of .* cnn-gpu train --resume continues it.$');
  console.log(words);
  const epoch = await epochOf(page);
  training = start(['train', '--resume', run, '--verbose', '0']);
  await says(page, '^Epoch \\d+ of');
  assert.ok((await epochOf(page)) >= epoch);

  for (const scheme of ['light', 'dark']) {
    const small = await open(browser, address, {width: 360, scheme, webgpu: false});
    await says(small.page, '^Epoch \\d+ of');
    const before = await taken(small.page);
    await small.page.waitForFunction((count) => performance.getEntriesByName('newer weights').length > count, {}, before);
    await shoot(small.page, shots, `follow-360-${scheme}`, false);
    assert.deepEqual(small.problems, []);
    await small.page.close();
  }
  await page.bringToFront();
  await interrupt(training);
  await says(page, '^The run was interrupted');
  assert.deepEqual(problems, []);
  await page.close();
}

/** A run that has ended, and a server that has ended. */
async function followEnded(browser) {
  const name = path.join(folder, 'ended');
  const args = ['train', '--backend', 'cpu', '--dataset', 'digits', '--model', 'mnist-mlp', '--limit', '500', '--epochs', '2',
    '--verbose', '0', '--out', name];
  assert.equal(spawnSync(program, args, {stdio: 'ignore'}).status, 0);
  const {page, problems} = await open(browser, await serve(name), {scheme: 'dark'});
  console.log(await says(page, '^The run has ended after epoch 2 of 2: accuracy [\\d.]+ %, loss \\S+ Accuracy on the test images: [\\d.]+ %.$'));
  await shoot(page, shots, 'follow-1200-dark', false);
  assert.deepEqual(problems, []);
  running.at(-1).kill('SIGINT');
  await says(page, '^No news of the run: the server does not answer: has it ended\\?');
}

const browser = await launch();
try {
  await follow(browser);
  await followEnded(browser);
  console.log('the page follows a run');
} catch (error) {
  console.error(`follow: ${error.message}`);
  process.exitCode = 1;
} finally {
  running.forEach((child) => child.kill('SIGKILL'));
  await browser.close();
}
