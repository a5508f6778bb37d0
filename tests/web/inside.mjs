// Looks inside the network of a page: the maps of every layer, and what is behind a map and a cell.
import assert from 'node:assert/strict';

/** Every picture of a layer has several colours, and a legend. Maps of an untrained network may be plain. */
export async function checkMaps(page, least = 3) {
  const layers = await page.$$eval('.layer', (figures) => figures.map((figure) => {
    const canvas = figure.querySelector('canvas');
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return {
      name: figure.querySelector('h3').textContent, legend: figure.querySelector('.legend').textContent,
      colours: new Set(new Uint32Array(data.buffer)).size, width: canvas.clientWidth, height: canvas.clientHeight,
    };
  }));
  assert.ok(layers.length >= 4, `${layers.length} layers`);
  for (const {name, colours, legend, width, height} of layers) {
    assert.ok(colours >= least && legend !== '' && width > 0 && height > 0, `${name}: ${colours} colours, legend ${legend}`);
  }
}

/** Points at a tile of each layer: the panel names it, and the worked sum is the value that the network computed. */
export async function checkCells(page) {
  const layers = await page.$$('.layer');
  let sums = 0;
  for (const layer of layers.slice(1)) {
    const canvas = await layer.$('canvas');
    await canvas.scrollIntoView();
    const box = await canvas.boundingBox();
    const name = await layer.$eval('h3', (title) => title.textContent);
    await page.mouse.move(box.x + 19, box.y + Math.min(21, box.height / 2));
    await page.waitForFunction((name) => document.querySelector('#behind h3').textContent.startsWith(`${name},`), {}, name);
    const {value, sum} = await page.$eval('#behind .cell', ({dataset}) => ({...dataset}));
    const [found, worked] = [Number(value), Number(sum)];
    assert.ok(Math.abs(found - worked) <= 1e-4 * Math.max(1, Math.abs(found)), `${name}: the sum ${worked} for ${found}`);
    sums += 1;
  }
  assert.ok(sums >= 3);
}

/** The panel has a filter, a window and its weights, and stays after a click. */
export async function checkPanel(page) {
  const first = (await page.$$('.layer canvas'))[1];
  await first.scrollIntoView();
  const box = await first.boundingBox();
  await page.mouse.move(box.x + 25, box.y + 25);
  await page.waitForSelector('#behind canvas.weights');
  assert.ok((await page.$$('#behind .cells td')).length >= 18, 'a window and its weights');
  await page.mouse.click(box.x + 25, box.y + 25);
  await page.waitForSelector('#behind.kept');
  await page.mouse.move(5, 5);
  assert.ok(await page.$('#behind.kept'), 'a click keeps the panel');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#behind:not(.kept)');
}
