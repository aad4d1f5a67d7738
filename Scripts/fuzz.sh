#!/usr/bin/env bash
# Fuzzes every parser of files from outside with libFuzzer and AddressSanitizer:
#   Scripts/fuzz.sh [-runs=1000000 | -max_total_time=60] [parser …]
# By default a minute for each, as many at once as there are processors. Seeds are small real files, made by
# Scripts/make-fuzz-seeds.py. A finding is left in .build-fuzz/findings and ends the script with status 1.
set -euo pipefail
cd "$(dirname "$0")/.."
limit=-max_total_time=60
[[ "${1:-}" == -* ]] && { limit=$1; shift; }
parsers=("$@")
((${#parsers[@]})) || mapfile -t parsers < <(grep -o '@_cdecl("pc_fuzz_[a-z0-9_]*' Sources/PCFuzzing/FuzzTargets.swift | sed 's/.*pc_fuzz_//')

scratch=.build-fuzz
mkdir -p $scratch/findings $scratch/programs
PC_FUZZ=1 swift build -c release --product PCFuzzing --scratch-path $scratch -Xswiftc -sanitize=fuzzer,address \
  -Xcc -fsanitize=address >/dev/null
python3 Scripts/make-fuzz-seeds.py $scratch/seeds
for parser in "${parsers[@]}"; do
  main=$scratch/programs/$parser.swift
  cat >"$main" <<SWIFT
@_silgen_name("pc_fuzz_$parser") func target(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt
@_cdecl("LLVMFuzzerTestOneInput") public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt { target(bytes, count) }
SWIFT
  swiftc -O -parse-as-library -sanitize=fuzzer,address -use-ld=lld "$main" -o "$scratch/programs/$parser" \
    $scratch/release/libPCFuzzing.a -lz
  mkdir -p "$scratch/corpus/$parser" "$scratch/seeds/$parser"
done

fuzz() {
  local parser=$1 status=0
  SWIFT_BACKTRACE=enable=no "$scratch/programs/$parser" "$limit" -rss_limit_mb=512 -malloc_limit_mb=256 -max_len=4096 \
    -print_final_stats=1 -artifact_prefix="$scratch/findings/$parser-" "$scratch/corpus/$parser" "$scratch/seeds/$parser" \
    >"$scratch/$parser.log" 2>&1 || status=1
  # One piece of output for each parser, though several run at once.
  echo "== $parser
$(grep -E 'stat::number_of_executed_units|stat::peak_rss_mb|SUMMARY|Fatal error' "$scratch/$parser.log" | sed 's/^/  /')"
  return $status
}
export -f fuzz
export scratch limit
printf '%s\n' "${parsers[@]}" | xargs -P "$(nproc)" -I {} bash -c 'fuzz {}'
