#!/usr/bin/env bash
# Make or refresh one virtual environment from a hash-locked file: deploy/setup.sh DIRECTORY LOCKFILE [editable]
# Does nothing when neither the lock nor the wanted Python has changed since the last time.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1 lock=$2 editable=${3:-}

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate
  if [ -n "${PYTHON:-}" ]; then
    is_new_enough "$PYTHON" || fail "PYTHON=$PYTHON is no Python 3.11 or newer"
    command -v "$PYTHON"
    return
  fi
  for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
    if is_new_enough "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  fail "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"
}

hash_of() { { cat "$lock" pyproject.toml; printf '%s' "${PYTHON:-}"; } | cksum | cut -d' ' -f1; }
stamp="$venv/.setup-$(hash_of)"
[ -f "$stamp" ] && [ -x "$venv/bin/python" ] && exit 0

python=$(find_python)
version=$("$python" --version)
echo "setup: $venv from $lock with $version"
[ "$("$venv/bin/python" --version 2>/dev/null)" = "$version" ] || rm -rf "$venv"
if command -v uv >/dev/null 2>&1; then
  [ -x "$venv/bin/python" ] || uv venv --quiet --python "$python" "$venv"
  uv pip sync --quiet --compile-bytecode --python "$venv/bin/python" --require-hashes "$lock"
  [ -z "$editable" ] || uv pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation -e .
else
  pip=("$venv/bin/python" -m pip --quiet --disable-pip-version-check install)
  [ -x "$venv/bin/pip" ] || "$python" -m venv "$venv" \
    || fail "'$python -m venv' failed; install python3-venv (Debian, Ubuntu) or uv"
  "${pip[@]}" --require-hashes -r "$lock"
  [ -z "$editable" ] || "${pip[@]}" --no-deps --no-build-isolation -e .
fi
rm -f "$venv"/.setup-*
touch "$stamp"
