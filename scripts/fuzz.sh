#!/usr/bin/env bash
# Coverage-guided fuzzing of one parser: scripts/fuzz.sh NAME [SECONDS] (60 by default). Without a name: the names.
# Only the project's own code is instrumented, so dependencies are not built anew; a stable toolchain is enough. The corpus
# grows in data/fuzz/NAME; an input that makes a panic, a hang (20 s) or 2 GiB of memory stays in data/fuzz/NAME-found.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"

if [ "${ZHIYIN_FUZZ_WRAPPED:-}" = 1 ]; then # cargo calls this script in place of rustc for the project's own crates
  compiler="$1"
  shift
  exec "$compiler" "$@" --cfg fuzzing -Coverflow-checks=yes -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
fi

case "${1:-}" in -h | --help) sed -n '2,4p' "$0" | sed 's/^# //'; exit 0 ;; esac
ZHIYIN_FUZZ_WRAPPED=1 RUSTC_WORKSPACE_WRAPPER="$PWD/scripts/fuzz.sh" cargo build --release -p zhiyin-fuzz
fuzzer="$CARGO_TARGET_DIR/release/zhiyin-fuzz"
name="${1:-}"
if [ -z "$name" ]; then
  "$fuzzer" || true
  echo "usage: scripts/fuzz.sh NAME [SECONDS]" >&2
  exit 2
fi
mkdir -p "data/fuzz/$name" "data/fuzz/$name-found"
ZHIYIN_FUZZ="$name" ZHIYIN_FUZZ_SEEDS="data/fuzz/$name" exec "$fuzzer" "data/fuzz/$name" \
  -max_total_time="${2:-60}" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="data/fuzz/$name-found/"
