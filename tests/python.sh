#!/usr/bin/env bash
# Builds the Python package's wheel, installs it, and runs the lab's cells and everything else in tests/python with it
# and with Keras: installs the versions in tests/python/requirements.txt into target/python.
# PYTHON is the interpreter, 3.11 to 3.13; arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=tests/python/requirements.txt
folder=target/python
venv=$folder/venv
bin=$venv/bin
[ -n "${WINDIR:-}" ] && bin=$venv/Scripts
pip=("$bin/python" -m pip --disable-pip-version-check --quiet)

# Anew if the interpreter or the versions have changed.
wanted=$("${PYTHON:-python3}" --version; cat "$requirements")
if [ "$(cat "$folder/installed" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$folder"
  "${PYTHON:-python3}" -m venv "$venv"
  "${pip[@]}" install -r "$requirements"
  echo "$wanted" >"$folder/installed"
fi

rm -rf "$folder/wheels"
PATH="$PWD/$bin:$PATH" maturin build --release --locked --strip --manifest-path python/Cargo.toml --out "$folder/wheels"
"${pip[@]}" install --no-deps --force-reinstall "$folder"/wheels/*.whl
export PYTHONDONTWRITEBYTECODE=1
# Types: those of the package, and of its stubs beside the module.
(cd python && "../$bin/python" -m mypy --strict --no-incremental --cache-dir /dev/null cnn_gpu)
"$bin/python" -m mypy.stubtest cnn_gpu._native
timeout 1800 "$bin/python" -m pytest -p no:cacheprovider -q tests/python "$@"
