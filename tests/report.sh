#!/usr/bin/env bash
# Opens a report in Chromium, installed if it is missing: every chart is there, the console stays empty, no
# address is fetched, and nothing is wider than a phone, in light and in dark.
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
"$CNN_GPU" train --backend cpu --dataset digits --limit 2000 --epochs 2 --validation-split 0.1 --verbose 0 \
  --out "$folder/run" >/dev/null
"$CNN_GPU" report "$folder/run" --backend cpu --points 100 >/dev/null

# A page around the report counts what the browser makes of it, at the width of a phone.
cat >"$folder/check.html" <<'END'
<!doctype html><meta charset="utf-8"><title>check</title>
<iframe id="report" src="run/report.html" width="400" height="900"></iframe>
<script>
  addEventListener('load', () => {
    const page = document.getElementById('report').contentDocument;
    const count = (what) => page.querySelectorAll(what).length;
    const empty = [...page.images].filter((image) => !image.naturalWidth).length;
    const flat = [...page.querySelectorAll('svg')].filter((chart) => !chart.getBoundingClientRect().height).length;
    const wide = page.documentElement.scrollWidth - page.documentElement.clientWidth;
    const fetched = page.defaultView.performance.getEntriesByType('resource')
      .filter((entry) => !entry.name.startsWith('data:')).length;
    document.title = `figures ${count('figure')} charts ${count('svg')} images ${page.images.length} ` +
      `empty ${empty + flat} wide ${wide} fetched ${fetched} scripts ${count('script')}`;
    document.body.append(document.title);
  });
</script>
END
for scheme in light dark; do
  flags=(--headless --no-sandbox --disable-gpu --allow-file-access-from-files --enable-logging=stderr
    --user-data-dir="$folder/profile" --virtual-time-budget=20000)
  [ "$scheme" = light ] || flags+=(--blink-settings=preferredColorScheme=0)
  "$browser" "${flags[@]}" --dump-dom "file://$folder/check.html" >"$folder/dom" 2>"$folder/log"
  found=$(grep -o 'figures [0-9].*scripts [0-9]*' "$folder/dom" | head -n 1 || true)
  echo "$scheme: $found"
  if grep -E 'CONSOLE' "$folder/log"; then
    echo 'the console is not empty' >&2
    exit 1
  fi
  expected=$(grep -c '<figure ' "$folder/run/report.html")
  case "$found" in
    "figures $expected "*" empty 0 wide 0 fetched 0 scripts 0") ;;
    *) echo "expected $expected figures, none empty, nothing wide, fetched or scripted" >&2; exit 1 ;;
  esac
done
