#!/bin/sh
# Install, upgrade, roll back or remove the daemon on a board with Debian (Raspberry Pi OS, Ubuntu) and systemd. As root:
#
#   sh deploy/install.sh [options]      install, or upgrade what is there; may be run again at any time
#   sh deploy/install.sh --rollback     back to the version before the last upgrade
#   sh deploy/install.sh --uninstall    remove the program; state and configuration stay
#   sh deploy/install.sh --uninstall --purge [--yes]   remove those too: keys and all objects that live only here
#
#   --wheelhouse DIR   no network: take all packages from DIR (deploy/wheelhouse.sh makes it; its own install.sh knows)
#   --extras LIST      such as mqtt,mavlink: bridges and what else is optional; without it those of the wheelhouse
#                      or of the last time, else web (the status page)
#   --device PATH      let this device node in, such as /dev/video0; may be repeated
#   --group GROUP      its group, such as video; may be repeated
#   --operator USER    this user may use the control socket; may be repeated
#   --join FILE        join the fleet of this file (of `edge-runtime enroll -o` or `grant`) as soon as it is reached
#   --no-start         do not start (or restart) the daemon now
#   --force            make the virtual environment anew even if the same is installed
#
# Environment: EDGE_SOURCE (what to install: a folder with pyproject.toml, a wheel, or a requirement such as
# edge-runtime==0.1.0), PYTHON (3.11 or newer; /usr/bin/python3). What your apps import besides stands in
# /etc/edge-runtime/requirements.txt, one package a line, and is installed with each version.
#
# An upgrade makes a second virtual environment while the old daemon works on, switches by one rename, restarts, and goes
# back if the new daemon does not become ready. Exit codes: 0 done, 1 failed, 2 wrong use.
set -eu
umask 022

NAME=edge-runtime
HOME_DIR=/opt/edge-runtime
STATE=/var/lib/edge-runtime
CONFIG=/etc/edge-runtime
UNIT=edge-runtime.service
UNITS=/etc/systemd/system
COMMAND=/usr/local/bin/edge-runtime
MANUAL=/usr/local/share/man/man1/edge-runtime.1
COMPLETION=/etc/bash_completion.d/edge-runtime
READY_TRIES=40 # half seconds that the daemon has to answer after systemd has heard READY=1
here=$(cd "$(dirname "$0")" && pwd)

say() { printf '%s\n' "install.sh: $*"; }
stop() { printf '%s\n' "install.sh: $*" >&2; exit 1; }
misuse() { printf '%s\n' "install.sh: $*" >&2; exit 2; }

# --- What is asked for --------------------------------------------------------------------------------------------------

