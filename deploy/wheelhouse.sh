#!/bin/sh
# Make a folder from which boards without network are installed: all wheels, and the installer. On any machine with pip:
#
#   sh deploy/wheelhouse.sh [options] DIR        then, on the board: sh DIR/install.sh
#
#   --arch ARCH        of the board: aarch64 (the default), x86_64
#   --python VERSION   of the board, such as 3.13; may be repeated (default 3.11 and 3.13: Debian 12 and 13)
#   --extras LIST      such as web,mqtt: what install.sh puts on the board from there (default web: the status page)
#
# Environment: EDGE_SOURCE (the project: a folder, or a wheel), PYTHON (3.11 or newer, with pip; else the first found).
# Boards of 32 bits are not served: PyNaCl and cbor2 have no wheels for them, so that they need network and a compiler.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
arch=aarch64 versions='' extras=web folder=''

say() { printf '%s\n' "wheelhouse.sh: $*" >&2; }
stop() { say "$*"; exit 1; }
misuse() { say "$*"; exit 2; }

while [ $# -gt 0 ]; do
    case $1 in
        --arch | --python | --extras) [ $# -ge 2 ] || misuse "$1 needs a value; see sh $0 --help" ;;
    esac
    case $1 in
        --arch) arch=$2; shift ;;
        --python) versions="$versions $2"; shift ;;
        --extras) extras=$2; shift ;;
        -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) misuse "$1 is no option; see sh $0 --help" ;;
        *) [ -z "$folder" ] || misuse "one DIR, not $folder and $1"; folder=$1 ;;
    esac
    shift
done
[ -n "$folder" ] || misuse "say where to: sh $0 DIR"
case $arch in
    aarch64 | arm64) arch=aarch64 ;;
    x86_64 | amd64) arch=x86_64 ;;
    *) misuse "--arch $arch: aarch64 or x86_64 (boards of 32 bits: see sh $0 --help)" ;;
esac
for version in ${versions:=3.11 3.13}; do
    case $version in
        3.1[1-9] | 3.[2-9][0-9]) ;;
        *) misuse "--python $version: 3.11 or newer, such as 3.13" ;;
    esac
done
case $extras in *[!a-z0-9,_-]*) misuse "--extras $extras: names with commas between, such as mqtt,mavlink" ;; esac

has_pip() { "$1" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
python=
for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 /usr/bin/python3}; do
    if has_pip "$name"; then python=$name; break; fi
done
[ -n "$python" ] || stop "no Python 3.11 or newer with pip on PATH: apt install python3-pip, or name one with PYTHON=…"

source=${EDGE_SOURCE:-$here/..}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
rm -f "$folder"/edge_runtime-*.whl
case $source in
    *.whl) [ -e "$source" ] || stop "EDGE_SOURCE=$source: there is no such file"; cp "$source" "$folder/" ;;
    *)
        [ -e "$source/pyproject.toml" ] || stop "EDGE_SOURCE=$source: no folder with a pyproject.toml"
        say "building the project's wheel"
        "$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$folder" "$source" </dev/null
        ;;
esac
set -- "$folder"/edge_runtime-*.whl
project=$1
# glibc 2.36 is Debian 12's: whatever asks for less runs there, too.
platforms=
for glibc in 36 35 34 31 28 27 26 24 17; do platforms="$platforms --platform manylinux_2_${glibc}_$arch"; done
for version in $versions; do
    say "collecting wheels for $arch, Python $version${extras:+, with $extras}"
    # Word splitting is meant: the platforms have no spaces.
    # shellcheck disable=SC2086
    "$python" -m pip download --quiet --disable-pip-version-check --dest "$folder" --only-binary :all: \
        --implementation cp --python-version "$version" $platforms --platform "manylinux2014_$arch" \
        "$project${extras:+[$extras]}" </dev/null ||
        stop "a package has no wheel for $arch and Python $version (see above)"
done
cp "$here/install.sh" "$folder/install.sh"
printf '%s' "$extras" >"$folder/edge-extras" # what install.sh takes from here unless it is told otherwise
say "$(find "$folder" -name '*.whl' | wc -l) wheels, $(du -sk "$folder" | cut -f1) KiB in $folder. Next, on the board: sudo sh install.sh"
