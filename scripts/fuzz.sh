#!/usr/bin/env bash
# Fuzzes the native decoder for FUZZ_S seconds (600), having seen to clang with libFuzzer.
set -euo pipefail
cd "$(dirname "$0")/.."

root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi
}

if ! command -v clang++ >/dev/null || ! compgen -G '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a' >/dev/null; then
  if [ "$(uname)" = Linux ] && command -v apt-get >/dev/null; then
    printf '· installing clang (once)\n' >&2
    # the runtime with libFuzzer has the compiler's version in its name
    root apt-get update -qq >/dev/null 2>&1 \
      && root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends clang >/dev/null 2>&1 \
      && root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev" >/dev/null 2>&1 \
      || { printf 'clang is missing and cannot be installed from here: install clang and libclang-rt-dev\n' >&2; exit 2; }
  fi
fi
exec .venv/bin/python -m tests.fuzz.run "$@"
