#!/usr/bin/env bash
# Opens a report in Chromium, installed if it is missing: every chart is there, the console stays empty, no
# address is fetched, and nothing is wider than the page, on a phone and on a desktop, in light and in dark.
set -euo pipefail
cd "$(dirname "$0")/.."

browser() { command -v chromium-headless-shell || command -v chromium || command -v google-chrome || true; }
if [ -z "$(browser)" ] && command -v apt-get >/dev/null; then
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends chromium-headless-shell ||
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium
fi
browser=$(browser)
[ -n "$browser" ] || { echo 'no browser found: install chromium-headless-shell' >&2; exit 1; }

if [ -z "${CNN_GPU:-}" ]; then
  cargo build --release --locked
  CNN_GPU=${CARGO_TARGET_DIR:-target}/release/cnn-gpu
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
train() {
  "$CNN_GPU" train --backend cpu --dataset digits --limit 2000 --epochs 2 --verbose 0 "$@" >/dev/null
}
train --validation-split 0.1 --out "$folder/run"
train --seed 2 --learning-rate 0.002 --out "$folder/other"
"$CNN_GPU" report "$folder/run" --backend cpu --points 100 >/dev/null
"$CNN_GPU" report "$folder/run" "$folder/other" --out "$folder/comparison.html" >/dev/null

# The pictures that a report must have, apart from those of classes and mistakes.
figures='loss accuracy learning-rate confusion-matrix f1 reliability network-diagram filter-grid image probabilities
  layer-01-conv2d layer-08-dense-1 pca tsne operation-times'
compared='loss val-loss accuracy val-accuracy learning-rate'

# check FILE WIDTH SCHEME ID...: a page around the report counts what the browser makes of it.
check() {
  local file=$1 width=$2 scheme=$3
  shift 3
  cat >"$folder/check.html" <<END
<!doctype html><meta charset="utf-8"><title>check</title>
<iframe id="report" src="$file" width="$width" height="900"></iframe>
<script>
  addEventListener('load', () => {
    const page = document.getElementById('report').contentDocument;
    const count = (what) => page.querySelectorAll(what).length;
    const expected = '$*'.split(/\s+/);
    const missing = expected.filter((id) => !page.querySelector('figure#' + id + ' > :is(svg, img)'));
    const empty = [...page.images].filter((image) => !image.naturalWidth).length;
    const flat = [...page.querySelectorAll('svg')].filter((chart) => !chart.getBoundingClientRect().height).length;
    const wide = page.documentElement.scrollWidth - page.documentElement.clientWidth;
    const fetched = page.defaultView.performance.getEntriesByType('resource')
      .filter((entry) => !entry.name.startsWith('data:')).length;
    document.body.append('found figures ' + count('figure') + ' missing ' + (missing.join(',') || 0) +
      ' empty ' + (empty + flat) + ' wide ' + wide + ' fetched ' + fetched + ' scripts ' + count('script') + ' end');
  });
</script>
END
  local flags=(--headless --no-sandbox --disable-gpu --allow-file-access-from-files --enable-logging=stderr
    --user-data-dir="$folder/profile" --window-size=1400,1000 --virtual-time-budget=20000)
  [ "$scheme" = light ] || flags+=(--blink-settings=preferredColorScheme=0)
  "$browser" "${flags[@]}" --dump-dom "file://$folder/check.html" >"$folder/dom" 2>"$folder/log"
  local found
  found=$(grep -o 'found figures [0-9].* end' "$folder/dom" | tail -n 1 || true)
  echo "$file, $width pixels, $scheme: $found"
  if grep -E 'CONSOLE' "$folder/log"; then
    echo 'the console is not empty' >&2
    exit 1
  fi
  case "$found" in
    *" missing 0 empty 0 wide 0 fetched 0 scripts 0 end") ;;
    *) echo 'expected every picture, none empty, nothing wide, fetched or scripted' >&2; exit 1 ;;
  esac
}
for scheme in light dark; do
  for width in 400 1200; do
    # shellcheck disable=SC2086
    check run/report.html "$width" "$scheme" $figures
    # shellcheck disable=SC2086
    check comparison.html "$width" "$scheme" $compared
  done
done
