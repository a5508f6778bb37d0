#!/usr/bin/env bash
# Exchanges networks with Keras, PyTorch and ONNX Runtime in both directions, and compares what they
# compute: installs the versions in tests/interchange/requirements.txt into target/interchange, and runs
# tests/interchange/roundtrip.py with the release program. With --quick, PyTorch is not installed, which brings
# gigabytes of CUDA, and a few networks are exchanged with Keras on TensorFlow and JAX and with ONNX Runtime.
# PYTHON is the interpreter, 3.11 to 3.13; arguments go to roundtrip.py.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=tests/interchange/requirements.txt
folder=target/interchange
without='^#'
for argument in "$@"; do
  if [ "$argument" = --quick ]; then
    folder=target/interchange_quick
    # onnxscript serves PyTorch's exporter alone.
    without='^(#|torch=|onnxscript=)'
  fi
done
packages=$(grep -vE "$without" "$requirements")
pip=("$folder/bin/python" -m pip --disable-pip-version-check --quiet)

# Anew if the interpreter or the versions have changed.
wanted=$("${PYTHON:-python3}" --version; echo "$packages")
if [ "$(cat "$folder/installed" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$folder"
  "${PYTHON:-python3}" -m venv "$folder"
  # The build without CUDA, which is much smaller, if its index can be reached.
  if torch=$(grep '^torch==' <<<"$packages"); then
    "${pip[@]}" install --retries 0 --index-url https://download.pytorch.org/whl/cpu "$torch" 2>/dev/null ||
      echo 'installing PyTorch with CUDA, as its index of builds without cannot be reached' >&2
  fi
  "${pip[@]}" install -r /dev/stdin <<<"$packages"
  echo "$wanted" >"$folder/installed"
fi

cargo build --release --locked --bin cnn-gpu
program=${CARGO_TARGET_DIR:-target}/release/cnn-gpu
timeout 1800 "$folder/bin/python" tests/interchange/roundtrip.py --program "$program" "$@"
