// Compiles kernels with Dawn, Chromium's WebGPU, without an adapter: an error or a warning of its compiler fails.
// Arguments: a JSON file with the texts, the number of the first, and how many (100). Dawn's module aborts if it compiles many
// texts, so that tests/web.sh calls this for a hundred at a time.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';

const require = createRequire(`${process.env.CNN_GPU_NODE_FOLDER}/`);
const {create, globals} = await import(pathToFileURL(require.resolve('webgpu')).href);
Object.assign(globalThis, globals);

const [file, first, count = '100'] = process.argv.slice(2);
const texts = JSON.parse(readFileSync(file, 'utf8')).slice(Number(first), Number(first) + Number(count));
const adapter = await create(['backend=null']).requestAdapter();
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
