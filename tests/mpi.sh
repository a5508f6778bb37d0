#!/usr/bin/env bash
# Trains under Open MPI with 1 to 4 ranks, which must give the same bytes, also when the run is resumed with another
# number of them; a rank that dies, hangs or differs must end all in time. Installs what it needs. With
# CNN_GPU_MPI_PROGRAM it tests that program, and builds and lints nothing.
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
  release=(--release --locked --features mpi --config 'profile.release.package.cnn-gpu.opt-level=1')
  cargo clippy "${release[@]}" -- -D warnings
  cargo build "${release[@]}"
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
# The hash of the weights, the scores, and the history without times.
essence() {
  tail -n 1 "$1.out" | jq -er '.weights_hash, .test_loss, .test_accuracy'
  cut -d, -f1-6 "$1/history.csv"
}
same() {
  local one other
  one=$(essence "$1") && other=$(essence "$2") || fail "$1 or $2 has no result"
  [ "$one" = "$other" ] || fail "$1 and $2 differ: $one $other"
}
# What the last command wrote to standard error has one error, this one.
one_error() { [ "$(grep -c '^error: ' "$1")" = 1 ] && grep -q "^error: .*$2" "$1" || fail "not one error: $(cat "$1")"; }

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
started=$SECONDS
ranks 3 bash -c 'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then
    "$@" & child=$!
    until [ -e killed/checkpoint.safetensors ]; do sleep 0.05; done
    kill -9 $child
    kill -9 $$
  fi
  exec "$@"' _ "$program" "${long[@]}" --out killed --checkpoint-steps 1 >killed.out 2>killed.err &&
  fail 'the others went on without a dead rank'
[ $((SECONDS - started)) -lt 60 ] || fail 'a dead rank was noticed too late'
[ "$(wc -l <killed/history.csv)" -lt "$(wc -l <whole/history.csv)" ] || fail 'the run ended before the rank died'
ranks 2 "$program" train --resume killed --verbose 0 --format json >killed.out
same whole killed
# What the ranks wrote, a single process evaluates to the same scores.
"$program" evaluate cpu-3 --backend cpu --format json >evaluated.out 2>evaluated.err
jq -e --slurpfile run cpu-3/result.json '.weights_hash == $run[0].weights_hash and .accuracy == $run[0].test_accuracy
  and (.loss - $run[0].test_loss | fabs) < 1e-6' evaluated.out >evaluated.verdict || fail "$(cat evaluated.out)"
echo 'a dead rank: the run is resumed to the same bytes'

# A rank that hangs; the one of four that others wait for only through a third one is named too.
for hung in '2 1' '4 3'; do
  read -r n rank <<<"$hung"
  started=$SECONDS
  ranks "$n" bash -c 'if [ "$OMPI_COMM_WORLD_RANK" = "$1" ]; then
      shift
      "$@" & child=$!
      until [ -e hung/checkpoint.safetensors ]; do sleep 0.05; done
      kill -STOP $child
      sleep 100
    fi
    shift
    exec "$@"' _ "$rank" "$program" "${train[@]}" --backend cpu --epochs 500 --out hung --checkpoint-steps 1 \
    --rank-timeout 3 >hung.out 2>hung.err && fail 'the others waited for a hung rank'
  [ $((SECONDS - started)) -lt 60 ] || fail 'a hung rank was noticed too late'
  one_error hung.err "rank $rank \(sent nothing\|took no message\) for 3 s"
  [ -e hung/checkpoint.safetensors ] || fail 'the checkpoint is gone'
  rm -r hung
done
echo 'a hung rank: one line, in time'

# A rank with other options, and one with another program.
sed 's/units = 10/units = 10, use_bias = false/' net.toml >other.toml
for option in '--seed 7' '--limit 240' '--model other.toml' '--batch-size 40' '--augment cifar'; do
  # The last of two equal options would be an error.
  read -r name value <<<"$option"
  arguments=()
  skip=false
  for argument in "${train[@]}"; do
    if $skip; then skip=false; elif [ "$argument" = "$name" ]; then skip=true; else arguments+=("$argument"); fi
  done
  rest=''
  [ "$name" = --seed ] || rest=$(printf '%s\n' "${train[@]}" | grep -A 1 -x -e "$name" | tail -n 1)
  ranks 2 bash -c 'case "$OMPI_COMM_WORLD_RANK" in
      1) exec "${@:4}" "$1" "$3" ;;
      *) exec "${@:4}" ${2:+"$1" "$2"} ;;
    esac' _ "$name" "$rest" "$value" "$program" "${arguments[@]}" --backend cpu --out other >other.out 2>other.err &&
    fail "ranks trained together of which one has $option"
  one_error other.err 'rank 1 has another '
  [ ! -e other ] || fail 'a refused run left a folder'
done
cp "$program" program
printf x >>program
ranks 2 bash -c 'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then exec ./program "${@:2}"; fi; exec "$@"' \
  _ "$program" "${train[@]}" --backend cpu --out other >other.out 2>other.err && fail 'other programs trained together'
one_error other.err 'rank 1 has another binary than rank 0'
# And one that cannot read its data.
ranks 2 bash -c 'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then set -- "$@" --weights missing.safetensors; fi; exec "$@"' \
  _ "$program" "${train[@]}" --backend cpu --out other >other.out 2>other.err && fail 'a rank trained without its weights'
one_error other.err 'rank 1.*missing.safetensors'
echo 'ranks that differ are refused'
