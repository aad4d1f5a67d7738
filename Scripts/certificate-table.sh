#!/usr/bin/env bash
# Sets measured gradients beside the certificate, for the paper's CNN and the branching net at T = 5, 20, 100, in Double
# and in Float, and checks: with one depth the measured shortfall is 1 − c_d to two digits; with several it stays within
# the bound and is ‖Σ (1 − c_d) g^(d)‖ to two digits; or both are below the rounding floor (1e-13 and 1e-4).
set -euo pipefail
cd "$(dirname "$0")/.."
swift build -c release --product pcgraph >/dev/null
for backend in reference cpu; do
  for model in cnn branching; do
    for steps in 5 20 100; do
      echo "$model, T = $steps, $backend"
      .build/release/pcgraph gradients --model "$model" --dataset "${1:-digits}" ${2:+--data-dir "$2"} --batch-size 4 \
        --steps "$steps" --backend "$backend" --format json
    done
  done
done | python3 -c '
import json, sys

floor, failures, rows = 1e-13, 0, 0
for line in sys.stdin:
    if not line.startswith("{"):
        print(line, end="")
        floor = 1e-13 if "reference" in line else 1e-4
        continue
    row = json.loads(line)
    bound, measured, exact = row["bound"], row["measured"], row["exact"]
    target = bound if len(row["depths"]) == 1 else exact
    agree = max(measured, target) < floor or abs(measured - target) <= 0.005 * target
    ok = agree and measured <= bound * (1 + 1e-9) + floor
    rows, failures = rows + 1, failures + (not ok)
    print(f"  {row['"'parameter'"']:18} depths {row['"'depths'"']!s:20} bound {bound:9.3e} measured {measured:9.3e} "
          f"exact {exact:9.3e} {'"'ok'"' if ok else '"'FAILS'"'}")
print(f"{rows} rows, {failures} fail")
sys.exit(failures > 0)
'
