#!/usr/bin/env bash
# Measures the peak private memory of wrun and its workers together, while they make thumbnails of many images.
#
#   ./measure.sh [IMAGE]      uses 20, 100 and 400 copies of it; needs wrun in the PATH, and `make guests`
set -euo pipefail
image=$(realpath "${1:-$(dirname "$0")/sunset.jpg}")
module=$(realpath "$(dirname "$0")/../guests/target/wasm/thumbnail.wasm")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Compiles the module, which happens once, in a separate process.
wrun map "$module" --files "$image" --raw >"$dir/one.png"

for count in 20 100 400; do
    mkdir "$dir/$count"
    for ((k = 0; k < count; k++)); do cp "$image" "$dir/$count/$k.${image##*.}"; done
    wrun map "$module" --jobs 2 --files "$dir/$count"/* --results "$dir/results-$count" &
    wrun=$!
    peak=0
    while kill -0 "$wrun" 2>/dev/null; do
        pids="$wrun $(cat /proc/"$wrun"/task/*/children 2>/dev/null || true)"
        # A worker may have ended in the meantime.
        kib=$(for pid in $pids; do cat "/proc/$pid/smaps_rollup" 2>/dev/null || true; done |
            awk '/^Private_Dirty:/ { kib += $2 } END { print kib + 0 }')
        ((kib > peak)) && peak=$kib
        read -rt 0.01 <> <(:) || true
    done
    wait "$wrun"
    printf '%4d images: at most %d MiB of private memory\n' "$count" "$((peak >> 10))"
done
