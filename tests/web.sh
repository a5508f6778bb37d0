#!/usr/bin/env bash
# Opens exported web pages in Chromium, installed if it is missing, and compares what they compute and train with
# the CPU path; checks the types of the page's scripts; compiles every kernel with Chromium's compiler; uses the page
# as a person does; and follows a run while it trains. Installs the versions in tests/web/package.json into target/web.
set -euo pipefail
cd "$(dirname "$0")/.."

root=()
[ "$(id -u)" -eq 0 ] || root=(sudo)
install() {
  command -v apt-get >/dev/null || return 1
  "${root[@]}" apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}
browser() { command -v chromium-headless-shell || command -v chromium || command -v google-chrome || true; }
[ -n "$(browser)" ] || install chromium-headless-shell || install chromium || true
browser=$(browser)
[ -n "$browser" ] || { echo 'no browser found: install chromium-headless-shell' >&2; exit 1; }
command -v npm >/dev/null || install nodejs npm || { echo 'npm not found: install Node.js' >&2; exit 1; }

tools=$PWD/target/web
mkdir -p "$tools"
if ! cmp -s tests/web/package.json "$tools/installed"; then
  cp tests/web/package.json "$tools/package.json"
  (cd "$tools" && npm install --no-audit --no-fund --no-package-lock --loglevel=error)
  cp tests/web/package.json "$tools/installed"
fi

node "$tools/node_modules/typescript/bin/tsc" -p tests/web

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export CNN_GPU_WEB_FOLDER=$folder CNN_GPU_NODE_FOLDER=$tools
cargo test --release --locked --test web -- --ignored

count=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).length' "$folder/kernels.json")
echo "$count kernels"
for ((first = 0; first < count; first += 100)); do
  timeout 300 node tests/web/kernels.mjs "$folder/kernels.json" "$first"
done

timeout 600 node tests/web/page.mjs "$folder" "$browser"

# The program takes the weights that a page trained.
cargo build --release --locked
program=${CARGO_TARGET_DIR:-target}/release/cnn-gpu
for name in mnist-cnn every-layer; do
  "$program" evaluate "$folder/$name/trained.safetensors" --backend cpu --dataset digits
done

# The page reads, explains and trains on digits, from a folder and as a single file.
"$program" train --backend cpu --dataset digits --limit 4000 --epochs 2 --verbose 0 --out "$folder/run" >/dev/null
"$program" export "$folder/run" --web "$folder/site" >/dev/null
"$program" export "$folder/run" --single "$folder/site.html" >/dev/null
for site in site site.html; do
  BROWSER=$browser timeout 600 node tests/web/visit.mjs "$folder/$site"
done

# Served by the program, the page asks for nothing but its files, and may do what its policy says.
"$program" serve "$folder/run" --port 0 > "$folder/address" &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$folder"' EXIT
until grep -q http: "$folder/address"; do kill -0 "$server"; sleep 0.1; done
BROWSER=$browser timeout 600 node tests/web/visit.mjs "$(grep -o 'http:[^ ]*' "$folder/address")"
BROWSER=$browser timeout 900 node tests/web/follow.mjs "$program" "$folder"
