// Opens exported files in Netron, and prints the names of the nodes that it draws.
//
//     pip install netron==9.3.3
//     npm install puppeteer-core
//     node tests/interchange/netron.mjs CHROMIUM FILE...
//
// CHROMIUM is the path of a Chromium or Chrome. The exit code is 1 if Netron draws no named node of a
// file. Netron's requests to other hosts are blocked. PYTHON is the interpreter (python3).

import { spawn } from "node:child_process";
import { createRequire } from "node:module";

// From the current folder, in which npm has installed it.
const require = createRequire(`${process.cwd()}/`);
const puppeteer = (await import(require.resolve("puppeteer-core"))).default;

const HOST = "127.0.0.1";
const PORT = 8137;
const SERVER = `
import sys, netron
netron.start(sys.argv[1], ("${HOST}", ${PORT}), browse=False)
netron.wait()
`;

/** Waits until the server answers. */
async function answers(url) {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    try {
      await fetch(url);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error(`no answer from ${url}`);
}

/** The names of the nodes of the graph at this address. */
async function drawn(browser, url) {
  const page = await browser.newPage();
  await page.setRequestInterception(true);
  page.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url());
    const isLocal = hostname === HOST || ["data:", "blob:"].includes(protocol);
    return isLocal ? request.continue() : request.abort();
  });
  try {
    await page.goto(url);
    await page.waitForSelector('#target [id^="node-name-"]', { timeout: 60_000 });
    return await page.evaluate(() => {
      const nodes = [...document.querySelectorAll('#target [id^="node-name-"]')];
      return nodes.map((node) => node.id.replace("node-name-", ""));
    });
  } catch (error) {
    console.log(`  ${error.message}`);
    return [];
  } finally {
    await page.close();
  }
}

const [executablePath, ...files] = process.argv.slice(2);
if (files.length === 0) {
  console.error("expected the path of Chromium, and files");
  process.exit(2);
}
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await puppeteer.launch({ executablePath, args, headless: "shell" });
// Netron asks a service where its user is before it asks for consent.
await browser.setCookie({ name: "consent", value: "1", domain: HOST, path: "/" });
let isGood = true;
for (const file of files) {
  const server = spawn(process.env.PYTHON ?? "python3", ["-c", SERVER, file], { stdio: "ignore" });
  try {
    const url = `http://${HOST}:${PORT}/`;
    await answers(url);
    const names = await drawn(browser, url);
    console.log(`${file}: ${names.join(", ") || "no named node"}`);
    isGood &&= names.length > 0;
  } finally {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGKILL");
    await ended;
  }
}
await browser.close();
process.exit(isGood ? 0 : 1);
