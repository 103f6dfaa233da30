"""Gated steps: written down before they act, unknown where nobody can know, and never more than the rights held here."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime import App, Busy, Context, StepFailed, Unreachable
from edge_runtime.base.errors import UsageError
from edge_runtime.base.moment import Trust
from edge_runtime.node import commands as c
from edge_runtime.testing import Device, DevicePlan, World

RULES = ("ask", "resend", "stop")


class Sms:
    """An app that sends one message, and the log of what was really sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.errors: list[Exception] = []
        self.app = App("sms")
        self.app.intent("sms")(self.sms)
        self.app.intent("pay")(self.pay)
        self.app.intent("split")(self.split)

    def send(self, text: str) -> str:
        """Send it, or fail as is told."""
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(text)
        return f"sent {text}"

    async def sms(self, ctx: Context, rule: Any = "ask", late_s: float = 1e6, wait: str = "") -> str | None:
        """Send one message under a rule, after a signal if one is named."""
        if wait:
            await ctx.promise(wait)
        try:
            return await ctx.run(
                "send", self.send, "hello", effect="irreversible", not_after=late_s, on_unknown=rule
            )
        except StepFailed as failed:
            return failed.outcome.name.lower()

    async def pay(self, ctx: Context) -> list[str]:
        """Pay what each signal says until nothing is left."""
        said = []
        async for amount in ctx.signals("pay"):
            if not amount:
                return said
            try:
                await ctx.run("pay", self.send, str(amount), effect="bounded", rights={"money": amount, "count": 1})
                said.append(f"paid {amount}")
            except StepFailed as failed:
                said.append(failed.message)
            ctx.publish("said", said)
        return said

    async def split(self, ctx: Context) -> list[str]:
        """Pay three times at once."""
        import asyncio

        calls = [ctx.run(f"p{n}", self.send, str(n), effect="bounded", rights={"money": 4}) for n in range(3)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        return [item.message if isinstance(item, StepFailed) else str(item) for item in found]


def question_of(device: Device, reference: str) -> str:
    """Return the name of the signal that an object in doubt waits for."""
    reason = device.show(reference)["reason"]
    assert "unknown whether send happened" in reason, reason
    return str(next(word for word in reason.split() if word.startswith("unknown:")))


def rows_of(device: Device, reference: str, *kinds: str) -> list[tuple[str, str]]:
    return [
        (row["kind"], str(row["body"].get("outcome", ""))) for row in device.trace(reference) if row["kind"] in kinds
    ]  # fmt: skip


def rights_of(device: Device, reference: str) -> dict[str, tuple[int, int, int, int]]:
    rows = device.show(reference)["rights"]
    for row in rows:
        assert row["left"] + row["spent"] + row["offered"] + row["frozen"] == row["granted"]
    return {row["name"]: (row["left"], row["spent"], row["offered"], row["frozen"]) for row in rows}


# --- Irreversible ---------------------------------------------------------------------------------------------------


def test_an_irreversible_step_is_attempted_before_it_acts_and_its_result_counts() -> None:
    sms = Sms()
    world = World("base", apps=[sms.app])
    base = world.device("base")
    base.submit("sms", name="one")
    world.run(seconds=1)
    assert base.show("one")["result"] == "sent hello" and sms.sent == ["hello"]
    assert [kind for kind, _ in rows_of(base, "one", "attempted", "executed")] == ["attempted", "executed"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("is_before", [True, False])
def test_a_death_between_attempt_and_outcome_is_unknown_and_the_rule_decides(rule: str, is_before: bool) -> None:
    """Behaviours: 7.7, 15.5: before the step began, and while it ran; nothing is guessed."""
    sms = Sms()
    world = World("base", apps=[sms.app])
    base = world.device("base")
    world.takes("send", minutes=1)
    if is_before:
        base.submit("sms", {"rule": rule, "wait": "go"}, name="one")
        world.crash("base", at_commit=True)
        assert base.signal("one", "go") is None, "the process died before it answered"
    else:
        base.submit("sms", {"rule": rule}, name="one")
        world.run(seconds=1)
        world.crash("base")
    world.run(hours=2)
    begun = 0 if is_before else 1
    if rule == "stop":
        assert base.show("one")["result"] == "unknown" and len(sms.sent) == begun
    elif rule == "resend":
        assert base.show("one")["result"] == "sent hello" and len(sms.sent) == begun + 1
        attempts = {row["body"]["attempt"] for row in base.trace("one") if row["kind"] == "attempted"}
        assert len(attempts) == 1
    else:
        question_of(base, "one")
        assert len(sms.sent) == begun
    assert rows_of(base, "one", "executed")[0] == ("executed", "unknown")


def in_doubt(sms: Sms) -> tuple[World, Device, str]:
    """Return a world whose object waits for an operator's word."""
    world = World("base", apps=[sms.app])
    base = world.device("base")
    world.takes("send", minutes=1)
    base.submit("sms", name="one")
    world.run(seconds=1)
    world.crash("base")
    world.run(hours=1)
    return world, base, question_of(base, "one")


def test_an_operator_who_says_that_it_happened_lets_the_body_go_on_without_a_result() -> None:
    """Behaviour: 15.5."""
    sms = Sms()
    world, base, name = in_doubt(sms)
    base.signal("one", name, "perhaps")
    world.run(hours=1)
    assert base.show("one")["status"] == "dormant"
    base.signal("one", name, True)
    world.run(hours=1)
    assert (base.show("one")["end"], base.show("one")["result"], len(sms.sent)) == ("completed", None, 1)
    world.crash("base")
    assert base.show("one")["result"] is None


def test_an_operator_who_says_that_it_did_not_has_it_sent_again_and_is_asked_again_after_the_next_death() -> None:
    """Behaviour: 15.5: one word of an operator is good for one try, even if it was said twice."""
    sms = Sms()
    world, base, name = in_doubt(sms)
    world.crash("base", restart=False)
    world.restart("base")
    base.signal("one", name, False)
    world.run(seconds=20)
    assert len(sms.sent) == 2
    base.signal("one", name, False)  # said again, while the second try runs: of that one it knows nothing
    world.crash("base")
    world.run(hours=1)
    assert question_of(base, "one") == name and len(sms.sent) == 2
    base.signal("one", name, False)
    world.run(hours=1)
    assert base.show("one")["result"] == "sent hello" and len(sms.sent) == 3
    assert base.show("one")["signals_waiting"] == []


def test_only_an_operator_says_whether_it_happened() -> None:
    sms = Sms()
    world = World("base", DevicePlan("helper", roles=("executor",)), apps=[sms.app])
    world.link("base", "helper", up=True)
    base, helper = world.device("base"), world.device("helper")
    world.takes("send", minutes=1)
    base.submit("sms", name="one")
    world.run(seconds=1)
    world.crash("base")
    world.run(hours=1)
    with pytest.raises(UsageError, match="operator"):
        helper.signal("one", question_of(base, "one"), True)
    world.run(hours=1)
    assert base.show("one")["status"] == "dormant"


@pytest.mark.parametrize(
    ("error", "outcome", "sent"),
    [
        (RuntimeError("it broke"), "unknown", 0),
        (TimeoutError("silence"), "unknown", 0),
        (Unreachable("no route"), "sent hello", 1),
        (Busy("come again", 30), "sent hello", 1),
    ],
)
def test_what_leaves_open_whether_it_happened_is_unknown_and_what_denies_it_is_tried_again(
    error: Exception, outcome: str, sent: int
) -> None:
    """Behaviour: 15.1: at most once as declared, by evidence and not by guess."""
    sms = Sms()
    sms.errors.append(error)
    world = World("base", apps=[sms.app])
    world.device("base").submit("sms", {"rule": "stop"}, name="one")
    world.run(hours=3)
    assert (world.device("base").show("one")["result"], len(sms.sent)) == (outcome, sent)


def test_a_step_that_comes_too_late_is_denied_and_runs_nothing() -> None:
    """Behaviour: 15.9."""
    sms = Sms()
    world = World("base", apps=[sms.app])
    base = world.device("base")
    base.submit("sms", {"late_s": 60, "wait": "go"}, name="one")
    world.run(seconds=61)
    base.signal("one", "go")
    world.run(seconds=1)
    assert base.show("one")["result"] == "refused" and sms.sent == []
    assert rows_of(base, "one", "attempted", "executed", "denied") == [("denied", "")]


def test_a_step_that_may_not_be_late_is_denied_while_the_age_is_a_lower_bound() -> None:
    """Behaviour: 15.9: the power was off for nobody knows how long."""
    sms = Sms()
    world = World(DevicePlan("base", trust=Trust.NONE), apps=[sms.app])
    base = world.device("base")
    base.submit("sms", {"late_s": 3_600, "wait": "go"}, name="one")
    world.crash("base", power_cut=True)
    base.signal("one", "go")
    world.run(seconds=1)
    assert base.show("one")["result"] == "refused" and sms.sent == []
    (denied,) = [row["body"] for row in base.trace("one") if row["kind"] == "denied"]
    assert denied["rule"].startswith("age unknown: at least")


def test_a_step_that_waits_until_it_is_too_late_is_told_so_at_that_time() -> None:
    """Behaviour: 15.9: the age wakes the object; it does not sleep on what cannot begin any more."""
    sms = Sms()
    sms.errors.extend(Unreachable("no route") for _ in range(1_000))
    world = World("base", apps=[sms.app])
    world.device("base").submit("sms", {"late_s": 3_600}, name="one")
    world.run(minutes=59)
    assert world.device("base").show("one")["status"] == "dormant"
    world.run(minutes=2)
    assert world.device("base").show("one")["result"] == "refused"


@pytest.mark.parametrize("rule", RULES)
def test_on_a_claimed_branch_an_unrecorded_step_is_unknown_and_not_run(rule: str) -> None:
    """Behaviour: 15.10: whatever the old custodian did."""
    sms = Sms()
    world = World("drone", "base", apps=[sms.app])
    drone, base = world.device("drone"), world.device("base")
    world.link("drone", "base", up=True)
    drone.submit("sms", {"rule": rule, "wait": "go"}, name="one")
    world.run(seconds=5)
    world.link("drone", "base", up=False)
    drone.signal("one", "go")
    world.run(minutes=1)
    assert drone.show("one")["result"] == "sent hello"
    base.ask(c.Claim("one"))
    base.signal("one", "go")
    world.run(hours=1)
    assert rows_of(base, "one", "executed")[0] == ("executed", "unknown")
    if rule == "ask":
        assert len(sms.sent) == 1
        base.signal("one", question_of(base, "one"), True)
        world.run(hours=1)
    assert base.show("one")["result"] == {"ask": None, "stop": "unknown", "resend": "sent hello"}[rule]
    assert len(sms.sent) == (2 if rule == "resend" else 1)


def test_custody_that_was_accepted_leaves_nothing_unknown() -> None:
    sms = Sms()
    world = World("drone", "base", apps=[sms.app])
    world.link("drone", "base", up=True)
    world.device("drone").submit("sms", {"wait": "go"}, name="one")
    world.run(seconds=5)
    world.device("drone").ask(c.Hand("base", "one"))
    world.run(seconds=5)
    base = world.device("base")
    base.signal("one", "go")
    world.run(seconds=5)
    assert (base.show("one")["result"], base.show("one")["epoch"]) == ("sent hello", 1)


# --- Bounded --------------------------------------------------------------------------------------------------------


def pay(world: World, device: Device, *amounts: int) -> None:
    for amount in amounts:
        device.signal("w", "pay", amount)
        world.run(seconds=30)


def test_a_wallet_pays_up_to_its_rights_and_not_once_more() -> None:
    """Behaviour: 15.8: refused before it acts; by amount and by count."""
    sms = Sms()
    world = World("base", apps=[sms.app])
    base = world.device("base")
    base.submit("pay", name="w", rights={"money": 50, "count": 4})
    pay(world, base, 20, 20, 11, 5)
    assert base.show("w")["published"]["said"] == [
        "paid 20", "paid 20", "rights: 11 money asked, 10 left", "paid 5",
    ]  # fmt: skip
    pay(world, base, 1, 1)
    assert base.show("w")["published"]["said"][-2:] == ["paid 1", "rights: 1 count asked, 0 left"]
    assert sms.sent == ["20", "20", "5", "1"]
    assert rights_of(base, "w") == {"count": (0, 4, 0, 0), "money": (4, 46, 0, 0)}


def test_steps_that_are_released_together_never_spend_more_than_is_there() -> None:
    sms = Sms()
    world = World("base", apps=[sms.app])
    base = world.device("base")
    base.submit("split", name="w", rights={"money": 10})
    world.run(minutes=1)
    assert base.show("w")["result"] == ["sent 0", "sent 1", "rights: 4 money asked, 2 left"]
    assert rights_of(base, "w") == {"money": (2, 8, 0, 0)}


def test_each_try_spends_whatever_comes_of_it() -> None:
    """Behaviour: 15.8: left = granted minus distinct (attempt id, try)."""
    sms = Sms()
    sms.errors.append(Unreachable("no route"))
    world = World("base", apps=[sms.app])
    base = world.device("base")
    base.submit("pay", name="w", rights={"money": 50, "count": 9})
    pay(world, base, 20)
    world.run(hours=1)
    assert rights_of(base, "w")["money"] == (10, 40, 0, 0) and sms.sent == ["20"]


def test_a_death_in_a_bounded_step_has_spent_its_rights() -> None:
    """Behaviours: 7.7, 15.8, P10."""
    sms = Sms()
    world = World("base", apps=[sms.app])
    base = world.device("base")
    world.takes("pay", minutes=1)
    base.submit("pay", name="w", rights={"money": 50, "count": 9})
    base.signal("w", "pay", 20)
    world.run(seconds=1)
    world.crash("base")
    world.run(hours=1)
    assert rights_of(base, "w")["money"] == (30, 20, 0, 0)
    assert rows_of(base, "w", "executed") == [("executed", "unknown")]


def test_rights_move_with_custody_and_are_not_there_twice() -> None:
    """Behaviours: 15.8, 19.4: spent for the offerer at the offer, held by the receiver with its acceptance."""
    sms = Sms()
    world = World("issuer", "wallet", apps=[sms.app])
    issuer, wallet = world.device("issuer"), world.device("wallet")
    world.link("issuer", "wallet", up=True)
    issuer.submit("pay", name="w", rights={"money": 50, "count": 9})
    world.run(seconds=5)
    world.link("issuer", "wallet", up=False)
    issuer.ask(c.Hand("wallet", "w"))
    assert rights_of(issuer, "w")["money"] == (0, 0, 50, 0)
    world.link("issuer", "wallet", up=True)
    world.run(seconds=5)
    assert rights_of(wallet, "w")["money"] == (50, 0, 0, 0)
    pay(world, wallet, 20)
    assert rights_of(issuer, "w")["money"] == (30, 20, 0, 0) and sms.sent == ["20"]


def test_an_offer_that_expires_and_a_claim_carry_no_rights() -> None:
    """Behaviours: 15.8, 15.2: what may be spent elsewhere is frozen here."""
    sms = Sms()
    world = World("issuer", "wallet", apps=[sms.app])
    issuer, wallet = world.device("issuer"), world.device("wallet")
    world.link("issuer", "wallet", up=True)
    for name in ("w", "v"):
        issuer.submit("pay", name=name, rights={"money": 50, "count": 9})
    world.run(seconds=5)
    world.link("issuer", "wallet", up=False)
    issuer.ask(c.Hand("wallet", "w"))
    world.run(hours=25)
    assert rights_of(issuer, "w")["money"] == (0, 0, 0, 50)
    wallet.ask(c.Claim("v"))
    wallet.signal("v", "pay", 20)
    issuer.signal("v", "pay", 20)
    world.run(minutes=1)
    assert rights_of(wallet, "v")["money"] == (0, 0, 0, 50)
    assert wallet.show("v")["published"]["said"] == ["rights: 1 count asked, 0 left"]
    assert sms.sent == ["20"], "the old custodian still holds them"


def test_the_same_name_with_other_rights_is_another_submission() -> None:
    world = World("base", apps=[Sms().app])
    base = world.device("base")
    base.submit("pay", name="w", rights={"money": 50})
    with pytest.raises(UsageError, match="rights"):
        base.submit("pay", name="w", rights={"money": 51})
    assert base.submit("pay", name="w", rights={"money": 50})["rights"][0]["granted"] == 50
