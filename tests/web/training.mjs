// Trains the network of a page, and downloads its weights.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import {text} from './browser.mjs';

const right = async (page) => Number((await text(page, '#progress')).match(/([\d.]+) % of held-out/)[1]);

/** Trains so many steps, or a few more. */
export async function trainSteps(page, least) {
  await page.click('#start');
  await page.waitForFunction((least) => parseInt(document.getElementById('progress').textContent) >= least, {}, least);
  await page.click('#start');
  await page.waitForFunction(() => document.getElementById('start').textContent === 'Train');
  assert.equal((await page.$$('#loss-chart polyline')).length, 2, 'curves of the loss');
}

/** Downloads the weights into a folder, and returns the file. */
export async function download(page, folder) {
  const session = await page.browser().target().createCDPSession();
  await session.send('Browser.setDownloadBehavior', {behavior: 'allow', downloadPath: folder});
  await page.click('#download');
  const file = await downloaded(folder);
  const bytes = fs.readFileSync(file);
  const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString());
  assert.match(header.__metadata__.cnn_gpu, /step = [1-9]/);
  return file;
}

/** The file of weights in a folder, as soon as there is one. */
async function downloaded(folder) {
  for (let i = 0; i < 100; i++) {
    const [name] = fs.readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
    if (name) return path.join(folder, name);
    await new Promise((later) => setTimeout(later, 100));
  }
  throw new Error('no weights were downloaded');
}

/** Trains untrained weights on built-in digits, downloads them into a folder, and resets. */
export async function checkTraining(page, folder) {

  await page.click('#scratch');
  await page.waitForFunction(() => /held-out/.test(document.getElementById('progress').textContent));
  const untrained = await right(page);
  assert.ok(untrained < 60, `${untrained} % right before training`);
  await trainSteps(page, 3);
  await download(page, folder);
  await page.click('#reset');
  await page.waitForFunction(() => /^0 steps/.test(document.getElementById('progress').textContent));
  return `${await right(page)} % right`;
}
