#!/usr/bin/env bash
# Tests on SwiftShader, Chromium's software Vulkan adapter, whose subgroups and compiler differ from Mesa's:
# checks every operation in every kernel variant, and compares the weights after two training steps with
# lavapipe's, all within limits of memory and time.
set -euo pipefail
cd "$(dirname "$0")/.."

# The driver of an installed browser, or from Debian's package without installing it.
find_driver() {
  find /usr/lib/chromium /usr/lib64/chromium-browser /opt/google/chrome target/swiftshader \
    -name vk_swiftshader_icd.json 2>/dev/null | head -n 1 || true
}
driver=$(find_driver)
if [ -z "$driver" ] && command -v apt-get >/dev/null; then
  mkdir -p target/swiftshader
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" apt-get update -q
  (cd target/swiftshader && apt-get download -q chromium && dpkg-deb -x chromium_*.deb . && rm chromium_*.deb)
  driver=$(find_driver)
fi
if [ -z "$driver" ]; then
  echo 'SwiftShader not found: install chromium' >&2
  exit 1
fi
driver=$(realpath "$driver")
lavapipe=$(compgen -G '/usr/share/vulkan/icd.d/lvp_icd*.json' | head -n 1)
echo "SwiftShader: $driver"

cargo build --release --locked
# Outside the time limit of the test.
cargo test --release --locked --test swiftshader --no-run
program=${CARGO_TARGET_DIR:-target}/release/cnn-gpu
# In a subshell with limits: 12 GiB of address space, as the driver reserves a lot, and twenty minutes.
(
  ulimit -v $((12 << 20))
  export VK_DRIVER_FILES=$driver VK_ICD_FILENAMES=$driver
  timeout 1200 "$program" selfcheck --backend vulkan --adapter swiftshader
)
CNN_GPU_SWIFTSHADER=$driver CNN_GPU_LAVAPIPE=$lavapipe \
  timeout 600 cargo test --release --locked --test swiftshader -- --ignored
