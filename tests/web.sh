#!/usr/bin/env bash
# Opens exported web pages in Chromium, installed if it is missing, and compares what they compute and train with
# the CPU path; checks the types of the page's scripts; compiles every kernel with Chromium's compiler; uses the pages
# of networks for digits and for pictures as a person does; and follows a run while it trains. Installs the versions in
# tests/web/package.json into target/web.
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
export BROWSER=$browser
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

timeout 600 node tests/web/page.mjs "$folder"

# The program takes the weights that a page trained.
cargo build --release --locked
program=${CARGO_TARGET_DIR:-target}/release/cnn-gpu
for name in mnist-cnn every-layer skips plain-numbers; do
  "$program" evaluate "$folder/$name/trained.safetensors" --backend cpu --dataset digits
done

# The page reads, explains and trains on digits, from a folder and as a single file.
"$program" train --backend cpu --dataset digits --limit 4000 --epochs 2 --verbose 0 --out "$folder/run" >/dev/null
"$program" export "$folder/run" --web "$folder/site" >/dev/null
"$program" export "$folder/run" --single "$folder/site.html" >/dev/null
for site in site site.html; do
  timeout 600 node tests/web/visit.mjs "$folder/$site"
done

# So does one whose outputs are plain numbers.
model() {
  printf 'name = "%s"\ninput_shape = [%s]\n' "$1" "$2"
  printf '\n[[layers]]\n%s\n' 'type = "Conv2D"
filters = 8
kernel_size = 3
activation = "relu"' 'type = "MaxPooling2D"' 'type = "Flatten"' "type = \"Dense\"
units = $3
activation = \"$4\""
}
model plain-numbers '28, 28, 1' 10 linear > "$folder/plain.toml"
"$program" train --backend cpu --dataset digits --model "$folder/plain.toml" --loss mean_squared_error --limit 4000 \
  --epochs 3 --verbose 0 --out "$folder/plain" >/dev/null
"$program" export "$folder/plain" --single "$folder/plain.html" >/dev/null
timeout 600 node tests/web/visit.mjs "$folder/plain.html"

# So does one with skip connections, whose cells it explains.
cat > "$folder/skips.toml" <<'END'
name = "skips"
input_shape = [28, 28, 1]
layers = [
  { type = "Conv2D", filters = 6, kernel_size = 3, strides = 2, padding = "same", activation = "relu", name = "stem" },
  { type = "Conv2D", filters = 6, kernel_size = 3, padding = "same", name = "main" },
  { type = "Conv2D", filters = 6, kernel_size = 1, strides = 2, name = "shortcut", from = "input" },
  { type = "Add", from = ["main", "stem", "shortcut"] },
  { type = "Activation", activation = "relu" },
  { type = "Concatenate", from = ["activation", "stem"] },
  { type = "Dropout", rate = 0.1 },
  { type = "MaxPooling2D", name = "pool" },
  { type = "Flatten" },
  { type = "Flatten", from = "pool", name = "again" },
  { type = "Add", from = ["flatten", "again"], name = "vectors" },
  { type = "Dense", units = 10, activation = "softmax" },
]
END
"$program" train --backend cpu --dataset digits --model "$folder/skips.toml" --limit 4000 --epochs 3 --verbose 0 \
  --out "$folder/skips-run" >/dev/null
"$program" export "$folder/skips-run" --single "$folder/skips.html" >/dev/null
timeout 600 node tests/web/visit.mjs "$folder/skips.html"

# A network for pictures looks at those that one drops or chooses, and the program takes the weights that it trains.
node tests/web/fruits.mjs "$folder/fruits"
model fruits '32, 32, 3' 3 softmax > "$folder/fruits.toml"
"$program" train --backend cpu --dataset "folder:$folder/fruits" --model "$folder/fruits.toml" --epochs 20 \
  --batch-size 16 --verbose 0 --out "$folder/fruits-run" >/dev/null
"$program" export "$folder/fruits-run" --web "$folder/fruits-site" >/dev/null
mkdir "$folder/trained"
WEIGHTS=$folder/trained timeout 600 node tests/web/pictures.mjs "$folder/fruits-site"
"$program" evaluate "$folder/trained/fruits.safetensors" --backend cpu --dataset "folder:$folder/fruits"

# Served by the program, the page asks for nothing but its files, and may do what its policy says.
"$program" serve "$folder/run" --port 0 > "$folder/address" &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$folder"' EXIT
until grep -q http: "$folder/address"; do kill -0 "$server"; sleep 0.1; done
timeout 600 node tests/web/visit.mjs "$(grep -o 'http:[^ ]*' "$folder/address")"
timeout 900 node tests/web/follow.mjs "$program" "$folder"
