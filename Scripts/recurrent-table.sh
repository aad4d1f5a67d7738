#!/usr/bin/env bash
# Prints, for RNN, GRU and LSTM (projected ones, stacks, both directions, ragged batches), how far the gradient of each
# parameter is from PyTorch's, ‖ours − PyTorch's‖ / ‖PyTorch's‖: by backprop and by the time-reversed schedule with T = 600,
# in Double and in Float. The test behind it allows 1e-10 and 1e-5; PyTorch's numbers are in the test's fixtures
# (Scripts/make-fixtures.py).
set -euo pipefail
cd "$(dirname "$0")/.."
echo '| network | parameter | backprop, Double | fixed, Double | backprop, Float | fixed, Float |'
echo '|---|---|---|---|---|---|'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
PC_GRADIENT_TABLE=1 swift test -c release --filter RecurrentTests/agreesWithPyTorch >"$log" 2>&1 || status=$?
grep '^|' "$log" | sort
grep 'Test run with' "$log"
exit "$status"
