#!/usr/bin/env bash
# Kills a hundred trainings by SIGKILL at times uniform over the run, resumes each, and compares the final parameters with those
# of a run that nobody stopped, bit for bit. Every training step writes a checkpoint.
#
#   Scripts/kill-check.sh [RUNS] [SEED]
#
# Fails unless all are equal, at least 80 % resume after the first step, and at least 10 % of the kills fall while a checkpoint is
# half written. Then shows with strace, where it is installed, that a checkpoint is flushed before it gets its name.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
runs=${1:-100}
RANDOM=${2:-1}
swift build --package-path "$root" -c release --product pcgraph >&2 || exit 1
pcgraph="$root/.build/release/pcgraph"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
train=("$pcgraph" train --hidden 8 --epochs 3 --batch-size 64 --optimizer adam --threads 1 --validation 0.1 --schedule cosine
  --average 0.9 --checkpoint-every 1 --keep 2)

now() { date +%s%N; }
start=$(now)
"${train[@]}" --output whole >/dev/null 2>&1 || exit 1
length=$(($(now) - start))
whole=$(sha256sum <whole/parameters.safetensors)
equal=0 later=0 between=0 finished=0 unstarted=0
for run in $(seq "$runs"); do
  # 30 random bits, so that every moment of the run is as likely.
  delay=$((length * (RANDOM * 32768 + RANDOM) / (32768 * 32768)))
  "${train[@]}" --output run >/dev/null 2>&1 &
  pid=$!
  sleep "$(printf '%d.%09d' $((delay / 1000000000)) $((delay % 1000000000)))"
  kill -KILL "$pid" 2>/dev/null || finished=$((finished + 1))
  wait "$pid" 2>/dev/null
  if compgen -G 'run/checkpoints/.*.safetensors.*' >/dev/null; then between=$((between + 1)); fi
  if [ -e run/checkpoints/last.safetensors ]; then later=$((later + 1)); fi
  if [ -e run/checkpoints/lock ]; then
    "${train[@]}" --output run --resume >out 2>&1
  else
    # Killed before it began: there is nothing to go on with.
    unstarted=$((unstarted + 1))
    "${train[@]}" --output run >out 2>&1
  fi
  if [ "$(sha256sum <run/parameters.safetensors)" = "$whole" ]; then
    equal=$((equal + 1))
  else
    echo "run $run, killed after $delay ns, ended otherwise: $(tail -1 out)"
  fi
  rm -rf run
done
echo "$runs runs of $((length / 1000000)) ms: $equal ended in the same parameters, $later resumed after the first step," \
  "$between were killed while a temporary file existed, $finished had ended before, $unstarted had not begun"
[ "$equal" = "$runs" ] && [ $((later * 10)) -ge $((runs * 8)) ] && [ $((between * 10)) -ge "$runs" ]
code=$?

if command -v strace >/dev/null; then
  strace -f -o trace -e trace=openat,write,fsync,rename,link "${train[@]}" --max-steps 2 --output traced >/dev/null 2>&1
  # The calls from the first checkpoint's temporary file to its folder's flush.
  awk '/openat.*\.last\.safetensors/ {on = 1} on && /openat|fsync|rename|link/ {print} /rename.*last/ {n = 3} n && --n == 0 {exit}' trace |
    sed 's/^[0-9]* *//' | cut -c1-150
  awk '/fsync/ {flushed = 1} /rename\(.*last\.safetensors/ {if (!flushed) bad = 1; seen = 1; flushed = 0} END {exit bad || !seen}' trace ||
    { echo "a checkpoint was renamed before it was flushed"; code=1; }
fi
exit "$code"
