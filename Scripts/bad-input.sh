#!/usr/bin/env bash
# Feeds pcgraph every kind of bad input and prints, for each, the exit code and what it says.
# Fails if a run succeeds, is killed by a signal, says more or less than one line (usage and the solver that was chosen apart)
# or leaves a file that no checkpoint explains.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
swift build --package-path "$root" -c release --product pcgraph >&2 || exit 1
pcgraph="$root/.build/release/pcgraph"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
mkdir data foreign
echo theirs >foreign/results.json
echo theirs >file
failures=0

# try WHAT ARGUMENTS…: with the variable `sink`, standard output goes there, or is closed; with `leaves=files` files may stay.
try() {
  local what=$1 before after code lines
  shift
  before=$(find . | sort | sha256sum)
  if [ "${sink:-}" = closed ]; then
    "$pcgraph" "$@" >&- 2>/tmp/bad-input-err.$$
  else
    "$pcgraph" "$@" >"${sink:-/tmp/bad-input-out.$$}" 2>/tmp/bad-input-err.$$
  fi
  code=$?
  after=$(find . | sort | sha256sum)
  sed -i '/^Solver /d' /tmp/bad-input-err.$$
  lines=$(wc -l </tmp/bad-input-err.$$)
  local verdict=""
  case $code in 1 | 2) [ "$lines" = 1 ] || verdict="  ← $lines lines" ;; 64) ;; *) verdict="  ← wrong code" ;; esac
  [ "$before" = "$after" ] || [ "${leaves:-}" = files ] || verdict="$verdict  ← left a file"
  [ -s /tmp/bad-input-out.$$ ] && verdict="$verdict  ← printed results"
  [ -z "$verdict" ] || failures=$((failures + 1))
  printf '%-34s %3d  %s%s\n' "$what" "$code" "$(head -1 /tmp/bad-input-err.$$)" "$verdict"
  rm -f /tmp/bad-input-out.$$ /tmp/bad-input-err.$$
}

# idx FILE FIRST-BYTE DIMENSIONS…: magic number, dimensions, zeros.
idx() {
  local file=$1 first=$2 size=1 d
  shift 2
  printf '\0\0\10\'"$#" >"$file"
  for d in "$@"; do
    printf "\\0\\0\\0\\$(printf %o "$d")" >>"$file"
    size=$((size * d))
  done
  printf "\\$(printf %o "$first")" >>"$file"
  head -c $((size - 1)) /dev/zero >>"$file"
}

printf '%-34s %4s  %s\n' "bad input" code message
echo "--- data files"
cifar=(train --dataset cifar10 --data-dir data --output run)
try "no folder given" train --dataset cifar10 --output run
try "missing files" "${cifar[@]}"
truncate -s 3073 data/data_batch_1.bin
try "truncated file" "${cifar[@]}"
truncate -s 30730001 data/data_batch_1.bin
try "oversized file" "${cifar[@]}"
printf '\12' >data/data_batch_1.bin && truncate -s 30730000 data/data_batch_1.bin
try "label out of range" "${cifar[@]}"
truncate -s 200G data/data_batch_1.bin
try "larger than memory" "${cifar[@]}"
rm data/data_batch_1.bin && mkdir data/data_batch_1.bin
try "a folder in a file's place" "${cifar[@]}"
mnist=(train --dataset mnist --data-dir data --output run)
idx data/train-images-idx3-ubyte 0 4 28 28
printf '\0\0' >data/train-labels-idx1-ubyte
try "truncated header" "${mnist[@]}"
idx data/train-labels-idx1-ubyte 0 3
try "images without labels" "${mnist[@]}"
idx data/train-labels-idx1-ubyte 10 4
try "label out of range" "${mnist[@]}"
printf '\37\213\7\0junk' >data/train-labels-idx1-ubyte
try "damaged gzip" "${mnist[@]}"
{ printf '\0\0\10\1\0\0\0\4' | gzip -c; } >data/train-labels-idx1-ubyte
try "truncated within gzip" "${mnist[@]}"
printf 'not an IDX file' >data/train-labels-idx1-ubyte
try "another format" "${mnist[@]}"
idx data/train-labels-idx1-ubyte 0 4
idx data/t10k-images-idx3-ubyte 0 2 28 28
idx data/t10k-labels-idx1-ubyte 0 2
try "batch larger than the set" "${mnist[@]}"
idx data/train-images-idx3-ubyte 0 4 1 1
idx data/t10k-images-idx3-ubyte 0 2 1 1
try "images too small for the model" "${mnist[@]}" --model cnn --batch-size 2

