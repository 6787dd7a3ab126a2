#!/usr/bin/env bash
# Installs what the build needs and this machine lacks; does nothing where all is there.
#
#   scripts/setup.sh             what `make build`, `make demo` and `make test` need
#   scripts/setup.sh --e2e       also what the browser test needs: Chromium with a font for Chinese, Node.js, npm
#   scripts/setup.sh --clients   also what the tests with Python clients need: python3-venv
#
# Who needs what: python3 compiles the written data of datasets/; cmake, g++ and make build whisper.cpp, Opus and the TLS
# library; clang and libclang let bindgen read the headers of whisper.cpp; pkg-config looks for installed C libraries; curl is
# for the examples of the README. No protobuf compiler is needed: the Qdrant client carries its generated code.
set -euo pipefail

with_e2e=no
with_clients=no
for argument in "$@"; do
  case "$argument" in
    --e2e) with_e2e=yes ;;
    --clients) with_clients=yes ;;
    -h | --help) sed -n '2,10p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "setup: unknown argument $argument; known are --e2e and --clients" >&2; exit 2 ;;
  esac
done

has() { command -v "$1" >/dev/null 2>&1; }

has_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] && return 0
  compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null && return 0
  compgen -G '/usr/lib/*/libclang*.so*' >/dev/null && return 0
  compgen -G '/usr/lib64/libclang*.so*' >/dev/null
}

missing=()
has cmake || missing+=(cmake)
has clang || missing+=(clang)
has_libclang || missing+=(libclang-dev)
has pkg-config || missing+=(pkg-config)
has make || missing+=(make)
has python3 || missing+=(python3)
has curl || missing+=(curl ca-certificates)
has g++ || missing+=(g++)
if [ "$with_e2e" = yes ]; then
  has chromium || has chromium-browser || has google-chrome || missing+=(chromium)
  has fc-list && [ -n "$(fc-list :lang=zh family | head -1)" ] || missing+=(fontconfig fonts-wqy-microhei)
  has node || missing+=(nodejs)
  has npm || missing+=(npm)
fi
if [ "$with_clients" = yes ]; then
  { has python3 && python3 -c 'import ensurepip' 2>/dev/null; } || missing+=(python3-venv)
fi

if [ ${#missing[@]} -gt 0 ]; then
  if ! has apt-get; then
    echo "setup: there is no apt-get here. Please install (Debian names): ${missing[*]}" >&2
    exit 1
  fi
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! has sudo; then
      echo "setup: not root and no sudo. Please have installed: ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # The lists of a fresh image are often empty; refresh them only when the first try fails.
  if ! "${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null; then
    "${as_root[@]}" apt-get update -q </dev/null
    "${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null
  fi
fi

# The project's data is written in datasets/*/src and *.skeletons.txt and compiled here, so that nothing is kept twice: the
# utterances, the conversations and the exchanges with personal data.
folder=$(cd "$(dirname "$0")/.." && pwd)
compile() { # PROGRAM SOURCES COMPILED...: runs the program where a compiled file is missing or older than its sources
  local program="$1" sources="$2" compiled
  [ -e "$program" ] || return 0 # an image is built without the data
  for compiled in "${@:3}"; do
    if [ ! -e "$compiled" ] || [ -n "$(find "$sources" -newer "$compiled" \( -name '*.txt' -o -name '*.py' \) -print -quit)" ]; then
      python3 "$program" >/dev/null
      return
    fi
  done
}
data="$folder/datasets"
compile "$data/build.py" "$data" "$data"/service-{zh,en}/{train,dev,test}.jsonl
compile "$data/conversations/build.py" "$data/conversations" "$data"/conversations/{zh,en}.jsonl
compile "$data/personal-data/build.py" "$data/personal-data" "$data"/personal-data/{zh,en}.jsonl

if ! has cargo; then
  echo "setup: there is no cargo here. Install Rust 1.95 or newer from https://rustup.rs and open a new shell" >&2
  exit 1
fi
