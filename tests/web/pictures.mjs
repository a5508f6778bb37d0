// Uses the page of a network that was trained on the pictures of fruits.mjs, as a person does:
// node tests/web/pictures.mjs SITE [SHOTS]
// Chooses and drops pictures, looks inside, gives them labels and trains on these, downloads the weights, and does it
// again with keys, on a narrow page, and without WebGPU. Fails if the console is not empty, or if the page asks for
// anything but its own files. SITE is a folder, a file or an address. Writes pictures of the page into the folder SHOTS, if
// there is one, and the trained weights into the folder WEIGHTS, if the environment names one.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import {drop, launch, open, serveSite, shoot, showing, text, writePicture} from './browser.mjs';
import {FRUITS, fruit} from './fruits.mjs';
import {checkCells, checkMaps, checkPanel} from './inside.mjs';
import {download, trainSteps} from './training.mjs';

const [site, shots] = process.argv.slice(2);
const {address, close} = await serveSite(site);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cnn-gpu-page-'));

/** A file with a picture on which the network was not trained. */
async function pictureOf(page, name, index) {
  const {width, height, rgb} = fruit(name, index);
  const url = await page.evaluate((width, height, rgb) => {
    const canvas = Object.assign(document.createElement('canvas'), {width, height});
    const image = new ImageData(width, height);
    for (let at = 0; at < width * height; at++) image.data.set([...rgb.slice(at * 3, at * 3 + 3), 255], at * 4);
    canvas.getContext('2d').putImageData(image, 0, 0);
    return canvas.toDataURL('image/png');
  }, width, height, Array.from(rgb));
  return writePicture(folder, `${name}-${index}.png`, url);
}

async function choose(page, name, index) {
  const file = await pictureOf(page, name, index);
  await showing(page, async () => (await page.$('#file')).uploadFile(file));
}

/** The answer is this fruit, with a probability for each. */
async function checkAnswer(page, name) {
  const values = await page.$$eval('#bars .value', (cells) => cells.map((cell) => cell.textContent));
  assert.equal(await text(page, '#guess'), name, values.join(', '));
  assert.equal(await text(page, '#bars .best .name'), name);
  assert.deepEqual(await page.$$eval('#bars .name', (cells) => cells.map((cell) => cell.textContent)), FRUITS);
  values.forEach((value) => assert.match(value, /^(< |> )?\d+\.\d %$/));
  assert.match(await text(page, '#sure'), /^(> )?\d+\.\d % sure$/);
}

/** Gives pictures labels, trains on them, and downloads the weights. */
async function checkTraining(page) {
  assert.match(await text(page, '#progress'), /give some images a label/);
  for (let i = 0; i < 6; i++) {
    const label = i % FRUITS.length;
    await choose(page, FRUITS[label], 2000 + i);
    await (await page.$$('#labels button'))[label].click();
  }
  assert.equal((await page.$$('#mine li')).length, 6);
  assert.match(await text(page, '#mine-text'), /^5 to train on, 1 held out/);
  await trainSteps(page, 3);
  assert.match(await text(page, '#progress'), /% of yours$/);
  await download(page, process.env.WEIGHTS ?? folder);
  await page.click('#reset');
  await page.waitForFunction(() => /^0 steps/.test(document.getElementById('progress').textContent));
}

/** Chooses a picture, keeps it, and looks at a cell, with keys only. */
async function checkKeys(page) {
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
  const file = await pictureOf(page, 'limes', 3000);
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'file', 'the choice of a picture is the first stop');
  const [quiet, seen] = await page.$eval('#picture-side', (side) => {
    const colour = getComputedStyle(side).borderColor;
    document.activeElement.blur();
    const quiet = getComputedStyle(side).borderColor;
    document.getElementById('file').focus();
    return [quiet, colour];
  });
  assert.notEqual(seen, quiet, 'the focus is visible');
  // Without the browser's own dialog.
  await page.$eval('#file', (input) => {
    input.addEventListener('click', (event) => {
      event.preventDefault();
      input.dataset.clicked = '';
    }, {once: true});
  });
  await page.keyboard.press('Enter');
  await page.waitForSelector('#file[data-clicked]');
  await showing(page, async () => (await page.$('#file')).uploadFile(file));
  await checkAnswer(page, 'limes');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'limes', 'the labels follow');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => /Kept as limes/.test(document.getElementById('say').textContent));
  await (await page.$$('.layer canvas'))[1].focus();
  await page.keyboard.press('ArrowRight');
  await page.waitForFunction(() => /, map 1$/.test(document.querySelector('#behind h3').textContent));
}

async function visit(browser) {
  const wide = await open(browser, address);
  assert.equal(await text(wide.page, '#draw-title'), 'Show a picture');
  assert.equal(await text(wide.page, '#sure'), 'Show a picture.');
  await choose(wide.page, 'limes', 1000);
  await checkAnswer(wide.page, 'limes');
  await checkMaps(wide.page);
  await checkCells(wide.page);
  await checkPanel(wide.page);
  const lemon = await pictureOf(wide.page, 'lemons', 1001);
  await showing(wide.page, () => drop(wide.page, lemon, '#picture-side'));
  await checkAnswer(wide.page, 'lemons');
  if (await wide.page.$eval('#train-desk', (desk) => !desk.hidden)) await checkTraining(wide.page);
  await shoot(wide.page, shots, 'picture-1200-light');
  const notes = path.join(folder, 'notes.txt');
  fs.writeFileSync(notes, 'no picture');
  await drop(wide.page, notes, '#picture-side');
  await wide.page.waitForFunction(() => /cannot read this file as a picture/.test(document.getElementById('sure').textContent));
  assert.deepEqual(wide.problems, []);
  await wide.page.close();

  const keys = await open(browser, address, {scheme: 'dark'});
  await checkKeys(keys.page);
  await shoot(keys.page, shots, 'picture-1200-dark');
  assert.deepEqual(keys.problems, []);
  await keys.page.close();

  const plain = await open(browser, address, {width: 360, webgpu: false});
  await shoot(plain.page, shots, 'picture-360-empty');
  await choose(plain.page, 'plums', 1002);
  await checkAnswer(plain.page, 'plums');
  await checkMaps(plain.page);
  await shoot(plain.page, shots, 'picture-360-light');
  assert.deepEqual(plain.problems, []);
}

const browser = await launch();
try {
  await visit(browser);
  console.log('the page of a network for pictures works');
} catch (error) {
  console.error(`pictures: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
  close();
  fs.rmSync(folder, {recursive: true});
}
