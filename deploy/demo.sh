#!/bin/sh
# The whole story on this machine: a virtual environment, an installation, three devices. No root needed.
#
#   sh deploy/demo.sh [--json] [--input DIR] [--keep DIR]
#
# Environment: PYTHON (3.11 or newer; else the first one found), EDGE_VENV (where the virtual environment stands, .venv).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
venv=${EDGE_VENV:-$root/.venv}

say() { printf '%s\n' "demo.sh: $*" >&2; }
stop() { say "$*"; exit 2; }

is_python() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_python "$PYTHON" || stop "PYTHON=$PYTHON is no Python 3.11 or newer"
        printf '%s\n' "$PYTHON"
        return
    fi
    for name in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if is_python "$name"; then
            printf '%s\n' "$name"
            return
        fi
    done
    stop "no Python 3.11 or newer on PATH: install one, or name it with PYTHON=/path/to/python3"
}

# A sum over what is installed: changed source is installed anew, and a second run starts at once. What test.sh made
# (edge-installed) points to the source itself and is never out of date.
wanted=$(cd "$root" && find edge_runtime examples pyproject.toml -name '*.py' -o -name '*.toml' | LC_ALL=C sort |
    xargs cat | cksum)
if [ ! -x "$venv/bin/edge-runtime" ] ||
    { [ ! -e "$venv/edge-installed" ] && [ "$(cat "$venv/edge-demo" 2>/dev/null || true)" != "$wanted" ]; }; then
    python=$(find_python)
    say "installing into $venv with $("$python" --version 2>&1)"
    "$python" -m venv "$venv" || stop "no venv module: on Debian, apt install python3-venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$root" </dev/null >&2
    printf '%s' "$wanted" >"$venv/edge-demo"
fi
exec "$venv/bin/edge-runtime" demo "$@"
