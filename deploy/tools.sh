#!/usr/bin/env bash
# Install what the tests need beside Python packages, where it is missing: deploy/tools.sh
# Debian and Ubuntu, as root. Does nothing, and needs no root, when everything is there.
set -euo pipefail

missing=()
# The tests start a cluster of their own: the server's programs are enough, nothing has to run.
if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && ! command -v initdb >/dev/null; then
  missing+=(postgresql)
fi
# The tests start a Prometheus and an Alertmanager of their own; promtool and amtool come with the packages.
if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
  missing+=(prometheus)
fi
if ! command -v prometheus-alertmanager >/dev/null && ! command -v alertmanager >/dev/null; then
  missing+=(prometheus-alertmanager)
fi
# Docker Compose of the first generation, which only reads the compose file: Docker itself is not needed.
if ! command -v docker-compose >/dev/null; then
  missing+=(docker-compose)
fi
# Debian's Python has no venv module of its own; uv needs none.
if ! command -v uv >/dev/null && ! "${PYTHON:-python3}" -c 'import ensurepip' 2>/dev/null; then
  missing+=(python3-venv)
fi
# The tests build the image on a base of Debian's packages, and run its containers.
for needed in podman runc mmdebstrap; do
  command -v "$needed" >/dev/null || missing+=("$needed")
done
for needed in netavark aardvark-dns; do
  [ -x "/usr/lib/podman/$needed" ] || [ -x "/usr/libexec/podman/$needed" ] || missing+=("$needed")
done
command -v catatonit >/dev/null || [ -x /usr/libexec/podman/catatonit ] || missing+=(catatonit)

if [ ${#missing[@]} -eq 0 ]; then
  echo "tools: everything is there"
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "tools: install these with this system's package manager: ${missing[*]}" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "tools: missing: ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "tools: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# No package may start its service: the tests start what they need, on ports of their own. Debian's packages ask this
# file before they start anything (https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt); 101 is
# "not allowed". A policy that is there already belongs to somebody else and stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ] && [ ! -L "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
apt-get update -qq
apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
