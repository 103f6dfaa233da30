"""Commands about the device: run it, its name, fleet, radio and facts, and what it knows of others."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...base.errors import Exit, UsageError
from ...client import default_state
from .console import ask, read_duration_ms, read_pair, say
from .files import write_file


def run(options: Namespace) -> int:
    """Run the daemon in the foreground until it is told to stop."""
    from ..lean import import_asyncio

    import_asyncio()  # first of all
    from ..options import RunOptions
    from ..runtime import run_daemon

    return run_daemon(
        RunOptions(
            state=state_of(options),
            config=Path(options.config) if options.config else None,
            name=options.name,
            apps=tuple(options.app),
            capabilities=tuple(options.capability),
            resources=tuple(options.resource),
            listen=options.listen,
            web=options.web,
            peers=tuple(options.peer),
            interfaces=tuple(options.interface),
            log_level=options.log_level,
        )
    )


def state_of(options: Namespace) -> Path:
    """Return the state directory that the options mean."""
    return Path(options.state) if options.state else default_state()


MAKES_A_DEVICE = ("fleet-create", "init", "join", "radio")  # what makes sense before the first `run`


def ask_or_open(options: Namespace, command: str, **fields: Any) -> Any:
    """Ask the daemon if one runs on the state; otherwise open the state here, under its lock.

    Raises:
        UsageError: refused; or no device is there, and the command is none that makes one. Nothing was made.
    """
    try:
        return ask(options, command, **fields)
    except UsageError as error:
        if error.exit is not Exit.NO_DAEMON:
            raise
    import msgspec

    from ...node.commands import Command
    from ..local import answer_locally

    try:
        parsed: Command = msgspec.convert({"command": command, **fields}, Command)
    except msgspec.ValidationError as error:
        raise UsageError(f"{command}: {error}.") from None
    state = state_of(options)
    if command not in MAKES_A_DEVICE and not (state / "spool.db").exists():
        # Were one made here, a device of the machine's own (/run) would not be found any more by this user.
        what = f"No daemon answers, and no device is in {state}. Start one with `edge-runtime run`, or name its " \
            "directory with --state DIR."
        raise UsageError(what, Exit.NO_DAEMON)
    return answer_locally(state, parsed)


def init(options: Namespace) -> int:
    """Make the device's key where there is none, and name the device."""
    return say(options, "init", ask_or_open(options, "init", name=options.name))


def fleet(options: Namespace) -> int:
    """Make a fleet, or show this device's."""
    if options.what == "show":
        if options.name:
            raise UsageError("fleet show takes no name: it shows this device's fleet.")
        return say(options, "fleet", ask_or_open(options, "fleet-show"))
    if options.what in ("backup", "restore"):
        from .upkeep import back_up_root, restore_root

        return back_up_root(options) if options.what == "backup" else restore_root(options)
    if not options.name:
        raise UsageError("fleet create NAME: the fleet needs a name.")
    return say(options, "fleet-create", ask_or_open(options, "fleet-create", name=options.name))


def grant(options: Namespace) -> int:
    """Sign a device's membership and write the file that it joins with."""
    roles = [role.strip() for role in options.roles.split(",") if role.strip()]
    value = ask_or_open(options, "grant", device=options.device, roles=roles, replaces=options.replaces)
    write_file(options.output, bytes.fromhex(value.pop("file")))
    return say(options, "grant", {**value, "file": options.output})


def revoke(options: Namespace) -> int:
    """Withdraw a device's grants, or declare it compromised from a sequence on."""
    value = ask_or_open(
        options, "revoke", device=options.device, from_sequence=options.from_sequence, operations=options.operations
    )
    return say(options, "revoke", value)


def radio(options: Namespace) -> int:
    """Transmit nothing at all, or speak again."""
    return say(options, "radio", ask_or_open(options, "radio", on=options.switch == "on"))


def fact(options: Namespace) -> int:
    """Set a fact of this device."""
    name, value = read_pair("fact set", options.assignment, "door.open=true")
    fields: dict[str, Any] = {"name": name, "value": value}
    if options.max_age:
        fields["max_age_ms"] = read_duration_ms("--max-age", options.max_age)
    return say(options, "fact", ask(options, "fact", **fields))


def event(options: Namespace) -> int:
    """Raise a named event on this device."""
    return say(options, "event", ask(options, "event", name=options.name))


def contacts(options: Namespace) -> int:
    """List the last contacts."""
    return say(options, "contacts", ask(options, "contacts", most=options.most))


def query(options: Namespace) -> int:
    """Print the rows of one SELECT."""
    return say(options, "query", ask(options, "query", sql=options.sql))


def demo(options: Namespace) -> int:
    """Tell the whole story on this machine."""
    from .demo import run_demo

    return run_demo(options)


def _plain(command: str) -> Callable[[Namespace], int]:
    def run_plain(options: Namespace) -> int:
        return say(options, command, ask(options, command))

    return run_plain


COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "apps": _plain("apps"),
    "contacts": contacts,
    "demo": demo,
    "event": event,
    "fact": fact,
    "facts": _plain("facts"),
    "fleet": fleet,
    "grant": grant,
    "init": init,
    "peers": _plain("peers"),
    "query": query,
    "radio": radio,
    "revoke": revoke,
    "run": run,
    "status": _plain("status"),
}
