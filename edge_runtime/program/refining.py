"""`ctx.refine`: asking for less than the intent asked for, and saying so in the object's history."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from msgspec import Struct

from ..base.errors import UsageError
from ..base.limits import ARGUMENTS_BYTES_MAX, ERROR_TEXT_BYTES_MAX
from ..objects.refining import leave_name
from .arguments import Duration
from .calls import InputWait
from .errors import RefinementRefused
from .payloads import decode_payload, encode_payload
from .waiting import Waiting

T = TypeVar("T")


class RefineCalls(Waiting):
    """The intent, refined."""

    __slots__ = ()

    async def refine(self, value: T, reason: str = "", timeout: Duration | None = None) -> T:
        """Replace the intent's arguments by ones that ask for less, and return them as they were recorded.

        Inside the intent's declared degradations nobody is asked. What goes beyond them waits for leave: the object's
        maker or an operator sends the signal that `show` and `explain` name, with the value true.

        Args:
            value: of the one parameter, or a map of those parameters that change.
            reason: for people; at most ERROR_TEXT_BYTES_MAX bytes.
            timeout: of the wait for leave.

        Raises:
            RefinementRefused: it returns to what was asked before, or leave was refused.
            TimeoutError: nobody answered in time; take the cautious way.
            UsageError: the value does not fit the handler's parameters, or cannot be recorded.
        """
        ledger = self._ledger
        path = ledger.path_for("refine")
        if not isinstance(reason, str) or len(reason.encode("utf-8", "replace")) > ERROR_TEXT_BYTES_MAX:
            raise UsageError(f"a reason is a text of at most {ERROR_TEXT_BYTES_MAX} bytes")
        arguments = ledger.rebind(ledger.asked.now, value)
        if ledger.asked.was_left(arguments):
            raise RefinementRefused("it returns to what was asked before and refined away")
        why = ledger.asked.why_wider(arguments)
        if why:
            name = leave_name(ledger.asked.fingerprint(arguments))
            asking = InputWait(ledger.path_for(name), name, f"a refinement wants leave ({why}): signal {name} true")
            if await self._within(ledger.ask(asking), timeout, f"leave to refine: {why}") is not True:
                raise RefinementRefused(f"leave was refused: {why}")
        ledger.refine(path, arguments, reason, is_allowed=bool(why))
        data = encode_payload(value, "the refined arguments", ARGUMENTS_BYTES_MAX)
        return cast(T, decode_payload(data, _type_of(value), "the refined arguments"))


def _type_of(value: Any) -> Any:
    """Return the type as which a value comes back: its own if that can be read back, else plain data."""
    return type(value) if hasattr(type(value), "__dataclass_fields__") or isinstance(value, Struct) else Any
