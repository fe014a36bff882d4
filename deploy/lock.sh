#!/usr/bin/env bash
# Resolve the locked dependencies anew, with hashes, for every supported Python at once. Needs uv.
set -euo pipefail
cd "$(dirname "$0")/.."
# Extras stay in the lock: without them pip calls "pydantic[email]", which APIFlask asks for, unpinned and refuses it.
compile() {
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header "$@"
}
compile pyproject.toml -o requirements/runtime.lock
compile --extra dev -c requirements/runtime.lock pyproject.toml -o requirements/dev.lock
compile -c requirements/dev.lock requirements/build.in -o requirements/build.lock
compile requirements/sbom.in -o requirements/sbom.lock
compile requirements/load.in -o requirements/load.lock
compile requirements/compare.in -o requirements/compare.lock
# Only what these packages carry is wanted, none of what they would import.
compile --no-deps requirements/tools.in -o requirements/tools.lock
