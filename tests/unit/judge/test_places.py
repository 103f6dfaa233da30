"""Whom to ask of several peers that can answer."""

from __future__ import annotations

from edge_runtime.judge.evaluate import Action, Decision
from edge_runtime.judge.places import choose_peer

GO = Decision(Action.EXECUTION, "go")


def sleep(until_ms: int | None, *facts: str) -> Decision:
    return Decision(Action.DORMANCY, f"until {until_ms}", until_ms, facts)


def choose(decisions: dict[str, Decision], silent: dict[str, int] | None = None) -> tuple[str, Decision]:
    return choose_peer(tuple(decisions), lambda peer: (silent or {}).get(peer, 0), decisions.__getitem__)


def test_the_first_that_may_be_asked_is_asked() -> None:
    """Behaviour: 6.14: who backs off from one asks the next at once."""
    assert choose({"a": GO, "b": GO}) == ("a", GO)
    assert choose({"a": sleep(9_000), "b": GO}) == ("b", GO)


def test_one_that_was_silent_twice_is_asked_last() -> None:
    """Behaviour: 7.3."""
    assert choose({"a": GO, "b": GO}, {"a": 1})[0] == "a"
    assert choose({"a": GO, "b": GO}, {"a": 2})[0] == "b"
    assert choose({"a": GO, "b": sleep(5)}, {"a": 2})[0] == "a", "rather than nobody"
    assert choose({"a": GO, "b": GO}, {"a": 2, "b": 3})[0] == "a"


def test_if_none_may_be_asked_the_soonest_time_and_every_fact_count() -> None:
    never = Decision(Action.TERMINATION, "too late", 1)
    peer, found = choose({"a": sleep(None, "link"), "b": sleep(9_000, "policy.version"), "c": sleep(12_000), "d": never})
    assert (peer, found.until_age_ms, found.facts) == ("b", 9_000, ("link", "policy.version"))
    assert choose({"a": sleep(None, "link"), "d": never})[0] == "a"


def test_a_single_peer_is_judged_as_it_is() -> None:
    found = sleep(None, "link")
    assert choose({"a": found}, {"a": 7}) == ("a", found)
