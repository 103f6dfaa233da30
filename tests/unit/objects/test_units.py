"""Units of shared work in the fold: sets that come out the same in whatever order they came in."""

from __future__ import annotations

from random import Random

import pytest

from edge_runtime.base.limits import CLAIM_MS_MAX, CLAIMS_EACH_MAX, UNIT_PARTS_MAX, UNITS_MAX
from edge_runtime.objects.bodies import UnitSealed
from edge_runtime.objects.codec import encode_value
from edge_runtime.objects.intents import hash128
from edge_runtime.objects.units import Announcement, Said, Units, announcements

ONE, TWO, THREE = b"1" * 32, b"2" * 32, b"3" * 32
ROOMS = Announcement("search", ("a", "b", "c"), 100, 2)


def said(what: Said, unit: str = "a", permille: int = 0, value: object = None) -> UnitSealed:
    return UnitSealed("search", unit, int(what), permille, b"" if value is None else encode_value(value))


def winner(units: Units, age_ms: int = 10) -> bytes | None:
    claim = units.standing(ROOMS, age_ms).get("a")
    return None if claim is None else claim.device


def test_of_two_claims_of_one_unit_progress_wins_and_then_the_lower_hash() -> None:
    """Behaviour: 13.3."""
    first = min((ONE, TWO), key=lambda device: hash128(b"a" + device))
    other = TWO if first == ONE else ONE
    units = Units()
    units.keep(said(Said.CLAIM), ONE, 1, b"r1", 0)
    units.keep(said(Said.CLAIM), TWO, 1, b"r2", 0)
    assert winner(units) == first
    units.keep(said(Said.PROGRESS, permille=300, value=["half a room"]), other, 2, b"r3", 5)
    assert winner(units) == other
    assert set(units.claims[("search", "a")]) == {ONE, TWO}, "both claims are kept"


def test_results_of_one_unit_stand_side_by_side_and_of_one_device_the_first_counts() -> None:
    """Behaviour: 13.3, 13.4: a contradiction is shown, not overwritten."""
    units = Units()
    units.keep(said(Said.RESULT, value="clear"), ONE, 3, b"r1", 5)
    units.keep(said(Said.RESULT, value="victim"), TWO, 9, b"r2", 9)
    units.keep(said(Said.RESULT, value="changed my mind"), ONE, 7, b"r3", 8)
    found = units.results[("search", "a")]
    assert {device: result.value for device, result in found.items()} == {
        ONE: encode_value("clear"), TWO: encode_value("victim"),
    }  # fmt: skip
    assert units.open_units(ROOMS, 10) == ["b", "c"] and winner(units) is None


def test_a_claim_lapses_after_its_time_and_progress_renews_it() -> None:
    """Behaviour: 13.2, 13.7."""
    units = Units()
    units.keep(said(Said.CLAIM), ONE, 1, b"r1", 50)
    assert winner(units, 149) == ONE and winner(units, 150) is None
    assert units.next_lapse_ms(ROOMS, 60) == 150
    units.keep(said(Said.PROGRESS, permille=10), ONE, 2, b"r2", 140)
    assert winner(units, 239) == ONE and winner(units, 240) is None


def test_of_the_claims_of_one_device_only_the_first_ones_stand() -> None:
    """Behaviour: 13.7."""
    units = Units()
    for height, unit in enumerate("cab"):
        units.keep(said(Said.CLAIM, unit), ONE, height, b"r", 0)
    assert sorted(units.standing(ROOMS, 10)) == ["a", "c"]
    assert units.open_units(ROOMS, 10) == ["b"]


