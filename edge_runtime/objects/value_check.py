"""Whether the values inside a record are what the fold and a body read in them: what every reader must agree on."""

from __future__ import annotations

from . import bodies as b
from .codec import decode_value
from .trigger_check import check_trigger


def check_values(body: b.Body) -> None:
    """Check what a sealed part carries as bytes and what must be read to fold it or to resume a body by it.

    Of a custodian's own words only those that the fold reads are checked: what else it wrote, its body meets.

    Raises:
        PeerError: not the canonical CBOR of a value, or no trigger: the entry is void for whoever can read it.
    """
    match body:
        case b.DormantSealed(trigger=trigger):
            check_trigger(trigger)
        case b.SignalledSealed(value=value):
            decode_value(value)
        case b.UnitSealed(value=value) if value:
            decode_value(value)
        case b.CreatedSealed(arguments=arguments) | b.RefinedSealed(arguments=arguments):
            decode_value(arguments)
        case _:
            pass
