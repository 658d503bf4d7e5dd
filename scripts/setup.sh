#!/usr/bin/env bash
# Makes .venv with everything for development, and sees to RabbitMQ and (with --browser) Chromium.
# Does nothing when everything is there. Says what it does, since some of it takes a while.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '· %s\n' "$*" >&2; }

root() {  # runs a command as root, if that is permitted without asking
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi
}

apt_updated=
install_packages() {
  command -v apt-get >/dev/null || return 1
  if [ -z "$apt_updated" ]; then
    root apt-get update -qq >/dev/null 2>&1 || return 1
    apt_updated=1
  fi
  root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "$@" >/dev/null 2>&1
}

need() {  # need NAME PACKAGE HINT: makes sure that something is installed, or says how
  say "installing $1 (once)"
  if ! install_packages "$2"; then
    printf '%s is missing and cannot be installed from here: %s\n' "$1" "$3" >&2
    return 1
  fi
}

find_python() {
  for name in python3.13 python3.12 python3.11 python3; do
    if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s' "$name"
      return
    fi
  done
  printf 'Python 3.11 or newer is missing: install python3 (Debian: apt-get install python3 python3-venv)\n' >&2
  exit 2
}

if [ -z "${AMQP_URL:-}" ] && ! compgen -G '/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server' >/dev/null \
  && ! compgen -G '/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server' >/dev/null \
  && ! compgen -G '/usr/local/opt/rabbitmq/sbin/rabbitmq-server' >/dev/null; then
  need RabbitMQ rabbitmq-server 'install rabbitmq-server, or set AMQP_URL to a broker' || exit 2
fi
if [ "${1:-}" = --browser ] && ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
  need Chromium chromium 'install chromium' || exit 2
fi
# Playwright's driver links it; a compiler brings it along, a bare system lacks it
if [ "${1:-}" = --browser ] && command -v ldconfig >/dev/null && ! ldconfig -p | grep -q 'libatomic\.so\.1'; then
  need libatomic libatomic1 'install libatomic1' || exit 2
fi

# with a compiler the native decoder is built, or setting up fails; without, the one in Python serves
if command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null; then
  export STRAYLINE_NATIVE=1
fi

wanted=$(cat pyproject.toml requirements.txt hatch_build.py scripts/native.py collector/strayline_collector/decode/native/src/* | sha256sum | cut -d' ' -f1)
if [ "$(cat .venv/.strayline-setup 2>/dev/null || true)" = "$wanted" ]; then exit 0; fi

if [ ! -x .venv/bin/python ]; then
  python=$(find_python)
  say "making .venv with $python"
  if ! "$python" -m venv .venv >/dev/null 2>&1; then
    rm -rf .venv
    need python3-venv python3-venv 'install python3-venv' || exit 2
    "$python" -m venv .venv
  fi
fi
say 'installing the pinned packages into .venv (a minute or so the first time)'
if [ ! -x .venv/bin/uv ]; then
  .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null
  .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
fi
.venv/bin/uv pip install --quiet --python .venv/bin/python -r requirements.txt
if [ "${STRAYLINE_NATIVE:-}" = 1 ]; then
  if ! .venv/bin/python -c 'import pathlib, sysconfig; exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())'; then
    need "Python's headers" python3-dev 'install python3-dev, or remove the C++ compiler to go without the native decoder' || exit 2
  fi
  say 'building the native decoder'
  .venv/bin/python scripts/native.py >/dev/null
fi
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps -e .
printf '%s' "$wanted" > .venv/.strayline-setup
say 'ready'
