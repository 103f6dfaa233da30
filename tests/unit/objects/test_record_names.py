"""Records by kind and name."""

from __future__ import annotations

from edge_runtime.objects import bodies as b
from edge_runtime.objects.kinds import Kind
from edge_runtime.objects.record_names import has_outcome, names_of
from edge_runtime.objects.records import Record, make


def test_a_record_is_known_by_its_kind_and_by_its_own_name() -> None:
    """Behaviour: 4.2."""
    executed = make(
        Kind.EXECUTED, b.Empty(),
        b.ExecutedSealed(bytes(16), 1, "0/0/shoot:1", bytes(16), 0, "", "", "", 3, False, b"", "", "", 0, None, 0, ""),
    )  # fmt: skip
    assert names_of(executed) == ("executed", "shoot") and has_outcome(executed, 3) and not has_outcome(executed, 0)
    assert names_of(make(Kind.SIGNALLED, b.Empty(), b.SignalledSealed("go", b"\xf6"))) == ("signalled", "go")
    assert names_of(make(Kind.PUBLISHED, b.Empty(), b.PublishedSealed("0/0/n:1", "n", b"\xf6"))) == ("published", "n")
    assert names_of(Record(63, b"\x80", None)) == ("63",)
