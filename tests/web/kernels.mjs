// Compiles kernels with Dawn, Chromium's WebGPU, without an adapter: an error or a warning of its compiler fails.
// Arguments: a JSON file with the texts, and the number of the first of the hundred to compile.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';

const require = createRequire(`${process.env.CNN_GPU_NODE_FOLDER}/`);
const {create, globals} = await import(pathToFileURL(require.resolve('webgpu')).href);
Object.assign(globalThis, globals);

const [file, first] = process.argv.slice(2);
const texts = JSON.parse(readFileSync(file, 'utf8')).slice(Number(first), Number(first) + 100);
// Held until the end: the adapter and the device do not keep it alive, and without it the module aborts or hangs as
// soon as its memory is reclaimed.
const gpu = create(['backend=null']);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice({requiredFeatures: ['subgroups']});
let wrong = 0;
for (const code of texts) {
  device.pushErrorScope('validation');
  const {messages} = await device.createShaderModule({code}).getCompilationInfo();
  const error = await device.popErrorScope();
  if (messages.length || error) {
    wrong += 1;
    console.error(code.slice(0, 400));
    for (const {type, lineNum, message} of messages) console.error(`${type} in line ${lineNum}: ${message}`);
    if (error) console.error(error.message);
  }
}
console.log(`${texts.length} kernels, ${wrong} refused or warned about`);
process.exit(wrong ? 1 : 0);
