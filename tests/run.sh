#!/usr/bin/env bash
# Runs all checks, cheapest first: format, lints, tests on the CPU and on a GPU, docs. GPU tests fail
# without an adapter; if no Vulkan driver is installed, this script installs Mesa's software adapter
# (lavapipe), which is enough for all of them.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; "$@"; }

has_vulkan() {
  # Not `grep -q`, which exits early: ldconfig would then fail, and with it the pipe.
  ldconfig -p 2>/dev/null | grep 'libvulkan\.so\.1' >/dev/null &&
    compgen -G '/usr/share/vulkan/icd.d/*.json' /dev/null >/dev/null
}

install_vulkan() {
  local root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends mesa-vulkan-drivers libvulkan1
}

if [ "$(uname)" = Linux ] && ! has_vulkan; then
  if command -v apt-get >/dev/null; then
    step install_vulkan
  else
    echo 'no Vulkan driver found: install one, or Mesa with lavapipe, and libvulkan' >&2
    exit 1
  fi
fi

# Without a desktop session libwayland would flood the output with complaints.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/nonexistent}"

step cargo fmt --all --check
if command -v cargo-deny >/dev/null; then
  # Advisories are checked in continuous integration, as they need the network.
  step cargo deny --locked check licenses bans sources
else
  echo 'cargo-deny is not installed: licences and sources of the dependencies are not checked' >&2
fi
step cargo clippy --release --locked --all-targets -- -D warnings
# The library without features, and with few of them: two that have nothing to do with each other at a time.
for features in '' gpu,download interchange,pictures cli; do
  step cargo clippy --release --locked --no-default-features --features "$features" -- -D warnings
done
step cargo test --release --locked
# The other scripts build the program: nothing may be compiled anew for it (see `either` in Cargo.toml).
built=$(cargo build --release --locked 2>&1) || { echo "$built" >&2; exit 1; }
if [[ $built == *Compiling* ]]; then
  echo '`cargo build` and `cargo test` compile different libraries: align the features in Cargo.toml' >&2
  exit 1
fi
RUSTDOCFLAGS='-D warnings' step cargo doc --release --locked --no-deps
