#!/usr/bin/env bash
# Exchanges networks with Keras, PyTorch and ONNX Runtime in both directions, and compares what they
# compute: installs the versions in tests/interchange/requirements.txt into target/interchange, and runs
# tests/interchange/roundtrip.py with the release program. PYTHON is the interpreter, 3.11 to 3.13; arguments
# go to roundtrip.py.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=tests/interchange/requirements.txt
folder=target/interchange
pip=("$folder/bin/python" -m pip --disable-pip-version-check --quiet)

# Anew if the interpreter or the versions have changed.
wanted=$("${PYTHON:-python3}" --version; cat "$requirements")
if [ "$(cat "$folder/installed" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$folder"
  "${PYTHON:-python3}" -m venv "$folder"
  # PyTorch without what its wheels require for CUDA, which is 4 GB; it computes on the CPU without.
  torch=$(grep '^torch==' "$requirements")
  "${pip[@]}" install filelock fsspec jinja2 networkx 'setuptools>=77' sympy typing-extensions \
    -r <(grep -v '^torch==' "$requirements")
  "${pip[@]}" install --no-deps "$torch"
  echo "$wanted" >"$folder/installed"
fi

cargo build --release --locked --bin cnn-gpu
program=${CARGO_TARGET_DIR:-target}/release/cnn-gpu
timeout 1800 "$folder/bin/python" tests/interchange/roundtrip.py --program "$program" "$@"
