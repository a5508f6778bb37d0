// Uses the page of a network as a person does: node tests/web/visit.mjs FOLDER_OR_FILE_OR_ADDRESS [SHOTS]
// Draws a digit, looks inside, trains, downloads the weights, and does it again with keys; at two widths, in light and
// in dark. Shows a picture to a network that is not for digits, and looks inside. Fails if the console is not empty or the page asks for anything but its own files. Writes pictures of the
// page into the folder SHOTS, if there is one. CNN_GPU_NODE_FOLDER is where puppeteer-core is installed.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import {createRequire} from 'node:module';
import os from 'node:os';
import path from 'node:path';
import {pathToFileURL} from 'node:url';

const modules = createRequire(path.resolve(process.env.CNN_GPU_NODE_FOLDER ?? 'target/web', 'modules'));
const {default: puppeteer} = await import(pathToFileURL(modules.resolve('puppeteer-core')).href);
const [site, shots] = process.argv.slice(2);
const isAddress = site.startsWith('http:');
const isFolder = !isAddress && fs.statSync(site).isDirectory();
const browserPath = process.env.BROWSER ?? ['chromium-headless-shell', 'chromium', 'google-chrome']
  .map((name) => `/usr/bin/${name}`).find((file) => fs.existsSync(file));
const TYPES = {'.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.gz': 'application/gzip'};

/** Serves the folder on loopback. */
const server = http.createServer((request, answer) => {
  const file = path.join(site, request.url === '/' ? 'index.html' : path.basename(request.url));
  if (!fs.existsSync(file)) return answer.writeHead(404).end();
  answer.setHeader('content-type', TYPES[path.extname(file)] ?? 'application/octet-stream');
  fs.createReadStream(file).pipe(answer);
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const address = isAddress ? site : isFolder ? `http://127.0.0.1:${server.address().port}/` : pathToFileURL(path.resolve(site)).href;
const downloads = fs.mkdtempSync(path.join(os.tmpdir(), 'cnn-gpu-page-'));

/** Opens the page and waits until it has started; a page for digits predicts one at once. */
async function open(browser, {width, scheme = 'light', webgpu = true}) {
  const page = await browser.newPage();
  // Only for a page that hangs: a busy machine is slow.
  page.setDefaultTimeout(240000);
  const problems = [];
  page.on('console', (message) => problems.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(isAddress || isFolder ? address : 'file:') && !/^(data|blob):/.test(url)) problems.push(`asked for ${url}`);
  });
  await page.setViewport({width, height: 900, hasTouch: width < 500, deviceScaleFactor: width < 500 ? 2 : 1});
  await page.emulateMediaFeatures([
    {name: 'prefers-color-scheme', value: scheme}, {name: 'prefers-reduced-motion', value: 'reduce'},
  ]);
  if (!webgpu) await page.evaluateOnNewDocument(() => Object.defineProperty(Navigator.prototype, 'gpu', {value: undefined}));
  await page.goto(address);
  await page.evaluate(() => started.then(() => {}));
  return {page, problems};
}

const text = (page, selector) => page.$eval(selector, (element) => element.textContent.trim());
const predictions = (page) => page.evaluate(() => performance.getEntriesByName('prediction').length);
/** Waits until the page has predicted again and rests. */
async function settled(page, before) {
  await page.waitForFunction((n) => performance.getEntriesByName('prediction').length > n, {}, before);
  for (let last = -1, now = 0; last !== now;) {
    await new Promise((later) => setTimeout(later, 250));
    [last, now] = [now, await predictions(page)];
  }
}

/** Draws a one. */
async function draw(page) {
  const before = await predictions(page);
  const box = await (await page.$('#pad')).boundingBox();
  const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(0.55, 0.15));
  await page.mouse.down();
  for (let i = 1; i <= 12; i++) await page.mouse.move(...at(0.55 - i * 0.005, 0.15 + i * 0.058));
  await page.mouse.up();
  await settled(page, before);
}

async function checkBars(page) {
  const bars = await page.$$eval('#bars li', (rows) => rows.map((row) => row.textContent));
  assert.equal(bars.length, 10);
  assert.equal(await text(page, '#guess'), '1', `a straight line: ${bars.join(', ')}`);
  assert.equal(await page.$eval('#bars .best .name', (name) => name.textContent), '1');
}

/** Every picture of a layer has several colours, and a legend. Maps of an untrained network may be plain. */
async function checkMaps(page, least = 3) {
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
async function checkCells(page) {
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
async function checkPanel(page) {
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

/** Trains a few steps on built-in digits, resets, and downloads the weights. */
async function checkTraining(page) {
  const steps = async () => Number((await text(page, '#progress')).match(/^([\d,]+) steps?/)?.[1].replace(',', ''));
  await page.click('#scratch');
  await page.waitForFunction(() => /held-out/.test(document.getElementById('progress').textContent));
  const right = async () => Number((await text(page, '#progress')).match(/([\d.]+) % of held-out/)[1]);
  const untrained = await right();
  assert.ok(untrained < 60, `${untrained} % right before training`);
  await page.click('#start');
  await page.waitForFunction(() => /^([3-9]|\d\d)/.test(document.getElementById('progress').textContent));
  await page.click('#start');
  await page.waitForFunction(() => document.getElementById('start').textContent === 'Train');
  assert.ok((await steps()) >= 3);
  assert.ok((await page.$$('#loss-chart polyline')).length === 2, 'curves of the loss');
  const session = await page.browser().target().createCDPSession();
  await session.send('Browser.setDownloadBehavior', {behavior: 'allow', downloadPath: downloads});
  await page.click('#download');
  const file = await waitForDownload();
  const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))).toString());
  assert.match(header.__metadata__.cnn_gpu, /step = [1-9]/);
  await page.click('#reset');
  await page.waitForFunction(() => /^0 steps/.test(document.getElementById('progress').textContent));
  return `${await right()} % right`;
}

