#!/bin/sh
# Build a Debian package of the daemon, with all wheels inside: the board needs no package index. On Debian, no root needed:
#
#   sh deploy/build-deb.sh [options] DIR    writes DIR/edge-runtime_VERSION_ARCH.deb; then: apt install ./FILE.deb
#
# Options are those of deploy/wheelhouse.sh: --arch aarch64 (the default) or x86_64, --python VERSION, --extras LIST.
#
# The package brings wheels and not an environment, so that one file serves Debian 12 and 13: its postinst lets install.sh
# make the environment with the board's own Python, switch to it, and go back to the old version if the new one does not
# become ready.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
arch=arm64 folder=''

stop() { printf '%s\n' "build-deb.sh: $*" >&2; exit 1; }
misuse() { printf '%s\n' "build-deb.sh: $*" >&2; exit 2; }

options=''
while [ $# -gt 0 ]; do
    case $1 in
        --arch | --python | --extras) [ $# -ge 2 ] || misuse "$1 needs a value; see sh $0 --help" ;;
    esac
    case $1 in
        --arch)
            case $2 in
                aarch64 | arm64) arch=arm64 ;;
                x86_64 | amd64) arch=amd64 ;;
                *) misuse "--arch $2: aarch64 or x86_64" ;;
            esac
            options="$options --arch $2"
            shift
            ;;
        --python | --extras) options="$options $1 $2"; shift ;;
        -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) misuse "$1 is no option; see sh $0 --help" ;;
        *) [ -z "$folder" ] || misuse "one DIR, not $folder and $1"; folder=$1 ;;
    esac
    shift
done
[ -n "$folder" ] || misuse "say where to: sh $0 DIR"
command -v dpkg-deb >/dev/null || stop "there is no dpkg-deb here: build on Debian, or apt install dpkg"

mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
share=$tree/usr/share/edge-runtime
mkdir -p "$share" "$tree/DEBIAN" "$tree/usr/bin" "$tree/usr/lib/systemd/system" "$tree/usr/share/doc/edge-runtime"
# Word splitting is meant: options and their values have no spaces.
# shellcheck disable=SC2086
sh "$here/wheelhouse.sh" $options "$share/wheels"
version=$(cd "$share/wheels" && set -- edge_runtime-*.whl && printf '%s' "${1#edge_runtime-}" | cut -d- -f1)
cp "$here/../systemd/edge-runtime.service" "$tree/usr/lib/systemd/system/"
cp "$here/../LICENSE" "$tree/usr/share/doc/edge-runtime/copyright"
ln -s /opt/edge-runtime/bin/edge-runtime "$tree/usr/bin/edge-runtime"
for script in preinst postinst prerm postrm; do
    cp "$here/debian/$script" "$tree/DEBIAN/$script"
    chmod 755 "$tree/DEBIAN/$script"
done
cat >"$tree/DEBIAN/control" <<END
Package: edge-runtime
Version: $version
Architecture: $arch
Section: net
Priority: optional
Maintainer: edge-runtime <maintainers@edge-runtime.invalid>
Installed-Size: $(du -sk "$tree" | cut -f1)
Depends: python3 (>= 3.11), python3-venv, systemd, passwd
Description: durable execution without a server
 Tasks are signed objects that sleep on a device, wake when their conditions
 come true, travel when a link appears, and are continued by whichever device
 can, exactly where they stopped.
END
find "$tree" -type d -exec chmod 755 {} +
find "$share" "$tree/usr/lib" "$tree/usr/share/doc" -type f -exec chmod 644 {} +
made=$folder/edge-runtime_${version}_$arch.deb
# Wheels are compressed already.
dpkg-deb -Zgzip -z1 --root-owner-group --build "$tree" "$made" >/dev/null
printf '%s\n' "build-deb.sh: $made, $(du -k "$made" | cut -f1) KiB. Next, on the board: sudo apt install ./${made##*/}"
