#!/usr/bin/env bash
# Checks what a build needs and installs what Debian can: Swift, and the header of zlib, by which gzipped data are read.
set -euo pipefail
if ! command -v swift >/dev/null; then
  echo "Swift is missing: install Swift 6.3 from swift.org and put its bin folder into PATH." >&2
  exit 1
fi
compiler=$(command -v clang || command -v cc || true)
has_zlib() {
  if [ -n "$compiler" ]; then "$compiler" -E -include zlib.h -x c /dev/null >/dev/null 2>&1; else [ -e /usr/include/zlib.h ]; fi
}
if ! has_zlib; then
  echo "zlib's header is missing; installing zlib1g-dev." >&2
  if ! command -v apt-get >/dev/null; then
    echo "This system has no apt-get: install zlib with its header by other means." >&2
    exit 1
  fi
  sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  $sudo apt-get install -y zlib1g-dev || { $sudo apt-get update && $sudo apt-get install -y zlib1g-dev; }
fi