echo "--- names"
for option in --model=cnnn --model=mpl --dataset=cifar --rule=fixd --solver=stepwsie --loss=crossentropy --optimizer=adm --schedule=cosin --log=tensorbord \
  --reduction=summ --backend=gpu --isa=avx --format=jsn; do
  try "$option" train $option --output run
done

echo "--- settings"
for option in --rate=0 --rate=1.01 --rate=nan --rate=fast --steps=-1 --steps=many --steps=backprop=3 --epochs=0 \
  --max-steps=0 --batch-size=0 --batch-size=1438 --threads=0 --hidden=8, --hidden=0 --hidden=1000000,1000000 \
  --learning-rate=0 --learning-rate=inf --weight-decay=0.1 --average=1 --warm-up=-1 --validation=0 --validation=1.5 \
  --patience=3 --freeze=conv* --group=nothing --group=*.bias:rate=-1 --group=*.bias:decay=0.1 --checkpoint-every=0 \
  --keep=0; do
  try "$option" train $option --output run
done
try "hidden widths of another model" train --model cnn --hidden 8 --output run
try "an instruction set of reference" train --backend reference --isa avx2 --output run
supported=$("$pcgraph" train --isa avx512 --max-steps 1 --hidden 4 >/dev/null 2>&1 && echo yes || echo no)
[ "$supported" = yes ] || try "an instruction set not there" train --isa avx512 --output run
try "a data folder without a name" train --data-dir "" --output run
try "no seeds" compare --seeds 0 --output run
try "seeds beyond 64 bits" compare --seed 18446744073709551615 --seeds 2 --output run
try "a rule twice" compare --rules fixed,fixed --output run
try "a value for an absent rule" compare --steps standard=3 --output run

echo "--- data of one's own"
printf '1,2,0\n3,x,1\n' >own.csv
printf 'PK\003\004 no archive' >own.npz
try "a word among numbers" train --data own.csv --output run
try "a column that is not there" train --data own.csv --label-column species --output run
try "a damaged archive" train --data own.npz --output run
try "an unknown kind of file" train --data own.txt --output run
try "labels without examples" train --labels y.npy --output run
try "an unknown augmentation" train --augment spin --output run
try "a built-in data set fetched" data fetch digits --data-dir .
try "an unknown data set fetched" data fetch imagenet --data-dir .
printf '\223NUMPY\1\0' >own.npy
printf '1234567' >own.safetensors
try "a truncated array" train --data own.npy --labels own.npy --output run
try "truncated safetensors" train --data own.safetensors --output run
rm own.csv own.npz own.npy own.safetensors

