#!/usr/bin/env bash
# Trains under Open MPI with 1 to 4 ranks, which must give the same bytes, also when the run is resumed with another
# number of them; a rank that dies, hangs or differs must end all in time. Installs what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v mpicc >/dev/null && command -v mpirun >/dev/null || missing+=(libopenmpi-dev openmpi-bin)
# Where other systems keep libclang is for the build to find.
! command -v apt-get >/dev/null || compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null ||
  missing+=(libclang-dev)
command -v jq >/dev/null || missing+=(jq)
# Not `grep -q`, which exits early: ldconfig would then fail, and with it the pipe.
ldconfig -p 2>/dev/null | grep 'libvulkan\.so\.1' >/dev/null &&
  compgen -G '/usr/share/vulkan/icd.d/*.json' >/dev/null || missing+=(mesa-vulkan-drivers libvulkan1)
if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "missing: ${missing[*]}, or what they are called here" >&2
    exit 1
  fi
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/nonexistent}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if [ -n "${CNN_GPU_MPI_PROGRAM:-}" ]; then
  cp "$CNN_GPU_MPI_PROGRAM" "$folder/cnn-gpu"
else
  # With the dependencies of the other scripts' program; small networks need little optimization.
  cargo build --release --locked --features mpi --config 'profile.release.package.cnn-gpu.opt-level=1'
  cp "${CARGO_TARGET_DIR:-target}/release/cnn-gpu" "$folder/cnn-gpu"
fi
cd "$folder"
program=$folder/cnn-gpu

cat >net.toml <<'NET'
name = "net"
input_shape = [28, 28, 1]
layers = [
  { type = "Conv2D", filters = 4, kernel_size = 5, strides = 3, activation = "relu" },
  { type = "BatchNormalization" },
  { type = "Flatten" },
  { type = "Dropout", rate = 0.2 },
  { type = "Dense", units = 10, activation = "softmax" },
]
NET
ranks() {
  local n=$1
  shift
  timeout 120 mpirun --allow-run-as-root --oversubscribe --mca btl_vader_single_copy_mechanism none \
    -n "$n" "$@"
}
train=(train --dataset digits --limit 250 --model net.toml --batch-size 50 --micro-batch 8 --epochs 2
  --validation-split 0.1 --augment mnist --verbose 0 --format json)
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
# The hash of the weights, and the history without times.
essence() {
  sed -n 's/.*"weights_hash":"\([0-9a-f]*\)".*/\1/p' "$1.out"
  cut -d, -f1-6 "$1/history.csv"
  sed -n 's/.*"test_loss":\([^,]*\),.*/\1/p; s/.*"scores":{\(.*\)"seconds".*/\1/p' "$1.out" | tail -n 1
}
same() { [ "$(essence "$1")" = "$(essence "$2")" ] || fail "$1 and $2 differ: $(essence "$1") $(essence "$2")"; }

for backend in cpu vulkan; do
  "$program" "${train[@]}" --backend "$backend" --out "$backend-alone" >"$backend-alone.out"
  for n in 1 2 3 4; do
    ranks "$n" "$program" "${train[@]}" --backend "$backend" --out "$backend-$n" >"$backend-$n.out"
    same "$backend-alone" "$backend-$n"
    echo "$backend, $n ranks: the same bytes"
  done
done

# Each rank but one sends a node of the tree, and receives the root, once per step; `mnist-mlp` has 101,770 parameters.
for n in 1 2 4; do
  ranks "$n" "$program" bench --mpi --model mnist-mlp --batch-size 64 --micro-batch 8 --backend cpu --format json \
    >"bench-$n.out"
  jq -e --argjson n "$n" '.ranks == $n and .traffic.messages == 2 * ($n - 1)
    and .traffic.bytes >= 2 * ($n - 1) * 4 * 101770 and .traffic.bytes <= 2 * ($n - 1) * 4.04 * 101770
    and .traffic.waited < 1 and .seconds > 0 and .predicted_seconds > 0' "bench-$n.out" >bench.verdict ||
    fail "$(cat "bench-$n.out")"
done
echo 'bench --mpi: the bytes of the tree'

# A rank that dies ends all, and the run continues with another number of ranks. It has so many epochs that it cannot
# have ended before.
long=("${train[@]}" --backend cpu --epochs 60)
"$program" "${long[@]}" --out whole >whole.out
ranks 3 bash -c 'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then
    "$@" & child=$!
    until [ -e killed/checkpoint.safetensors ]; do sleep 0.05; done
    kill -9 $child
    kill -9 $$
  fi
  exec "$@"' _ "$program" "${long[@]}" --out killed --checkpoint-steps 1 >killed.out 2>killed.err &&
  fail 'the others went on without a dead rank'
[ "$(wc -l <killed/history.csv)" -lt "$(wc -l <whole/history.csv)" ] || fail 'the run ended before the rank died'
ranks 2 "$program" train --resume killed --verbose 0 --format json >killed.out
same whole killed
echo 'a dead rank: the run is resumed to the same bytes'

# A rank that hangs.
started=$SECONDS
ranks 2 bash -c 'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then
    "$@" & child=$!
    until [ -e hung/checkpoint.safetensors ]; do sleep 0.05; done
    kill -STOP $child
    sleep 100
  fi
  exec "$@"' _ "$program" "${train[@]}" --backend cpu --epochs 500 --out hung --checkpoint-steps 1 \
  --rank-timeout 3 >hung.out 2>hung.err && fail 'the others waited for a hung rank'
[ $((SECONDS - started)) -lt 60 ] || fail 'a hung rank was noticed too late'
grep -q 'rank 1 sent nothing for 3 s' hung.err || fail "$(cat hung.err)"
[ "$(grep -c '^error: ' hung.err)" = 1 ] || fail "$(cat hung.err)"
[ -e hung/checkpoint.safetensors ] || fail 'the checkpoint is gone'
echo 'a hung rank: one line, in time'

# A rank with another option, and one with another program.
ranks 2 bash -c 'exec "$@" --seed "$OMPI_COMM_WORLD_RANK"' _ "$program" "${train[@]}" --backend cpu --out other \
  >other.out 2>other.err && fail 'ranks with other seeds trained together'
grep -q 'rank 1 has another ' other.err || fail "$(cat other.err)"
[ ! -e other ] || fail 'a refused run left a folder'
cp "$program" program
printf x >>program
ranks 2 bash -c 'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then exec ./program "${@:2}"; fi; exec "$@"' \
  _ "$program" "${train[@]}" --backend cpu --out other >other.out 2>other.err && fail 'other programs trained together'
grep -q 'rank 1 has another binary than rank 0' other.err || fail "$(cat other.err)"
echo 'ranks that differ are refused'
