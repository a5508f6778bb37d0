'use strict';
// Reads a picture that one drops or chooses. Transparency is blended as the program does (src/data/picture/background.rs).

/** The larger side to which large photographs are decoded before they are resized. */
const MOST_PIXELS = 4096;

/**
 * The red, green and blue pixels of an image file.
 * @param {Blob} file
 * @returns {Promise<Pixels>}
 */
async function readPicture(file) {
  const bitmap = await createImageBitmap(file, {imageOrientation: 'from-image', premultiplyAlpha: 'none'})
    .catch(() => { throw new Error('the browser cannot read this file as a picture: choose a PNG, JPEG, WebP or GIF'); });
  const scale = Math.min(1, MOST_PIXELS / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = Object.assign(document.createElement('canvas'), {width, height});
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', {willReadFrequently: true}));
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return opaquePixels(context.getImageData(0, 0, width, height));
}

/**
 * Blends transparent pixels with white, or with black if the drawing is too bright to show on white.
 * @param {ImageData} image
 * @returns {Pixels}
 */
function opaquePixels({width, height, data}) {
  let [light, ink] = [0, 0];
  for (let at = 0; at < data.length; at += 4) {
    const brightness = (19595 * data[at] + 38470 * data[at + 1] + 7471 * data[at + 2] + 0x8000) >> 16;
    light += data[at + 3] * brightness;
    ink += data[at + 3];
  }
  const background = light > 191 * ink ? 0 : 255;
  const rgb = new Uint8Array(width * height * 3);
  for (let at = 0; at < width * height; at++) {
    const alpha = data[at * 4 + 3];
    for (let c = 0; c < 3; c++) {
      rgb[at * 3 + c] = Math.floor((data[at * 4 + c] * alpha + background * (255 - alpha) + 127) / 255);
    }
  }
  return {width, height, channels: 3, data: rgb};
}
