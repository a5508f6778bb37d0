// Uses the page of a network that reads digits as a person does: node tests/web/visit.mjs SITE [SHOTS]
// Draws a digit, drops a picture of one, looks inside, trains, downloads the weights, and does it again with keys; at
// three widths, in light and in dark. Of a network with the mean squared error, no words speak of probabilities. Fails if
// the console is not empty, or if the page asks for anything but its own files. SITE is a folder, a file or an address.
// Writes pictures of the page into the folder SHOTS, if there is one.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import {checkWidth, draw, drop, launch, open, predictions, serveSite, settled, shoot, showing, text, writePicture} from './browser.mjs';
import {checkCells, checkMaps, checkPanel} from './inside.mjs';
import {checkTraining} from './training.mjs';

const [site, shots] = process.argv.slice(2);
const {address, close} = await serveSite(site);
const downloads = fs.mkdtempSync(path.join(os.tmpdir(), 'cnn-gpu-page-'));

/** The answer is a one: with its share of all, or as a plain number from a network with the mean squared error. */
async function checkAnswer(page) {
  const bars = await page.$$eval('#bars li', (rows) => rows.map((row) => row.textContent));
  assert.equal(bars.length, 10);
  assert.equal(await text(page, '#guess'), '1', `a straight line: ${bars.join(', ')}`);
  assert.equal(await text(page, '#bars .best .name'), '1');
  const values = await page.$$eval('#bars .value', (cells) => cells.map((cell) => cell.textContent));
  const areShares = await page.evaluate(async () => (await opened).site.plan.loss !== 'mean_squared_error');
  const number = /^−?(\d+\.?\d*(e−\d+)?|0)$/;
  const share = /^(< |> )?\d+\.\d %$/;
  values.forEach((value) => assert.match(value, areShares ? share : number));
  assert.match(await text(page, '#sure'), areShares ? /^(> )?\d+\.\d % sure$/ : /^with an output of \d+\.?\d*$/);
  if (areShares) return;
  const words = await page.evaluate(() => document.body.innerText + document.getElementById('say').textContent +
    [...document.querySelectorAll('[aria-label]')].map((element) => element.getAttribute('aria-label')).join(' '));
  assert.doesNotMatch(words, /probab|likel|\bsure\b|softmax/i, 'plain numbers are no probabilities');
}

/** Drops a photograph of a dark digit on light paper, and then a file that is no picture. */
async function checkDrop(page) {
  const photograph = await page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 200, height: 150});
    const context = canvas.getContext('2d');
    context.fillStyle = '#e8e4da';
    context.fillRect(0, 0, 200, 150);
    context.lineWidth = 9;
    context.lineCap = 'round';
    context.strokeStyle = '#30343c';
    context.moveTo(112, 40);
    context.lineTo(104, 110);
    context.stroke();
    return canvas.toDataURL('image/png');
  });
  await showing(page, () => drop(page, writePicture(downloads, 'one.png', photograph), '#pad'));
  await checkAnswer(page);
  const file = path.join(downloads, 'notes.txt');
  fs.writeFileSync(file, 'no picture');
  await drop(page, file, '#pad');
  await page.waitForFunction(() => /cannot read this file as a picture/.test(document.getElementById('sure').textContent));
}

/** Draws a one, keeps it, and looks at a cell, with keys only. */
async function checkKeys(page) {
  const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
  await press('Tab');
  assert.equal(await focused(), 'pad', 'the pad is the first stop');
  const outline = await page.$eval('#pad', (pad) => getComputedStyle(pad).outlineStyle);
  assert.equal(outline, 'solid', 'the focus is visible');
  const before = await predictions(page);
  await press('Escape', 'Space', ...Array(14).fill('ArrowDown'), 'Space');
  await settled(page, before);
  assert.equal(await text(page, '#guess'), '1');
  if (await page.$eval('#teach', (teach) => !teach.hidden)) {
    await press('Tab', 'Tab', 'Tab', 'Tab', 'Tab');
    assert.equal(await focused(), '1', 'the label after the buttons');
    await press('Enter');
    assert.equal((await page.$$('#mine li')).length, 1);
    await page.waitForFunction(() => /Kept as 1/.test(document.getElementById('say').textContent));
  }
  await (await page.$$('.layer canvas'))[1].focus();
  await press('ArrowRight', 'ArrowRight');
  await page.waitForFunction(() => /, map 2$/.test(document.querySelector('#behind h3').textContent));
  await press('Enter', 'ArrowLeft', 'ArrowLeft');
  await page.waitForFunction(() => /^Row \d+, column \d+: /.test(document.getElementById('say').textContent));
  await press('Escape');
  assert.ok(await page.evaluate(() => document.activeElement.closest('.layer') !== null), 'Escape goes back to the maps');
}

/** Uses the page of a network that reads digits. */
async function visit(browser) {
  const wide = await open(browser, address);
  const first = await wide.page.evaluate(() => performance.getEntriesByName('prediction')[0].startTime);
  console.log(`${await text(wide.page, '#engine')} First prediction after ${Math.round(first)} ms.`);
  await showing(wide.page, () => draw(wide.page));
  await checkAnswer(wide.page);
  await checkMaps(wide.page);
  await checkCells(wide.page);
  await checkPanel(wide.page);
  const trains = await wide.page.$eval('#train-desk', (desk) => !desk.hidden);
  if (trains) console.log(await checkTraining(wide.page, downloads));
  await shoot(wide.page, shots, '1200-light');
  await checkDrop(wide.page);
  assert.deepEqual(wide.problems, []);
  await wide.page.close();

  const keys = await open(browser, address);
  await checkKeys(keys.page);
  assert.deepEqual(keys.problems, []);
  await keys.page.close();

  for (const [width, scheme] of [[360, 'light'], [360, 'dark'], [800, 'light'], [1400, 'dark']]) {
    const {page, problems} = await open(browser, address, {width, scheme});
    await checkWidth(page);
    await page.evaluate(() => document.querySelectorAll('.layer canvas')[1].scrollIntoView());
    const canvas = (await page.$$('.layer canvas'))[1];
    const box = await canvas.boundingBox();
    await (width < 500 ? page.touchscreen.tap(box.x + 20, box.y + 20) : page.mouse.click(box.x + 20, box.y + 20));
    await page.waitForSelector('#behind.kept');
    await shoot(page, shots, `${width}-${scheme}`);
    assert.deepEqual(problems, []);
    await page.close();
  }

  const plain = await open(browser, address, {scheme: 'dark', webgpu: false});
  assert.match(await text(plain.page, '#engine'), /JavaScript.*Chrome.*Firefox.*Safari/);
  await showing(plain.page, () => draw(plain.page));
  await checkAnswer(plain.page);
  await checkCells(plain.page);
  assert.ok(await plain.page.$eval('#train-desk', (desk) => desk.hidden), 'no training without WebGPU');
  await shoot(plain.page, shots, '1200-dark-plain');
  assert.deepEqual(plain.problems, []);
}

const browser = await launch();
try {
  await visit(browser);
  console.log('the page works');
} catch (error) {
  console.error(`page: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
  close();
  fs.rmSync(downloads, {recursive: true});
}
