#!/usr/bin/env bash
# Netron 9.3.3 does not open files of weights that h5py writes with libver="latest", nor packed ones of libver="v108".
#
# The guess was that Netron's reader refuses attributes and data layouts of the newer kind. Attributes it reads. It
# refuses any dataset of a file with libver="latest" ("Unsupported data layout version '4'"), which HDF5 has written
# since 1.10, and any packed one of libver="v108" ("Unsupported filter pipeline message version '2'"), of HDF5 1.8 from
# 2008. h5py reads all of them. Expected: they open. A program whose files should open in Netron writes datasets unpacked,
# or as HDF5 did before 1.8, which is h5py's and Keras's default.
#
# Needs python3 and node. Exits non-zero if the behaviour changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q netron==9.3.3 h5py==3.14.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import h5py
import numpy as np

values = np.arange(6, dtype="f4")
for bounds in "earliest", "v108", "latest":
    with h5py.File(f"{bounds}_attribute.h5", "w", libver=bounds) as file:
        file.attrs["name"] = "x"
    for kind, options in ("plain", {}), ("packed", {"chunks": (3,), "compression": "gzip"}):
        with h5py.File(f"{bounds}_{kind}.h5", "w", libver=bounds) as file:
            file.create_dataset("x", data=values, **options)
        with h5py.File(f"{bounds}_{kind}.h5") as file:
            assert np.array_equal(file["x"], values)
print(f"h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version} read all files")
PYTHON
# Netron's own modules, without its window.
mkdir netron
cp venv/lib/python3*/site-packages/netron/*.js netron
echo '{"type": "module"}' >netron/package.json
cat >netron/open.js <<'JS'
import './base.js';
import * as fs from 'node:fs';
import * as hdf5 from './hdf5.js';

const opened = {};
for (const kind of ['attribute', 'plain', 'packed']) {
    for (const bounds of ['earliest', 'v108', 'latest']) {
        const name = `${bounds}_${kind}.h5`;
        try {
            const group = hdf5.File.open(new Uint8Array(fs.readFileSync(name))).read();
            const shapes = [...group.groups].map(([, member]) => member.value.shape);
            opened[name] = `${group.attributes.size} attribute, ${shapes.length} dataset`;
        } catch (error) {
            opened[name] = error.message;
        }
        console.log(`netron 9.3.3, ${name}: ${opened[name]}`);
    }
}
const refused = Object.keys(opened).filter((name) => opened[name].startsWith('Unsupported'));
if (refused.join() !== 'latest_plain.h5,v108_packed.h5,latest_packed.h5') {
    throw new Error('the behaviour has changed');
}
JS
node netron/open.js
