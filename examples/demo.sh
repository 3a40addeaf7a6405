#!/usr/bin/env bash
# Counts the words of 128 MiB of real text and checks the result with standard tools. `make demo` runs it; it needs the
# `wrun` binary and the example guests.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

bytes=$((128 << 20))
text=target/demo/rust-docs.html
table=target/demo/words.txt
check=target/demo/words-checked.txt
wrun=target/release/wrun
module=examples/guests/target/wasm/wordcount.wasm

fail() {
    echo "demo: $*" >&2
    exit 1
}

for needed in "$wrun" "$module"; do
    [ -f "$needed" ] || fail "$needed is missing: run \`make demo\`"
done

# The text: the pages of the Rust toolchain's HTML documentation, concatenated and cut at 128 MiB. Kept for the next run.
if [ ! -f "$text" ] || [ "$(wc -c < "$text")" -ne "$bytes" ]; then
    docs=$(rustc --print sysroot)/share/doc/rust/html
    if [ ! -d "$docs" ]; then
        echo "The text is the documentation that comes with Rust; rustup adds it now."
        rustup component add rust-docs
    fi
    mkdir -p "$(dirname "$text")"
    # `head` stops before the pages end, which kills the writer with SIGPIPE: only the size shows whether all went well.
    { find "$docs" -name '*.html' -print0 | sort -z | xargs -0 cat || true; } 2> /dev/null | head -c "$bytes" > "$text.new"
    got=$(wc -c < "$text.new")
    [ "$got" -eq "$bytes" ] || fail "$docs has only $got bytes of text, but $bytes are needed"
    mv "$text.new" "$text"
fi

# Sets `seconds` to how long the command takes.
timed() {
    local start=$EPOCHREALTIME
    "$@"
    seconds=$(awk -v start="$start" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.2f", end - start }')
}

count_with_wrun() {
    "$wrun" map "$module" --split 16M "$text" --reduce merge > "$table"
}

count_with_sort() {
    # `grep` drops the empty line before the first word; it fails if there are no words at all.
    tr -cs '[:alnum:]' '\n' < "$text" | { grep . || true; } | sort | uniq -c | awk '{ print $2, $1 }' > "$check"
}

echo "Text:  $text, $((bytes >> 20)) MiB: the HTML documentation of the Rust toolchain"
echo
echo "\$ wrun map wordcount.wasm --split 16M $(basename "$text") --reduce merge > $(basename "$table")"
timed count_with_wrun
echo "took $seconds s (the first run also compiles the module); $(wc -l < "$table") different words, the most frequent:"
echo
sort -k2,2nr -k1,1 "$table" | awk 'NR <= 10 { printf "  %9d  %s\n", $2, $1 }'
echo
echo "\$ tr -cs '[:alnum:]' '\\n' < $(basename "$text") | grep . | sort | uniq -c | awk '{ print \$2, \$1 }'"
timed count_with_sort
echo "took $seconds s"
echo
if ! cmp "$table" "$check"; then
    fail "THE RESULTS DIFFER: see $table (wrun) and $check (tr, sort and uniq)"
fi
echo "The results are identical ($(wc -c < "$table") bytes)."
