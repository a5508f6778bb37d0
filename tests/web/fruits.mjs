// Small colour pictures of three classes, as a folder to train on: node tests/web/fruits.mjs FOLDER
// Round fruits on light grounds, of different sizes, drawn from a seed.
import fs from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const COLOURS = {lemons: [235, 205, 40], limes: [95, 170, 40], plums: [100, 40, 120]};
export const FRUITS = Object.keys(COLOURS);
/** Pictures of each class in the folder. */
const COUNT = 60;

/** The picture `index` of a class: its size, and red, green and blue of each pixel. */
export function fruit(name, index) {
  let state = index * 3 + FRUITS.indexOf(name) + 1;
  // Numerical Recipes' generator; the upper half of its bits.
  const random = (low, high) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + ((state >>> 16) / 65536) * (high - low);
  };
  for (let i = 0; i < 10; i++) random(0, 1);
  const [width, height] = [Math.round(random(36, 60)), Math.round(random(30, 48))];
  const ground = [0, 1, 2].map(() => random(200, 245));
  const [radius, light] = [random(0.2, 0.34) * height, random(0.85, 1.1)];
  const [x, y] = [random(radius, width - radius), random(radius, height - radius)];
  const rgb = new Uint8Array(width * height * 3);
  for (let at = 0; at < width * height; at++) {
    const [dx, dy] = [(at % width) - x, Math.floor(at / width) - y];
    const distance = Math.hypot(dx, dy) / radius;
    // Brighter towards the upper left.
    const shade = light * (1 - 0.25 * ((dx + dy) / radius));
    const colour = distance < 1 ? COLOURS[name].map((c) => c * shade) : ground;
    const noise = random(-8, 8);
    colour.forEach((c, i) => { rgb[at * 3 + i] = Math.min(Math.max(Math.round(c + noise), 0), 255); });
  }
  return {width, height, rgb};
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const name of FRUITS) {
    const folder = path.join(process.argv[2], name);
    fs.mkdirSync(folder, {recursive: true});
    for (let i = 0; i < COUNT; i++) {
      const {width, height, rgb} = fruit(name, i);
      fs.writeFileSync(path.join(folder, `${i}.ppm`), Buffer.concat([Buffer.from(`P6 ${width} ${height} 255\n`), rgb]));
    }
  }
}
