#!/usr/bin/env bash
# Make or refresh one virtual environment from a hash-locked file: deploy/setup.sh DIRECTORY LOCKFILE [editable]
# Does nothing when the lock has not changed since the last time.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1 lock=$2 editable=${3:-}

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
    if command -v "$candidate" >/dev/null 2>&1 \
      && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  fail "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"
}

hash_of() { cat "$lock" pyproject.toml | cksum | cut -d' ' -f1; }
stamp="$venv/.setup-$(hash_of)"
[ -f "$stamp" ] && [ -x "$venv/bin/python" ] && exit 0

python=$(find_python)
echo "setup: $venv from $lock with $("$python" --version 2>&1)"
if command -v uv >/dev/null 2>&1; then
  uv venv --quiet --allow-existing --python "$(command -v "$python")" "$venv"
  uv pip sync --quiet --python "$venv/bin/python" --require-hashes "$lock"
  [ -z "$editable" ] || uv pip install --quiet --python "$venv/bin/python" --no-deps -e .
else
  [ -x "$venv/bin/pip" ] || "$python" -m venv "$venv" \
    || fail "'$python -m venv' failed; install python3-venv (Debian, Ubuntu) or uv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
  [ -z "$editable" ] || "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e .
fi
rm -f "$venv"/.setup-*
touch "$stamp"
