"""Checks of the daemon, its links and its peers."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from ...base.errors import Exit, UsageError
from ...base.limits import DOCTOR_ASK_S_MAX
from ...base.units import MIB, format_duration
from ...client import BlockingClient
from ..config import read_config
from ..control import CREDENTIALS
from ..interfaces import Interface
from ..netlink import LinkListener
from .finding import Finding, Known, Place, fine, warn, wrong
from .multicast import count_neighbours, judge, probe

ARP = Path("/proc/net/arp")
SPOOL_FULL_PERCENT = 90  # of its bound: soon only what is evicted makes room
PACKAGE = Path(__file__).resolve().parents[2]


def ask_daemon(place: Place) -> Known:
    """Ask the daemon for status and peers, and see which process answers; a daemon that does not answer is said so."""
    socket.setdefaulttimeout(DOCTOR_ASK_S_MAX)  # of the client's own socket: a daemon that hangs is a finding
    try:
        with BlockingClient(place.named) as client:
            found, peers = client.ask("status"), client.ask("peers")
        return Known(found, tuple(peers), _process_of(client.path))
    except UsageError as error:
        return Known(why_not=error.message, is_refused=error.exit is Exit.REFUSED)
    except (OSError, ValueError) as error:
        return Known(why_not=f"it does not answer: {error}")
    finally:
        socket.setdefaulttimeout(None)


def _process_of(path: Path) -> int | None:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
            made.connect(str(path))
            found = made.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    except OSError:
        return None
    return int(CREDENTIALS.unpack(found)[0])


def check_daemon(known: Known) -> list[Finding]:
    """Whether a daemon runs, of the installed version, and what it says of itself."""
    status = known.status
    if status is None:
        if known.is_refused:
            return []  # said of the socket
        do = "Start it: `systemctl start edge-runtime`, or `edge-runtime run`."
        return [warn("daemon", known.why_not.partition(". ")[0] + ".", do)]
    found = [_check_age(known.process)]
    if status.get("trouble"):
        found.append(wrong("daemon", f"Trouble: {status['trouble']}.", "See the disk above, and the daemon's log."))
    found += _check_storage(status)
    drop = (status.get("drop") or {}).get("trouble")
    if drop:
        found.append(wrong("drop", f"{drop}.", "Put that right; files wait, and nothing is lost."))
    for failure in status.get("apps_failed", ()):
        found.append(wrong("apps", f"An app is not loaded: {failure}", "Mend it and start the daemon again."))
    if status.get("hung_threads"):
        says = f"{status['hung_threads']} step(s) never came back: each keeps a thread."
        found.append(warn("steps", says, "See the log for which; give such steps a `timeout=` of their own."))
    clock = status.get("clock") or {}
    if clock.get("problem"):
        found.append(warn("time", f"The daemon's time: {clock['problem']}.", clock["remedy"]))
    found += _check_identity(status, known)
    if status.get("held"):
        found.append(warn("held", "This device is held: no new effects.", "`edge-runtime release` ends it."))
    return found


def _check_identity(status: dict[str, Any], known: Known) -> list[Finding]:
    """Whether this device's card was restored or copied, and who else's was."""
    found: list[Finding] = []
    if status.get("quarantine"):
        do = "Bring it into contact with a device of its fleet. If none is left: `edge-runtime resume` with no object."
        found.append(wrong("quarantine", f"In quarantine: {status['quarantine']}. It writes nothing.", do))
    twins = [row["name"] or row["device"][:16] for row in known.peers if row.get("suspect")]
    if twins:
        do = "Find the copied card and stop it; then `edge-runtime revoke DEVICE`, and a new key for the board."
        found.append(wrong("twins", f"Two devices write with one key: {', '.join(twins[:8])}.", do))
    return found


def _check_storage(status: dict[str, Any]) -> list[Finding]:
    storage, used = status.get("storage", {}), status.get("bytes", {})
    if not storage.get("takes_in", True):
        do = "Make room: docs/disk.md says what takes it, and what goes first."
        return [wrong("storage", f"This device takes in nothing more: {storage.get('reason')}.", do)]
    limit, taken = used.get("limit"), used.get("used", 0)
    if not limit:
        return []
    says = f"The spool takes {taken / MIB:.1f} of {limit / MIB:.0f} MiB."
    if taken > limit * SPOOL_FULL_PERCENT // 100:
        return [warn("storage", says, "Raise `[store] max_bytes`, or end what is not needed: docs/disk.md.")]
    return [fine("storage", says)]


def _check_age(process: int | None, package: Path = PACKAGE) -> Finding:
    """Compare when the process began with when the package was written: who upgrades may forget to restart."""
    try:
        began_s = os.stat(f"/proc/{process}").st_mtime
        newest_s = max(file.stat().st_mtime for file in package.rglob("*.py"))
    except (OSError, ValueError):
        return fine("daemon", "The daemon answers.")
    if newest_s > began_s + 1:
        do = "Start it again: `systemctl restart edge-runtime`."
        return warn("daemon", f"The daemon (process {process}) began before the installed code was written.", do)
    return fine("daemon", f"The daemon answers (process {process}).")


def check_links(place: Place, known: Known, links: list[Interface] | None = None) -> list[Finding]:
    """Interfaces, multicast and peers; nothing is sent while the radio is off."""
    if links is None:
        try:
            links = asyncio.run(_read_links())
        except OSError as error:
            return [warn("link", f"The kernel does not tell of links: {error}.", "Look with `ip address`.")]
    wanted = _wanted_interfaces(place)
    outer = [link for link in links if not link.is_loopback]
    up = [link for link in outer if link.has_carrier and link.usable_addresses]
    found = [_judge_links(outer, up)]
    found += [
        wrong("link", f"The configuration names {name}, which is no interface here.", "Mend `[network] interfaces`.")
        for name in wanted if name not in {link.name: None for link in links}
    ]  # fmt: skip
    if known.is_refused:
        says = "Whether the radio is on is not told to you: multicast is not tried."
        return [*found, warn("radio", says, "Look as the daemon's user, or as a member of its group.")]
    if not is_radio_on(place, known):
        do = "`edge-runtime radio on` ends it."
        return [*found, warn("radio", "The radio is off: this device transmits nothing; multicast is not tried.", do)]
    asked = [link for link in up if link.can_multicast and (not wanted or link.name in wanted)]
    arp = ARP.read_text() if ARP.exists() else ""
    has_static = bool(_config_of(place, "peers"))
    found += [judge(heard, count_neighbours(arp, heard.interface), has_static) for heard in probe(asked)]
    return found + check_peers(known)


async def _read_links() -> list[Interface]:
    listener = LinkListener()
    await listener.start()
    try:
        return list(listener.table.interfaces)
    finally:
        listener.close()


def _judge_links(outer: list[Interface], up: list[Interface]) -> Finding:
    if up:
        names = ", ".join(f"{link.name} ({link.usable_addresses[0].text})" for link in up[:8])
        return fine("link", f"Up with an address: {names}.")
    if not outer:
        return warn("link", "This machine has no network interface.", "What needs another device waits for one.")
    lack = {link.name: "has no address" if link.has_carrier else "has no carrier" for link in outer[:8]}
    states = ", ".join(f"{name} {what}" for name, what in lack.items())
    return warn("link", f"No link is up: {states}.", "Nothing is lost: objects wait. Plug in, or see `ip address`.")


def check_peers(known: Known) -> list[Finding]:
    """Who was met, and whether any peer that is known has never been."""
    if known.status is None:
        return []
    others = [peer for peer in known.peers]
    now = [peer for peer in others if peer.get("connected")]
    trouble = known.status.get("links", {}).get("discovery_trouble")
    found = [warn("discovery", f"Discovery: {trouble}", "It is tried again at each link event.")] if trouble else []
    if now and known.status.get("links", {}).get("heard_by_multicast") == 0:
        says = "Peers are in contact, and none is heard by multicast: they were found by address."
        found.append(warn("discovery", says, "Others are found only if they are configured: see multicast above."))
    if now:
        return [*found, fine("peers", f"{len(now)} of {len(others)} known peers in contact.")]
    if not others:
        do = "Let a device in: `edge-runtime grant DEVICE -o FILE`."
        return [*found, fine("peers", f"No other device is known yet. {do}")]
    last = min((int(peer["last_ms"]) for peer in others if peer.get("last_ms") is not None), default=None)
    when = "none was met yet" if last is None else f"the last one was met {format_duration(last)} ago"
    return [*found, fine("peers", f"No peer is in contact; {when} ({len(others)} known).")]


def is_radio_on(place: Place, known: Known) -> bool:
    """Whether this device may transmit: as the daemon says, else as the spool remembers; unsure means silence."""
    if known.status is not None:
        return known.status.get("radio") == "on"
    file = place.state / "spool.db"
    if known.is_refused:
        return False
    if not file.exists():
        return True
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT value FROM meta WHERE name = 'radio'").fetchone()
    except sqlite3.Error:
        return False
    return row is None or bool(row[0])


def _wanted_interfaces(place: Place) -> list[str]:
    return _config_of(place, "interfaces")


def _config_of(place: Place, name: str) -> list[str]:
    if place.config is None:
        return []
    try:
        found: Any = getattr(read_config(place.config).network, name)
    except UsageError:
        return []  # said already
    return list(found)
