// What the tests that open pages share: a server of files, a browser, a page of a network in it, and a drawing.
// CNN_GPU_NODE_FOLDER is where puppeteer-core is installed, BROWSER the browser.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import {createRequire} from 'node:module';
import path from 'node:path';
import {pathToFileURL} from 'node:url';

const modules = createRequire(path.resolve(process.env.CNN_GPU_NODE_FOLDER ?? 'target/web', 'modules'));
const {default: puppeteer} = await import(pathToFileURL(modules.resolve('puppeteer-core')).href);
const executablePath = process.env.BROWSER ?? ['chromium-headless-shell', 'chromium', 'google-chrome']
  .map((name) => `/usr/bin/${name}`).find((file) => fs.existsSync(file));

const TYPES = {'.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.gz': 'application/gzip'};

/** Serves a folder on loopback. */
export async function serve(folder) {
  const server = http.createServer((request, answer) => {
    const {pathname} = new URL(request.url, 'http://localhost');
    const file = path.join(folder, pathname.endsWith('/') ? `${pathname}index.html` : pathname);
    if (!fs.existsSync(file)) return answer.writeHead(404).end();
    answer.setHeader('content-type', TYPES[path.extname(file)] ?? 'application/octet-stream');
    fs.createReadStream(file).pipe(answer);
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  return {address: `http://127.0.0.1:${server.address().port}/`, close: () => server.close()};
}

/** Serves a site, unless it is an address or a file, which a browser opens as it is. */
export async function serveSite(site) {
  if (site.startsWith('http:')) return {address: site, close: () => {}};
  if (fs.statSync(site).isDirectory()) return serve(site);
  return {address: pathToFileURL(path.resolve(site)).href, close: () => {}};
}

/** A browser, whose WebGPU is SwiftShader. */
export const launch = ({webgpu = true} = {}) => puppeteer.launch({
  executablePath, headless: executablePath.endsWith('shell') ? 'shell' : true,
  args: ['--no-sandbox', ...(webgpu ? ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'] : [])],
});

/**
 * Opens the page of a network, and waits until it has started; a page for digits predicts one at once. `problems`
 * lists what it writes to its console, and what it asks for that is not its own.
 */
export async function open(browser, address, {width = 1200, scheme = 'light', webgpu = true} = {}) {
  const page = await browser.newPage();
  // Only for a page that hangs: a busy machine is slow.
  page.setDefaultTimeout(240000);
  const problems = [];
  page.on('console', (message) => problems.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
  page.on('request', (request) => {
    const url = request.url();
    const isOwn = address.startsWith('file:') ? url === address : url.startsWith(address);
    if (!isOwn && !/^(data|blob):/.test(url)) problems.push(`asked for ${url}`);
  });
  await page.setViewport({width, height: 900, hasTouch: width < 500, deviceScaleFactor: width < 500 ? 2 : 1});
  await page.emulateMediaFeatures([
    {name: 'prefers-color-scheme', value: scheme}, {name: 'prefers-reduced-motion', value: 'reduce'},
  ]);
  if (!webgpu) await page.evaluateOnNewDocument(() => Object.defineProperty(Navigator.prototype, 'gpu', {value: undefined}));
  await page.goto(address);
  // A page that is one file unpacks its scripts first.
  await page.waitForFunction(() => typeof started !== 'undefined');
  await page.evaluate(() => started.then(() => {}));
  return {page, problems};
}

/** The text of an element. */
export const text = (page, selector) => page.$eval(selector, (element) => element.textContent.trim());

/** The number of predictions that the page has shown. */
export const predictions = (page) => page.evaluate(() => performance.getEntriesByName('prediction').length);

/** Waits until the page has predicted again and rests. */
export async function settled(page, before) {
  await page.waitForFunction((n) => performance.getEntriesByName('prediction').length > n, {}, before);
  for (let last = -1, now = 0; last !== now;) {
    await new Promise((later) => setTimeout(later, 250));
    [last, now] = [now, await predictions(page)];
  }
}

/** Does something that changes the image, and waits until the page has shown the prediction. */
export async function showing(page, change) {
  const before = await predictions(page);
  await change();
  await settled(page, before);
}

/** Draws a one with the mouse. */
export async function draw(page) {
  const box = await (await page.$('#pad')).boundingBox();
  const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(0.55, 0.15));
  await page.mouse.down();
  for (let i = 1; i <= 12; i++) await page.mouse.move(...at(0.55 - i * 0.005, 0.15 + i * 0.058));
  await page.mouse.up();
}

/** Writes a picture into a folder, and returns the file. */
export function writePicture(folder, name, dataUrl) {
  const file = path.join(folder, name);
  fs.writeFileSync(file, Buffer.from(dataUrl.split(',')[1], 'base64'));
  return file;
}

/** Drops a file on an element, as from another window. */
export async function drop(page, file, selector) {
  const element = await page.$(selector);
  await element.scrollIntoView();
  const box = await element.boundingBox();
  const session = await page.createCDPSession();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const data = {items: [], files: [path.resolve(file)], dragOperationsMask: 1};
  for (const type of ['dragEnter', 'dragOver', 'drop']) await session.send('Input.dispatchDragEvent', {type, x, y, data});
  await session.detach();
}

/** Nothing is wider than the window. */
export async function checkWidth(page) {
  const {scroll, client} = await page.evaluate(() => ({
    scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth}));
  assert.equal(scroll, client, 'nothing is wider than the window');
}

/** Writes a picture of the page, with what is below the window, into a folder, if there is one. */
export async function shoot(page, folder, name, fullPage = true) {
  await checkWidth(page);
  if (!folder) return;
  fs.mkdirSync(folder, {recursive: true});
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({path: path.join(folder, `${name}.png`), fullPage});
}