@pytest.mark.parametrize("seed", range(20))
def test_no_order_of_arrival_shows(seed: int) -> None:
    """Behaviour: 12.3, 13.3."""
    chance = Random(seed)
    records = [
        (said(chance.choice(list(Said)), chance.choice("abc"), chance.randrange(1_001), chance.randrange(3)),
         chance.choice((ONE, TWO, THREE)), n // 3, bytes([n]), chance.randrange(200))
        for n in range(30)
    ]  # fmt: skip
    states = []
    for _ in range(3):
        units = Units()
        for record in chance.sample(records, len(records)):
            units.keep(*record)
        states.append((units.to_plain(), {unit: c.device for unit, c in units.standing(ROOMS, 150).items()}))
    assert states[0] == states[1] == states[2]


@pytest.mark.parametrize(
    "value",
    [
        None, [], {"units": ["a"]}, {"units": [], "claim_ms": 1, "claims_each": 1},
        {"units": ["a", "a"], "claim_ms": 1, "claims_each": 1}, {"units": [7], "claim_ms": 1, "claims_each": 1},
        {"units": [""], "claim_ms": 1, "claims_each": 1}, {"units": ["a"], "claim_ms": 0, "claims_each": 1},
        {"units": ["a"], "claim_ms": CLAIM_MS_MAX + 1, "claims_each": 1},
        {"units": ["a"], "claim_ms": 1, "claims_each": CLAIMS_EACH_MAX + 1},
        {"units": [str(n) for n in range(UNITS_MAX + 1)], "claim_ms": 1, "claims_each": 1},
    ],
    ids=range(11),
)  # fmt: skip
def test_a_published_value_that_is_no_announcement_announces_nothing(value: object) -> None:
    """What a custodian publishes under such a name may be anything; nobody works on it, nobody falls over it."""
    assert announcements({"units.search": encode_value(value), "other": b"\xf6"}) == []


def test_an_announcement_comes_back_as_it_was_made() -> None:
    assert announcements({"units.search": encode_value(ROOMS.to_value())}) == [ROOMS]


def test_a_claim_from_the_future_does_not_stand_and_keeps_a_unit_for_no_longer() -> None:
    """Behaviour: 13.7: an age is its author's word, believed within the time that a claim stands."""
    units = Units()
    units.keep(said(Said.CLAIM), ONE, 1, b"r1", 10**9)
    stood = [age_ms for age_ms in range(10**9 - 300, 10**9 + 300, 10) if winner(units, age_ms) == ONE]
    assert winner(units, 10) is None
    assert len(stood) * 10 == 2 * ROOMS.claim_ms, "from one claim's time before its age to one after it"
    units.keep(said(Said.CLAIM), TWO, 2, b"r2", 10)
    units.keep(said(Said.PROGRESS, permille=1_000), TWO, 3, b"r3", 2 * 10**9)
    assert winner(units, 10) is None, "progress from the future takes the author's own claim with it"


def test_parts_of_a_unit_are_kept_side_by_side_in_one_order() -> None:
    """Behaviour: 13.3: partial work of both is there, with who had it, in whatever order it came."""
    told = [(Said.PROGRESS, 300, "north", ONE, 2), (Said.PROGRESS, 600, "south", TWO, 2), (Said.PROGRESS, 700, None, ONE, 3)]
    plain = []
    for order in (told, told[::-1]):
        units = Units()
        for what, permille, part, device, height in order:
            units.keep(said(what, permille=permille, value=part), device, height, device[:2], 5)
        assert [(part.device, part.permille) for part in units.parts_of("search", "a")] == [(ONE, 300), (TWO, 600)]
        plain.append(units.to_plain())
    assert plain[0] == plain[1]


def test_of_one_device_so_many_parts_of_a_unit_go_to_the_next_worker_and_no_more() -> None:
    """Behaviour: 13.3: bounded, whatever a device tells."""
    units = Units()
    for number in range(UNIT_PARTS_MAX + 5):
        units.keep(said(Said.PROGRESS, value=number), ONE, number, b"r", 5)
    units.keep(said(Said.PROGRESS, value="other"), TWO, 0, b"r", 5)
    assert len(units.parts_of("search", "a")) == UNIT_PARTS_MAX + 1
