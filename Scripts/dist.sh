#!/usr/bin/env bash
# Builds one `pcgraph` that needs no Swift where it runs, and learns the digits with it in a Debian root that has none:
#
#   Scripts/dist.sh                # leaves dist/pcgraph
#
# The root is made by debootstrap, and kept in .build-dist; both it and chroot need to be root. Where debootstrap is missing,
# or somebody else runs this, the program runs here with an empty environment instead, and the script says so.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=.build-dist
swift build -c release --product pcgraph --static-swift-stdlib --scratch-path $scratch
mkdir -p dist
strip -o dist/pcgraph $scratch/release/pcgraph

echo "== what dist/pcgraph needs"
ls -l dist/pcgraph | awk '{ printf "  %.0f MB\n", $5 / 1e6 }'
objdump -p dist/pcgraph | awk '$1 == "NEEDED" { print "  " $2 }'
echo "  glibc $(objdump -T dist/pcgraph | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1 | cut -d_ -f2) or newer"
if objdump -p dist/pcgraph | grep -E 'NEEDED.*(swift|Foundation)'; then
  echo "dist/pcgraph still needs a Swift library." >&2
  exit 1
fi

job=(compare --rules fixed,standard,backprop --model branching --dataset digits --epochs 15 --batch-size 32
  --learning-rate 0.005 --seeds 3)
root=$PWD/$scratch/root
if [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null; then
  if [ ! -e "$root/complete" ]; then
    echo "== making a Debian root"
    rm -rf "$root"
    mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME)' | awk '/debian / { print $1; exit }')
    debootstrap --variant=minbase bookworm "$root" $mirror >$scratch/debootstrap.log || {
      tail -5 $scratch/debootstrap.log >&2
      exit 1
    }
    touch "$root/complete"
  fi
  if find "$root" -name 'libswift*' | grep .; then
    echo "$root has Swift." >&2
    exit 1
  fi
  cp dist/pcgraph "$root/usr/local/bin/pcgraph"
  rm -rf "$root/demo"
  # Swift reads a program's arguments from /proc.
  mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
  trap 'umount "$root/proc"' EXIT
  echo "== make demo's job in $(cat "$root/etc/debian_version" | sed 's/^/Debian /'), without Swift"
  chroot "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin pcgraph "${job[@]}" --output /demo
  results=$root/demo
else
  echo "== make demo's job here: a root without Swift needs debootstrap, and to be root"
  rm -rf $scratch/demo
  env -i PATH=/usr/bin:/bin dist/pcgraph "${job[@]}" --output $scratch/demo
  results=$scratch/demo
fi
test -s "$results/report.html"
echo "Written to $results: report.html."