action=install_or_upgrade is_purge=no is_yes=no is_start=yes is_forced=no
wheelhouse='' extras='' is_extras_given=no join='' devices='' groups='' operators=''

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --wheelhouse | --extras | --device | --group | --operator | --join)
                [ $# -ge 2 ] || misuse "$1 needs a value; see sh $0 --help"
                ;;
        esac
        case $1 in
            --wheelhouse) wheelhouse=$2; shift ;;
            --extras) extras=$2 is_extras_given=yes; shift ;;
            --device) devices="$devices $(checked_device "$2")" || exit 2; shift ;;
            --group) groups="$groups $(checked_group "$2")" || exit 2; shift ;;
            --operator) operators="$operators $(checked_user "$2")" || exit 2; shift ;;
            --join) join=$2; shift ;;
            --no-start) is_start=no ;;
            --force) is_forced=yes ;;
            --rollback) action=rollback ;;
            --uninstall) action=uninstall ;;
            --purge) is_purge=yes ;;
            --yes) is_yes=yes ;;
            -h | --help) sed -n '2,26s/^# \{0,1\}//p' "$0"; exit 0 ;;
            *) misuse "$1 is no option; see sh $0 --help" ;;
        esac
        shift
    done
    [ $is_purge = no ] || [ $action = uninstall ] || misuse "--purge goes with --uninstall"
    case $extras in *[!a-z0-9,_-]*) misuse "--extras $extras: names with commas between, such as mqtt,mavlink" ;; esac
    [ -z "$join" ] || [ -r "$join" ] || misuse "--join $join: there is no such file"
    # deploy/wheelhouse.sh puts this file beside the wheels.
    if [ -z "$wheelhouse${EDGE_SOURCE:-}" ] && ls "$here"/edge_runtime-*.whl >/dev/null 2>&1; then wheelhouse=$here; fi
    if [ -n "$wheelhouse" ]; then
        ls "$wheelhouse"/*.whl >/dev/null 2>&1 || misuse "--wheelhouse $wheelhouse holds no wheels; make one: sh deploy/wheelhouse.sh"
        wheelhouse=$(cd "$wheelhouse" && pwd)
    fi
}

checked_device() {
    case $1 in
        *[!A-Za-z0-9/._-]* | *..*) misuse "--device $1: a path such as /dev/video0" ;;
        /dev/?*) printf '%s\n' "$1" ;;
        *) misuse "--device $1: a path such as /dev/video0" ;;
    esac
}

checked_group() {
    getent group "$1" >/dev/null || misuse "--group $1: there is no such group; 'ls -l' of the device names it"
    printf '%s\n' "$1"
}

checked_user() {
    getent passwd "$1" >/dev/null || misuse "--operator $1: there is no such user"
    printf '%s\n' "$1"
}

# --- What the machine must be -------------------------------------------------------------------------------------------

check_machine() {
    [ "$(id -u)" = 0 ] || stop "must run as root: sudo sh $0"
    # shellcheck disable=SC1091
    family=$(. /etc/os-release 2>/dev/null && printf '%s' "${ID:-} ${ID_LIKE:-}")
    case " $family " in
        *" debian "* | *" raspbian "* | *" ubuntu "*) ;;
        *) stop "this is no Debian, Raspberry Pi OS or Ubuntu ($family). Elsewhere: pip install edge-runtime, and the unit of systemd/" ;;
    esac
    command -v systemctl >/dev/null || stop "there is no systemd here. Without it: pip install edge-runtime, and edge-runtime run"
    if [ -z "${EDGE_PACKAGED:-}" ] && dpkg-query -W -f '${db:Status-Status}' $NAME 2>/dev/null | grep -qx installed; then
        stop "the Debian package $NAME is installed. Use apt for it, or first: apt remove $NAME"
    fi
}

# Two runs at once would take away each other's environments.
take_lock() {
    mkdir -p $HOME_DIR
    exec 9>$HOME_DIR/.lock
    flock -n 9 || stop "another install.sh is at work; wait until it is done"
}

find_python() {
    python=${PYTHON:-/usr/bin/python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        stop "$python is no Python 3.11 or newer (Debian 12 and later have one); name one with PYTHON=/path/to/python3"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        [ -z "$wheelhouse" ] || stop "python3-venv is missing and --wheelhouse means no network. First: apt install python3-venv"
        say "installing python3-venv"
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-venv >/dev/null ||
            stop "python3-venv cannot be installed. First: apt update && apt install python3-venv"
    fi
    case $(dpkg --print-architecture) in
        arm64 | amd64) ;;
        *) say "note: there are no ready wheels for $(dpkg --print-architecture): pip must compile them; boards of 64 bits are what is tested" ;;
    esac
}

# What to install, and what it is known by: the same fingerprint is not installed twice. The newest of an index has none.
find_source() {
    fingerprint=
    case ${EDGE_SOURCE:-}:$wheelhouse in
        :?*)
            ls "$wheelhouse"/edge_runtime-*.whl >/dev/null 2>&1 || stop "$wheelhouse holds no edge_runtime-*.whl; make it with deploy/wheelhouse.sh"
            source=$NAME
            fingerprint=$(cd "$wheelhouse" && cksum ./*.whl)
            ;;
        :) if [ -e "$here/../pyproject.toml" ]; then source=$here/..; else source=$NAME; fi ;;
        *) source=$EDGE_SOURCE ;;
    esac
    case $source in
        *.whl)
            [ -e "$source" ] || stop "EDGE_SOURCE=$source: there is no such file"
            fingerprint=$(cksum <"$source")
            ;;
        . | */*)
            [ -e "$source/pyproject.toml" ] || stop "EDGE_SOURCE=$source: no folder with a pyproject.toml"
            source=$(cd "$source" && pwd)
            fingerprint=$(cd "$source" && find pyproject.toml edge_runtime examples systemd deploy -type f ! -name '*.pyc' -exec cksum {} + | LC_ALL=C sort)
            ;;
        *==*) fingerprint=$source$fingerprint ;;
    esac
    requirements=$CONFIG/requirements.txt
    [ -e $requirements ] || requirements=
    [ $is_extras_given = yes ] || extras=$(cat "$wheelhouse/edge-extras" 2>/dev/null || cat $HOME_DIR/current/edge-extras 2>/dev/null) || extras=web
    [ -z "$fingerprint" ] || fingerprint="$(printf '%s' "$fingerprint" | cat - ${requirements:-/dev/null} | cksum) [$extras] $("$python" --version 2>&1)"
}