echo "--- configuration"
printf 'modell: mlp\n' >unknown.yml
printf 'steps: many\n' >word.yml
printf 'steps: [1\n' >broken.yml
printf '%s\n' '- 1' >list.yml
try "a misspelt option" train --config unknown.yml --output run
try "a word for a number" train --config word.yml --output run
try "no YAML" train --config broken.yml --output run
try "a list" train --config list.yml --output run
try "no file" train --config missing.yml --output run
rm ./*.yml
try "less memory than it takes" train --memory-limit 1K --output run
try "no amount of memory" train --memory-limit lots --output run

echo "--- runs that diverge"
try "in the feedforward pass" train --model cnn --learning-rate 1e12 --output run
try "in inference" train --model residual --rule standard --rate 1 --steps 200 --output run
try "in the last update" train --hidden 8 --optimizer sgd --learning-rate 3e38 --reduction sum --batch-size 256 \
  --max-steps 1 --output run
try "in evaluation" train --hidden 8 --loss squared-error --optimizer sgd --learning-rate 1e25 --max-steps 1
try "in the gradients compared" train --model branching --rule standard --optimizer sgd --learning-rate 1e3 \
  --batch-size 8 --max-steps 1
try "in a table of gradients" gradients --model residual --rule standard --rate 1 --steps 200 --output run

echo "--- output"
try "a file in the folder's place" train --output file
try "a folder that cannot be made" train --output file/below
try "no name" train --output ""
try "somebody else's results" train --output foreign
"$pcgraph" train --hidden 2 --max-steps 1 --output ours >/dev/null 2>&1
echo mine >ours/report.html
try "a file of the user's beside ours" train --hidden 2 --max-steps 1 --output ours
rm ours/report.html && ln -s nowhere ours/report.html
try "a link that leads nowhere" train --hidden 2 --max-steps 1 --output ours
rm ours/report.html ours/results.json && mkdir ours/results.json
try "a folder in the results' place" train --hidden 2 --max-steps 1 --output ours
try "a drawing that cannot be written" inspect --dot graph.dot --svg missing/graph.svg
try "two drawings in one file" inspect --dot graph --svg ./graph
try "two drawings on one stream" inspect --dot - --svg -
try "a drawing among JSON lines" inspect --dot - --format json

echo "--- runs that go on"
run=(train --hidden 2 --max-steps 2 --output kept)
try "no folder" train --resume
try "checkpoints of no run" train --checkpoint-every 5
try "a folder without a run" train --hidden 2 --resume --output none
"$pcgraph" "${run[@]}" >/dev/null 2>&1
try "a second run in a folder" "${run[@]}"
try "other settings" train --hidden 3 --optimizer sgd --seed 5 --output kept --resume
(
  failures=0
  flock 9
  try "two runs at once" "${run[@]}" --resume
  exit "$failures"
) 9>>kept/checkpoints/lock || failures=$((failures + 1))
cp kept/checkpoints/last.safetensors whole
printf 'X' | dd of=kept/checkpoints/last.safetensors bs=1 seek=900 conv=notrunc status=none
try "a damaged checkpoint" "${run[@]}" --resume
head -c 1000 whole >kept/checkpoints/last.safetensors
try "a truncated checkpoint" "${run[@]}" --resume
sed 's/\\"format\\":1/\\"format\\":9/' whole >kept/checkpoints/last.safetensors
try "a checkpoint of a newer format" "${run[@]}" --resume
cp kept/parameters.safetensors kept/checkpoints/last.safetensors
try "no checkpoint in its place" "${run[@]}" --resume
cp whole kept/checkpoints/last.safetensors
# Through a pipe: the limit would end the script itself where its output is a file.
(
  failures=0
  ulimit -f 4
  try "a file that cannot grow" train --hidden 2 --max-steps 9 --output kept --resume
  exit "$failures"
) | cat
failures=$((failures + PIPESTATUS[0]))
if [ "$(id -u)" = 0 ] && mkdir tiny && mount -t tmpfs -o size=150k tmpfs tiny 2>/dev/null; then
  leaves=files try "a disk that fills up" train --hidden 64 --checkpoint-every 1 --output tiny/run
  umount tiny
fi
rmdir tiny 2>/dev/null
(
  while [ ! -e gone/checkpoints/last.safetensors ]; do sleep 0.01; done
  mv gone moved
) &
leaves=files try "a folder that vanishes" train --hidden 2 --epochs 500 --checkpoint-every 1 --output gone
wait
rm -rf moved
mkdir -p theirs/checkpoints
try "somebody else's checkpoints" train --hidden 2 --output theirs
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  mkdir sealed && chmod 755 . sealed
  real=$pcgraph
  cp "$real" nobody-pcgraph && chmod 755 nobody-pcgraph
  pcgraph="setpriv --reuid=65534 --regid=65534 --clear-groups $place/nobody-pcgraph"
  try_as_nobody() { local executable=$pcgraph; pcgraph=./as-nobody; try "$@"; pcgraph=$executable; }
  printf '#!/bin/sh\nexec %s "$@"\n' "$pcgraph" >as-nobody && chmod 755 as-nobody
  try_as_nobody "a folder without permission" train --hidden 2 --output sealed
  pcgraph=$real
fi

echo "--- trained nets"
printf '1,2,three\n' >words.csv
printf '1,2,3\n4,5\n' >ragged.csv
printf '1,2,3\n' >narrow.csv
awk 'BEGIN {for (i = 1; i < 64; i++) printf "1,"; print "nan"}' >nan.csv
: >empty.csv
try "no run" evaluate none
try "a folder without checkpoints" evaluate theirs
try "a file that is none" evaluate file
try "parameters without a model" evaluate kept/parameters.safetensors
try "images of another shape" evaluate kept --dataset mnist --data-dir data
try "an unknown part" evaluate kept --part tset
for input in words ragged narrow nan empty missing; do
  try "$input.csv" predict kept --input $input.csv --output out.npy
done
try "another ending" predict kept --input words.txt --output out.npy
try "no array" predict kept --input theirs/x.npy --output out.npy
awk 'BEGIN {for (i = 1; i < 64; i++) printf "1,"; print "1"}' >one.csv
try "outputs that cannot be written" predict kept --input one.csv --output missing/out.npy

echo "--- results that cannot be printed"
sink=/dev/full try "a full standard output" gradients --hidden 2 --output run
sink=/dev/full try "a full standard output" train --hidden 2 --max-steps 1 --format json
sink=closed try "a closed standard output" train --hidden 2 --max-steps 1 --output run

echo "--- wrong flags"
try "an unknown flag" train --bogus
try "an unknown command" trian
try "no number" train --epochs many
echo
[ "$failures" = 0 ] && echo "every input got one sentence and left nothing" || echo "$failures went wrong"
exit "$((failures > 0))"
