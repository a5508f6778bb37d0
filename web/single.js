'use strict';
// Starts the page that is one file: unpacks the scripts, which the program packed into it one after the other.

/** The bytes of a file that the page itself holds, in base64. */
const bytesInPage = (/** @type {Element} */ {textContent}) => Uint8Array.from(atob(textContent ?? ''), (c) => c.charCodeAt(0));

(async () => {
  const packed = document.getElementById('scripts.js.gz');
  const stream = new Blob([bytesInPage(/** @type {Element} */ (packed))]).stream().pipeThrough(new DecompressionStream('gzip'));
  const script = document.createElement('script');
  script.textContent = await new Response(stream).text();
  document.body.append(script);
})().catch((error) => {
  const about = /** @type {HTMLElement} */ (document.getElementById('about'));
  about.textContent = `This browser cannot unpack the page: ${error.message}`;
  about.className = 'trouble';
});