# The extras stand between a requirement's name and its version.
with_extras() {
    case ${extras:+$1} in
        '') printf '%s\n' "$1" ;;
        */* | *.whl) printf '%s\n' "${1}[$extras]" ;;
        *) name=${1%%[=<>~!]*}; printf '%s\n' "${name}[$extras]${1#"$name"}" ;;
    esac
}

# --- Versions: /opt/edge-runtime/versions/N, `current` and `previous` point to two of them --------------------------------

version_of() { "$1/bin/edge-runtime" --version 2>/dev/null | sed 's/^edge-runtime //' || true; }
target_of() { readlink -e "$HOME_DIR/$1" 2>/dev/null || true; }
files_of() { set -- "$1"/lib/python3*/site-packages/edge_runtime/installed; printf '%s\n' "$1"; }

# One rename: at every moment `current` is the old or the new version, whole.
point() {
    ln -sfn "$2" "$HOME_DIR/.$1.new"
    mv -T "$HOME_DIR/.$1.new" "$HOME_DIR/$1"
}

find_pip() {
    bundled=$("$python" -c 'import ensurepip, os; print(os.path.dirname(ensurepip.__file__))')/_bundled
    for wheel in /usr/share/python-wheels/pip-*.whl "$bundled"/pip-*.whl; do
        if [ -e "$wheel" ]; then printf '%s\n' "$wheel"; return; fi
    done
}

make_version() {
    # Numbers only grow, so that a name never means two things; what a broken run left behind is removed.
    number=1
    for folder in "$HOME_DIR"/versions/*; do
        [ -d "$folder" ] || continue
        [ "${folder##*/}" -lt "$number" ] || number=$((${folder##*/} + 1))
        [ "$folder" = "$(target_of current)" ] || [ "$folder" = "$(target_of previous)" ] || rm -rf "$folder"
    done
    made=$HOME_DIR/versions/$number
    say "making $made with $("$python" --version 2>&1)"
    mkdir -p $HOME_DIR/versions
    # pip works from the wheel that Python brings with it: half of the time and half of the card.
    pip=$(find_pip)
    "$python" -m venv ${pip:+--without-pip} "$made" || { rm -rf "$made"; stop "$python makes no virtual environment"; }
    say "installing $source${extras:+ with $extras}${wheelhouse:+ from $wheelhouse, without network}"
    set -- --quiet --disable-pip-version-check --no-input
    [ -z "$wheelhouse" ] || set -- "$@" --no-index --find-links "$wheelhouse"
    [ -z "$requirements" ] || set -- "$@" --requirement "$requirements"
    if ! PYTHONPATH=$pip "$made/bin/python" -m pip install "$@" "$(with_extras "$source")" </dev/null; then
        rm -rf "$made"
        stop "packages are missing (see above). What was installed before is untouched. ${wheelhouse:+Make the wheelhouse for this machine: --arch $(uname -m) --python $("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])').}"
    fi
    [ -e "$(files_of "$made")/$UNIT" ] || { rm -rf "$made"; stop "$source has no unit file inside: it is not a version that this script knows"; }
    printf '%s' "$fingerprint" >"$made/edge-source"
    printf '%s' "$extras" >"$made/edge-extras"
}

# A configuration that the new version does not understand must not stop a daemon that works.
check_config() {
    [ -e $CONFIG/config.toml ] || return 0
    "$1/bin/edge-runtime" config check $CONFIG/config.toml >/dev/null || return 1
}