async function waitForDownload() {
  for (let i = 0; i < 100; i++) {
    const [name] = fs.readdirSync(downloads).filter((name) => name.endsWith('.safetensors'));
    if (name) return fs.readFileSync(path.join(downloads, name));
    await new Promise((later) => setTimeout(later, 100));
  }
  throw new Error('no weights were downloaded');
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

const checkWidth = async (page) => {
  const {scroll, client} = await page.evaluate(() => ({
    scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth}));
  assert.equal(scroll, client, 'nothing is wider than the window');
};

async function shoot(page, name) {
  if (!shots) return;
  fs.mkdirSync(shots, {recursive: true});
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({path: path.join(shots, `${name}.png`), fullPage: true});
}

/** Shows a picture to the page of a network for pictures, and looks inside. */
async function visitPictures(browser) {
  const {page, problems} = await open(browser, {width: 1200});
  const file = path.join(downloads, 'picture.png');
  const png = await page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 90, height: 60});
    const context = canvas.getContext('2d');
    for (let i = 0; i < 90; i++) {
      context.fillStyle = `hsl(${i * 7} 80% ${20 + (i * 13) % 60}%)`;
      context.fillRect(i, (i * 11) % 40, 12, 25);
    }
    return canvas.toDataURL('image/png').split(',')[1];
  });
  fs.writeFileSync(file, Buffer.from(png, 'base64'));
  await (await page.$('#file')).uploadFile(file);
  await settled(page, 0);
  assert.notEqual(await text(page, '#guess'), '');
  await checkMaps(page, 2);
  await checkCells(page);
  await checkWidth(page);
  await shoot(page, 'picture');
  assert.deepEqual(problems, []);
  await page.close();
}

/** Uses the page of a network that reads digits. */
async function visitDigits(browser) {
  const wide = await open(browser, {width: 1200});
  const first = await wide.page.evaluate(() => performance.getEntriesByName('prediction')[0].startTime);
  console.log(`${await text(wide.page, '#engine')} First prediction after ${Math.round(first)} ms.`);
  await draw(wide.page);
  await checkBars(wide.page);
  await checkMaps(wide.page);
  await checkCells(wide.page);
  await checkPanel(wide.page);
  const trains = await wide.page.$eval('#train-desk', (desk) => !desk.hidden);
  if (trains) console.log(await checkTraining(wide.page));
  await checkWidth(wide.page);
  await shoot(wide.page, '1200-light');
  assert.deepEqual(wide.problems, []);
  await wide.page.close();

  const keys = await open(browser, {width: 1200});
  await checkKeys(keys.page);
  assert.deepEqual(keys.problems, []);
  await keys.page.close();

  for (const scheme of ['light', 'dark']) {
    const {page, problems} = await open(browser, {width: 360, scheme});
    await checkWidth(page);
    await page.evaluate(() => document.querySelectorAll('.layer canvas')[1].scrollIntoView());
    const canvas = (await page.$$('.layer canvas'))[1];
    const box = await canvas.boundingBox();
    await page.touchscreen.tap(box.x + 20, box.y + 20);
    await page.waitForSelector('#behind.kept');
    await checkWidth(page);
    await shoot(page, `360-${scheme}`);
    assert.deepEqual(problems, []);
    await page.close();
  }

  const plain = await open(browser, {width: 1200, scheme: 'dark', webgpu: false});
  assert.match(await text(plain.page, '#engine'), /JavaScript.*Chrome.*Firefox.*Safari/);
  await draw(plain.page);
  await checkBars(plain.page);
  await checkCells(plain.page);
  assert.ok(await plain.page.$eval('#train-desk', (desk) => desk.hidden), 'no training without WebGPU');
  await shoot(plain.page, '1200-dark');
  assert.deepEqual(plain.problems, []);
}

const browser = await puppeteer.launch({
  executablePath: browserPath, headless: browserPath.endsWith('shell') ? 'shell' : true,
  args: ['--no-sandbox', '--enable-unsafe-webgpu'],
});
try {
  const {page} = await open(browser, {width: 1200});
  const isForDigits = await page.$eval('#pad-side', (side) => !side.hidden);
  await page.close();
  await (isForDigits ? visitDigits : visitPictures)(browser);
  console.log('the page works');
} catch (error) {
  console.error(`page: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
  server.close();
  fs.rmSync(downloads, {recursive: true});
}
