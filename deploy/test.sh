#!/bin/sh
# Run the tests from a fresh clone, as root or as an ordinary user:
#
#   sh deploy/test.sh [--fast | --long] [arguments of pytest]
#
#   (nothing)   every level that this machine can run; what it cannot run is listed at the end, with the reason
#   --fast      unit, property, plays and simulation with few seeds and small counts: under a minute on two cores
#   --long      every level, thousands of seeds, 300 power cuts
#
# Environment: PYTHON (3.11 or newer; else the first one found), EDGE_VENV (where the virtual environment stands,
# .venv), EDGE_SEEDS (seeds of the simulation), EDGE_REQUIRE=all (what cannot run is a failure), EDGE_WORKERS (tests that
# run side by side: 2; 0 to see prints and use a debugger), EDGE_TEST_CACHE (what the tests make once a machine, such as
# a bootable Debian: ~/.cache/edge-runtime-tests; may be deleted at any time).
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "test.sh: $*" >&2; }
stop() { say "$*"; exit 2; }

mode=all
case "${1:-}" in
    --fast) mode=fast; shift ;;
    --long) mode=long; shift ;;
    -h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

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

venv=${EDGE_VENV:-.venv}
# What was installed, so that a second run starts at once: a sum over the file that says what to install.
wanted=$(cksum pyproject.toml)" at $(pwd)"
if [ "$(cat "$venv/edge-installed" 2>/dev/null || true)" != "$wanted" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    python=$(find_python)
    say "making $venv with $("$python" --version 2>&1)"
    "$python" -m venv --clear "$venv" || stop "no venv module: on Debian, apt install python3-venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[test]' </dev/null
    printf '%s' "$wanted" >"$venv/edge-installed"
fi

case $mode in
    fast)
        : "${EDGE_SEEDS:=5}"
        levels=
        for level in tests/test_tidy.py tests/unit tests/property tests/scenarios tests/simulation; do
            [ -e "$level" ] && levels="$levels $level"
        done
        # Word splitting is meant: the levels have no spaces.
        # shellcheck disable=SC2086
        set -- -m "not wide" $levels "$@"
        ;;
    long) : "${EDGE_SEEDS:=2000}" "${EDGE_CUTS:=1000}" ;;
    all) : "${EDGE_SEEDS:=50}" ;;
esac
: "${EDGE_CUTS:=300}"
export EDGE_SEEDS EDGE_CUTS
# The tests start hundreds of daemons: compiled once, kept beside what is installed and not in the tree.
unset PYTHONDONTWRITEBYTECODE
PYTHONPYCACHEPREFIX=$("$venv/bin/python" -c 'import sys; print(sys.prefix)')/pycache
export PYTHONPYCACHEPREFIX
say "$mode, EDGE_SEEDS=$EDGE_SEEDS, EDGE_REQUIRE=${EDGE_REQUIRE:-}, $("$venv/bin/python" --version), user $(id -un)"
# No cache folder: the tree may be somebody else's, and a run must not depend on the run before.
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider -n "${EDGE_WORKERS:-2}" --dist loadgroup "$@"