drop_unused() {
    for folder in "$HOME_DIR"/versions/*; do
        [ "$folder" = "$(target_of current)" ] || [ "$folder" = "$(target_of previous)" ] || rm -rf "$folder"
    done
}

# --- The parts outside of the environment ---------------------------------------------------------------------------------

make_user() {
    getent group $NAME >/dev/null || groupadd --system $NAME
    getent passwd $NAME >/dev/null ||
        useradd --system --gid $NAME --home-dir $STATE --no-create-home --shell /usr/sbin/nologin $NAME
    for user in $operators; do
        say "$user may use the control socket (from the next login on)"
        usermod -aG $NAME "$user"
    done
}

# Replace a file by rename; true if that changed it.
put() {
    cmp -s "$1" "$2" && return 1
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.new"
    chmod "${3:-644}" "$2.new"
    mv "$2.new" "$2"
}

put_config() {
    mkdir -p $CONFIG
    if [ ! -e $CONFIG/config.toml ]; then
        put "$(files_of "$1")/config.toml" $CONFIG/config.toml
        say "wrote $CONFIG/config.toml, a sample: everything in it is optional"
    fi
    put "$(files_of "$1")/policy.example.toml" $CONFIG/policy.example.toml || true
}

# What belongs to a version and stands outside of it. Sets is_changed.
put_unit() {
    files=$(files_of "$1")
    if [ -z "${EDGE_PACKAGED:-}" ]; then
        if put "$files/$UNIT" $UNITS/$UNIT; then is_changed=yes; fi
        mkdir -p "$(dirname $COMMAND)"
        [ "$(readlink $COMMAND)" = $HOME_DIR/bin/edge-runtime ] || ln -sfn $HOME_DIR/bin/edge-runtime $COMMAND
    fi
    put "$files/install.sh" $HOME_DIR/install.sh 755 || true
    put_said "$1" $MANUAL man
    put_said "$1" $COMPLETION completion bash
}

# Put what a command of version $1 prints into file $2; a version that does not know the command leaves none.
put_said() {
    program=$1 file=$2
    shift 2
    "$program/bin/edge-runtime" "$@" >$HOME_DIR/.said 2>/dev/null || rm -f $HOME_DIR/.said
    if [ -e $HOME_DIR/.said ]; then put $HOME_DIR/.said "$file" || true; else rm -f "$file"; fi
    rm -f $HOME_DIR/.said
}

# Hardware that the sandbox lets in: one drop-in a device or group, so that each can be taken back alone.
put_drop_ins() {
    folder=$UNITS/$UNIT.d
    draft=$HOME_DIR/.drop-in
    for device in $devices; do
        [ -e "$device" ] || say "note: $device is not there now; it is let in when it comes"
        printf '# Written by install.sh --device %s; to take it back, remove this file.\n[Service]\nPrivateDevices=no\nDeviceAllow=%s rw\n' \
            "$device" "$device" >$draft
        if put $draft "$folder/device$(printf '%s' "${device#/dev}" | tr / -).conf"; then is_changed=yes; fi
    done
    for group in $groups; do
        printf '# Written by install.sh --group %s; to take it back, remove this file.\n[Service]\nSupplementaryGroups=%s\n' \
            "$group" "$group" >$draft
        if put $draft "$folder/group-$group.conf"; then is_changed=yes; fi
    done
    rm -f $draft
}

# --- Starting, and whether it went well -----------------------------------------------------------------------------------

is_booted() { [ -d /run/systemd/system ]; }
is_running() { is_booted && systemctl --quiet is-active $UNIT; }

# systemctl returns when the daemon has said READY=1 (or could not); then it must answer, and still be the same process.
restart() {
    systemctl daemon-reload
    systemctl restart $UNIT || return 1
    pid=$(systemctl show --property MainPID --value $UNIT)
    tries=0
    until $HOME_DIR/bin/edge-runtime --state $STATE status >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt $READY_TRIES ] || return 1
        sleep 0.5
    done
    [ "$(systemctl show --property MainPID --value $UNIT)" = "$pid" ]
}

show_log() {
    printf '%s\n' "--- the last lines of: journalctl -u $UNIT" >&2
    journalctl --unit $UNIT --lines 15 --no-pager --output cat >&2 || true
}

# A spool that the new version has brought to a newer schema cannot be read by the old one. The copy from before goes back
# only while the new daemon has appended nothing: a device must never write a second history under the same numbers.
SPOOL_TOOL='
import os, shutil, sqlite3, sys
what, spool, copy = sys.argv[1:]
def look(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        written = database.execute("SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM releases)").fetchone()
        return database.execute("PRAGMA user_version").fetchone()[0], written
if what == "schema":
    print(look(spool)[0])
elif what == "copy":
    source, target = sqlite3.connect(f"file:{spool}?mode=ro", uri=True), sqlite3.connect(copy)
    source.backup(target); target.close()
elif what == "restore":
    (now, written), (before, written_before) = look(spool), look(copy)
    if now == before:
        sys.exit(0)
    if written != written_before:
        sys.exit(3)
    owner = os.stat(spool)
    os.chmod(copy, owner.st_mode & 0o777); os.chown(copy, owner.st_uid, owner.st_gid)
    for end in ("-wal", "-shm"):
        if os.path.exists(spool + end): os.remove(spool + end)
    os.replace(copy, spool)
'
spool_tool() { "$1/bin/python" -c "$SPOOL_TOOL" "$2" $STATE/spool.db $STATE/spool.before-upgrade; }
schema_of() { "$1/bin/python" -c 'from edge_runtime.node.schema import SCHEMA_VERSION; print(SCHEMA_VERSION)' 2>/dev/null || echo unknown; }

# --- Actions ----------------------------------------------------------------------------------------------------------

install_or_upgrade() {
    find_python
    find_source
    old=$(target_of current)
    is_changed=no
    if [ -n "$old" ] && [ $is_forced = no ] && [ -n "$fingerprint" ] && [ "$(cat "$old/edge-source" 2>/dev/null)" = "$fingerprint" ]; then
        say "this very version is installed already: $old, $(version_of "$old")"
        made=$old
    else
        make_version
        check_config "$made" || { rm -rf "$made"; stop "$CONFIG/config.toml is not right for the new version (see above). What was installed before is untouched; mend the file, then run this again"; }
    fi
    make_user
    put_config "$made"
    [ -z "$join" ] || put_join
    put_drop_ins
    switch_to "$made" "$old"
    finish
}

# Switch to version $1; on failure back to $2, if there is one.
switch_to() {
    put_unit "$1"
    # A unit that its owner has disabled stays so.
    if [ -z "$2" ]; then
        systemctl --quiet enable $UNIT
    elif is_booted && ! systemctl --quiet is-enabled $UNIT && ! is_running; then
        say "the unit is disabled and stopped, and stays so. Next: systemctl enable --now $UNIT"
        is_start=no
    fi
    if ! is_booted; then
        activate "$1" "$2"
        say "systemd does not run here: the daemon starts at the next boot"
    elif [ $is_start = no ]; then
        activate "$1" "$2"
        systemctl daemon-reload
        say "not started. Next: systemctl restart $UNIT"
    elif [ "$1" = "$2" ] && [ "$is_changed" = no ] && systemctl --quiet is-active $UNIT; then
        say "the daemon runs and nothing has changed"
    else
        before=$(target_of previous)
        keep_spool "$1" "$2"
        activate "$1" "$2"
        say "starting the daemon"
        if restart; then
            say "the daemon is ready: version $(version_of "$1")"
            rm -f $STATE/spool.before-upgrade
        else
            go_back "$1" "$2"
        fi
    fi
    drop_unused
}

activate() {
    [ -z "$2" ] || [ "$1" = "$2" ] || point previous "$2"
    point current "$1"
    [ -L $HOME_DIR/bin ] || ln -sfn current/bin $HOME_DIR/bin
}

keep_spool() {
    rm -f $STATE/spool.before-upgrade
    [ -n "$2" ] && [ -e $STATE/spool.db ] && [ "$(schema_of "$1")" != "$(schema_of "$2")" ] || return 0
    say "the new version keeps its data in another way: stopping, and copying the spool first"
    systemctl stop $UNIT
    (umask 077 && spool_tool "$1" copy) || {
        rm -f $STATE/spool.before-upgrade
        put_unit "$2"; restart || true
        stop "the spool cannot be copied (is the disk full?); the old version runs on"
    }
}

# The new daemon did not become ready.
go_back() {
    show_log
    if [ -z "$2" ] || [ "$1" = "$2" ]; then
        stop "the daemon did not become ready. systemd tries it again for ever; see journalctl -u $UNIT"
    fi
    say "the new version did not become ready: going back to $2"
    systemctl stop $UNIT || true
    code=0
    if [ -e $STATE/spool.before-upgrade ]; then spool_tool "$1" restore || code=$?; fi
    if [ $code != 0 ]; then
        systemctl start --no-block $UNIT
        stop "the new version has already written to the spool in its own way, which the old one cannot read: the new one stays and is tried again for ever. See journalctl -u $UNIT"
    fi
    rm -f $STATE/spool.before-upgrade
    put_unit "$2"
    point current "$2"
    if [ -d "$before" ]; then point previous "$before"; else rm -f $HOME_DIR/previous; fi
    drop_unused
    restart || { show_log; stop "the old version does not become ready either; see journalctl -u $UNIT"; }
    stop "the new version did not become ready (its last words are above). The old one runs again: version $(version_of "$2"). No object is lost"
}

rollback() {
    old=$(target_of current) made=$(target_of previous)
    [ -d "$made" ] || stop "there is no version before this one here"
    is_changed=yes
    if [ -e $STATE/spool.db ] && [ "$(spool_tool "$made" schema)" -gt "$(schema_of "$made")" ]; then
        stop "the spool is of a newer schema than version $(version_of "$made") reads: it cannot go back. Nothing was changed"
    fi
    switch_to "$made" "$old"
    say "the version before is in force; sh $HOME_DIR/install.sh --rollback changes back"
}

# The daemon joins by [join] of its configuration, however long it takes until it finds who invited.
put_join() {
    if grep -q '^ *\[join\]' $CONFIG/config.toml; then
        grep -q "\"$CONFIG/invitation\"" $CONFIG/config.toml || {
            say "note: $CONFIG/config.toml has a [join] already, and that counts: $join is not used"
            return 0
        }
    else
        printf '\n[join]\ninvitation = "%s"\n' $CONFIG/invitation >>$CONFIG/config.toml
        is_changed=yes
    fi
    if put "$join" $CONFIG/invitation 640; then is_changed=yes; fi
    chgrp $NAME $CONFIG/invitation # it is a secret while it is open
    say "the device joins the fleet of $join as soon as it reaches who invited"
}

finish() {
    if is_running && $HOME_DIR/bin/edge-runtime doctor --help >/dev/null 2>&1; then
        $HOME_DIR/bin/edge-runtime --state $STATE doctor || say "doctor found something to mend, see above; the installation itself is done"
    fi
    say "done. Next: sudo usermod -aG $NAME YOU, log in anew, and: edge-runtime status"
    say "configuration: $CONFIG/config.toml, then systemctl reload $NAME. Log: journalctl -u $NAME"
}

uninstall() {
    if [ $is_purge = yes ]; then confirm_purge; fi
    if is_booted; then systemctl --quiet disable --now $UNIT 2>/dev/null || true; else systemctl --quiet disable $UNIT 2>/dev/null || true; fi
    rm -f "$UNITS/$UNIT" $MANUAL $COMPLETION "$UNITS/$UNIT.d"/device-*.conf "$UNITS/$UNIT.d"/group-*.conf
    rmdir $UNITS/$UNIT.d 2>/dev/null || true
    if [ "$(readlink $COMMAND)" = $HOME_DIR/bin/edge-runtime ]; then rm -f $COMMAND; fi
    rm -rf $HOME_DIR
    if is_booted; then systemctl daemon-reload; systemctl reset-failed $UNIT 2>/dev/null || true; fi
    say "the program is removed"
    if [ $is_purge = yes ]; then
        rm -rf $STATE $CONFIG
        if getent passwd $NAME >/dev/null; then userdel $NAME 2>/dev/null; fi
        if getent group $NAME >/dev/null; then groupdel $NAME; fi
        say "removed too: $STATE, $CONFIG, user and group $NAME"
    elif [ -e $STATE ] || [ -e $CONFIG ]; then
        say "kept: the state in $STATE (keys, objects), the configuration in $CONFIG, the user $NAME. An installation takes them up again; --uninstall --purge removes them"
    fi
}

confirm_purge() {
    [ $is_yes = yes ] && return
    [ -t 0 ] || misuse "--purge removes the keys and the objects in $STATE for ever; to go on without a question: --yes"
    printf '%s' "This removes $STATE for ever: the keys of this device and the objects that live only here. Go on? Write yes: "
    read -r answer
    [ "$answer" = yes ] || stop "nothing was removed"
}

read_options "$@"
check_machine
take_lock
$action
