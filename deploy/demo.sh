#!/bin/sh
# The whole story on this machine: a virtual environment, an installation, three devices. No root needed.
# usage: sh deploy/demo.sh [--json] [--input DIR] [--keep DIR]      PYTHON=python3.12 chooses the interpreter
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
venv=${EDGE_VENV:-$root/.venv}
say() { echo "$@" >&2; }
if [ ! -x "$venv/bin/edge-runtime" ]; then
    python=${PYTHON:-}
    for candidate in $python python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
        python=
    done
    [ -n "$python" ] || { say "Python 3.11 or newer is needed: install it, or set PYTHON=…"; exit 1; }
    say "installing into $venv …"
    "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$root" >&2
fi
exec "$venv/bin/edge-runtime" demo "$@"
