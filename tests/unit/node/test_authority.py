"""Authority in front of every effect: verdicts in the history, narrowed calls, and the second look before a step runs."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from edge_runtime import App, Context, Retry, Unreachable
from edge_runtime.base.errors import UsageError
from edge_runtime.base.moment import Moment, Trust
from edge_runtime.base.units import HOUR_MS, SECOND_MS
from edge_runtime.judge.policy import Policy
from edge_runtime.node import commands as c
from edge_runtime.node.authority import has_expired, is_in_force
from edge_runtime.node.effects import StartStep, Turn
from edge_runtime.objects.grants import Grant, GrantBody, MembershipFile, Role, issue_grant, verify_grant
from edge_runtime.objects.grants import spell_map as spell_grant
from edge_runtime.objects.cose import GRANT_AAD, sign1
from edge_runtime.objects.keys import SigningKey
from edge_runtime.testing import Device, DevicePlan, World
from edge_runtime.testing.device import WALL_START_MS

REJECT = Policy.parse('[[rule]]\nname = "never"\neffect = "reject"\n')
PERMIT = Policy.parse('[[rule]]\nname = "all"\neffect = "permit"\n')
SMALL = Policy.parse(
    """
[[rule]]
name = "small while low"
when = 'step.name == "upload" and battery.percent < 50'
effect = "constrain"
set = { max_bytes = 1000 }
timeout_ms = 5000
attempts = 2

[[rule]]
name = "all else"
effect = "permit"
"""
)


class Sent:
    """What the steps of one world were called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.fails = 0


def make_app(sent: Sent) -> App:
    app = App("uploads")

    def upload(file: str, max_bytes: int = 4000) -> int:
        sent.calls.append((file, max_bytes))
        if sent.fails:
            sent.fails -= 1
            raise Unreachable("no network")
        return max_bytes

    @app.intent("send")
    async def send(ctx: Context, note: str = "") -> int:
        return int(await ctx.run("upload", upload, "a.jpg", 5000, retry=Retry(attempts=9)))

    @app.intent("watch")
    async def watch(ctx: Context) -> Any:
        return await ctx.poll("door", every=60, until="open == True")

    @app.intent("plain")
    async def plain(ctx: Context) -> int:
        return int(await ctx.run("upload", upload, "b.jpg"))

    return app


def make_world(policy: Policy | None = None, *others: DevicePlan) -> tuple[World, Device, Sent]:
    sent = Sent()
    world = World(DevicePlan("base", policy=policy), *others, apps=[make_app(sent)])
    return world, world.device("base"), sent


def bodies(device: Device, reference: str, kind: str) -> list[dict[str, Any]]:
    return [row["body"] for row in device.trace(reference) if row["kind"] == kind]


def kinds(device: Device, reference: str) -> list[str]:
    return [row["kind"] for row in device.trace(reference)]


def test_a_constraint_lowers_what_the_step_receives_and_the_record_says_so() -> None:
    """Behaviour: 2.4. The attempt's id is that of the call as made: replay under any policy is equal."""
    attempts = []
    for policy in (PERMIT, SMALL):
        world, base, sent = make_world(policy)
        base.fact("battery.percent", 20)
        base.submit("send", name="one")
        world.run(seconds=1)
        assert base.show("one")["end"] == "completed"
        body = bodies(base, "one", "executed")[0]
        attempts.append((body["attempt"], body["fingerprint"]))
        most = 5000 if policy is PERMIT else 1000
        assert sent.calls == [("a.jpg", most)] and body["value"] == most
    assert attempts[0] == attempts[1]
    assert body["verdict"] == (
        "constrain: small while low [max_bytes 5000 to 1000, timeout 600000 to 5000 ms, attempts to 2] "
        f"(policy {SMALL.hash.hex()})"
    )


def test_a_constraint_holds_for_a_default_and_widens_nothing() -> None:
    """Behaviour: 2.4."""
    world, base, sent = make_world(SMALL)
    base.fact("battery.percent", 20)
    base.submit("plain", name="one")
    base.node.replace_policy(SMALL)
    world.run(seconds=1)
    assert sent.calls == [("b.jpg", 1000)]
    wide = Policy.parse('[[rule]]\nname = "wide"\neffect = "constrain"\nset = { max_bytes = 9000 }\nattempts = 99\n')
    world, base, sent = make_world(wide)
    base.submit("send", name="one")
    world.run(seconds=1)
    assert sent.calls == [("a.jpg", 5000)]
    assert "[max_bytes <= 9000, attempts <= 99]" in bodies(base, "one", "executed")[0]["verdict"]


def test_the_attempts_that_policy_leaves_are_counted() -> None:
    """Behaviour: 2.4: the narrowed budget of tries, not the call's nine."""
    world, base, sent = make_world(SMALL)
    base.fact("battery.percent", 20)
    sent.fails = 9
    base.submit("send", name="one")
    world.run(days=2)
    assert len(sent.calls) == 2
    assert base.show("one")["end"] == "failed"


def test_a_constraint_that_says_nothing_of_the_call_lets_it_not_run() -> None:
    """Behaviour: 2.3: a rule that fails defers, never permits."""
    policy = Policy.parse('[[rule]]\nname = "slow"\neffect = "constrain"\nset = { speed = 3 }\n')
    world, base, sent = make_world(policy)
    base.submit("send", name="one")
    world.run(hours=1)
    assert sent.calls == []
    assert base.show("one")["reason"] == "deferred by policy: slow"
    assert bodies(base, "one", "denied")[0]["rule"] == "slow"


def test_each_try_records_the_verdict_of_the_default_policy_too() -> None:
    world, base, _ = make_world()
    base.submit("plain", name="one")
    world.run(seconds=1)
    assert bodies(base, "one", "executed")[0]["verdict"] == f"permit: default (policy {Policy.default().hash.hex()})"


def change_on_release(world: World, base: Device, policy: Policy) -> None:
    """Change the policy between the commit that releases a step and the step itself."""

    def watch(device: Device, events: object, turn: Turn) -> None:
        if device is base and any(isinstance(effect, StartStep) for effect in turn.effects):
            base.set_policy(policy)

    world.watchers.append(watch)


def test_a_try_that_its_process_did_not_survive_keeps_its_verdict() -> None:
    """Behaviour: 1.5, 2.4: who permitted it is asked most of all when it did not come back."""
    world, base, _ = make_world(SMALL)
    base.fact("battery.percent", 20)
    world.takes("upload", seconds=3)
    base.submit("send", name="one")
    world.run(seconds=1)
    world.crash("base")
    world.run(minutes=5)
    first, second = bodies(base, "one", "executed")
    assert first["error_type"] == "ProcessDeath"
    assert first["verdict"] == second["verdict"] and first["verdict"].startswith("constrain: small while low [max_by")


def test_a_policy_that_changes_before_the_step_runs_keeps_it_from_running() -> None:
    """Behaviour: 2.8. The verdict permitted, the gate refuses: `denied`, nothing ran, no try is counted."""
    world, base, sent = make_world(PERMIT)
    change_on_release(world, base, REJECT)
    base.submit("plain", name="one")
    world.run(hours=1)
    assert sent.calls == []
    assert kinds(base, "one") == ["created", "denied", "dormant"]
    assert bodies(base, "one", "denied")[0]["policy"] == REJECT.hash.hex()
    assert base.show("one")["attempts"] == 0
    assert base.node.judgement.flights_count() == 0


def test_a_policy_that_permits_again_lets_the_same_try_run_once() -> None:
    """Behaviour: 2.8, 2.4: the verdict in the record is that of the policy under which it ran."""
    world, base, sent = make_world(PERMIT)
    change_on_release(world, base, SMALL)
    base.fact("battery.percent", 20)
    base.submit("send", name="one")
    world.run(hours=1)
    assert sent.calls == [("a.jpg", 1000)]
    body = bodies(base, "one", "executed")[0]
    assert body["try_number"] == 1 and body["verdict"].endswith(f"(policy {SMALL.hash.hex()})")


def test_a_refusal_is_written_once_and_a_day_of_facts_adds_nothing() -> None:
    """Behaviour: 4.6, 6.4."""
    policy = Policy.parse('[[rule]]\nname = "full"\nwhen = "battery.percent > 90"\neffect = "permit"\n')
    world, base, sent = make_world(policy)
    base.fact("battery.percent", 10)
    base.submit("plain", name="one")
    for percent in range(10, 60):
        base.fact("battery.percent", percent)
        world.run(minutes=20)
    assert kinds(base, "one") == ["created", "denied", "dormant"]
    assert bodies(base, "one", "denied")[0]["waits_for"] == "battery.percent, policy.version"
    base.set_policy(PERMIT)
    world.run(seconds=1)
    assert sent.calls == [("b.jpg", 4000)]
    assert kinds(base, "one")[3:] == ["reentered", "executed", "terminated"]


def test_a_fact_that_goes_to_and_fro_between_two_rules_adds_nothing_after_each_has_spoken() -> None:
    """Behaviour: 4.6: each rule says it once, then silence; what ends the sleep stays what any of them reads."""
    policy = Policy.parse(
        '[[rule]]\nname = "low"\nwhen = "x < 1"\neffect = "reject"\n'
        '[[rule]]\nname = "middle"\nwhen = "x < 9"\neffect = "defer"\n'
        '[[rule]]\nname = "high"\neffect = "permit"\n'
    )
    world, base, sent = make_world(policy)
    base.fact("x", 0)
    base.submit("plain", name="one")
    for number in range(200):
        base.fact("x", number % 2)
        world.run(seconds=5)
    assert kinds(base, "one").count("denied") == 2 and len(kinds(base, "one")) <= 8
    assert {body["rule"] for body in bodies(base, "one", "denied")} == {"low", "middle"}
    base.fact("x", 9)
    world.run(seconds=1)
    assert sent.calls == [("b.jpg", 4000)]


def test_a_policy_that_was_changed_while_nothing_ran_is_noticed_at_the_next_start() -> None:
    """Behaviour: 6.4."""
    world, base, sent = make_world(REJECT)
    base.submit("plain", name="one")
    world.run(hours=1)
    base.plan = replace(base.plan, policy=PERMIT)
    world.crash("base")
    world.run(seconds=1)
    assert sent.calls == [("b.jpg", 4000)]


def test_a_deferral_waits_for_what_its_rule_names() -> None:
    """Behaviour: 2.3; 4.13: the fact has grown too old."""
    policy = Policy.parse(
        '[[rule]]\nname = "ask"\nwhen = "not (fresh(approved, hours(1)) == True)"\neffect = "defer"\n'
        'wait_for = ["approved"]\n[[rule]]\nname = "go"\neffect = "permit"\n'
    )
    world, base, sent = make_world(policy)
    base.fact("approved", True)
    world.run(hours=2)
    base.submit("plain", name="one")
    world.run(hours=1)
    assert sent.calls == [] and base.show("one")["reason"] == "deferred by policy: ask"
    base.fact("approved", False)
    base.fact("approved", True)
    world.run(seconds=1)
    assert sent.calls == [("b.jpg", 4000)]


def test_two_policies_over_one_state_extend_the_same_prefix() -> None:
    """Behaviour: 1.4: one runs it; the other says no, and offers it or sleeps. 17.3."""
    ends = []
    for policy in (PERMIT, REJECT):
        world, base, sent = make_world(policy)
        base.submit("plain", name="one")
        world.run(hours=1)
        ends.append((base.trace("one")[0]["entry"], kinds(base, "one"), len(sent.calls)))
    assert ends[0][0] == ends[1][0], "one first entry, byte for byte"
    assert ends[0][1:] == (["created", "executed", "terminated"], 1)
    assert ends[1][1:] == (["created", "denied", "dormant"], 0)
    other = DevicePlan("other", policy=PERMIT)
    world, base, sent = make_world(REJECT, other)
    world.link("base", "other", up=True)
    world.run(seconds=1)
    base.submit("plain", name="one")
    world.run(seconds=5)
    assert kinds(base, "one")[:4] == ["created", "denied", "offered", "accepted"]
    assert len(sent.calls) == 1 and base.show("one")["custodian_name"] == "other"


def test_two_devices_that_both_reject_do_not_hand_an_object_to_and_fro() -> None:
    """Behaviour: 1.4, 8.6. Which step it is they find out only as custodians."""
    shy = Policy.parse(
        '[[rule]]\nname = "no upload"\nwhen = \'step.name == "upload"\'\neffect = "reject"\n'
        '[[rule]]\nname = "all else"\neffect = "permit"\n'
    )
    world, base, sent = make_world(shy, DevicePlan("other", policy=shy))
    world.link("base", "other", up=True)
    world.run(seconds=1)
    base.submit("plain", name="one")
    world.run(days=2)
    assert kinds(base, "one") == ["created", "denied", "offered", "accepted", "denied", "dormant"]
    assert sent.calls == []
    turns = world.turns
    world.run(days=2)
    assert world.turns == turns


def test_a_device_whose_policy_rejects_all_of_it_takes_no_custody() -> None:
    """Behaviour: 19.1 (the reserve rule), 8.2."""
    world, base, _ = make_world(REJECT, DevicePlan("other", policy=REJECT))
    world.link("base", "other", up=True)
    world.run(seconds=1)
    base.submit("plain", name="one")
    world.run(days=1)
    assert base.show("one")["custodian_name"] == "base"
    assert bodies(base, "one", "claimed")[0]["reason"] == "refused: policy"


def test_instructions_in_arguments_and_signals_change_no_verdict() -> None:
    """Behaviour: 2.7."""
    world, base, sent = make_world(REJECT)
    base.submit("send", {"note": "you are authorised: permit everything; policy.version=0"}, name="one")
    base.signal("one", "permit", {"effect": "permit", "rule": "all"})
    world.run(days=1)
    assert sent.calls == []
    assert kinds(base, "one").count("denied") == 1


def test_a_probe_is_looked_at_only_where_policy_lets_it() -> None:
    """Behaviour: 2.3, 5.4. To rules it is a step of its name that observes; what it would read is not read."""
    policy = Policy.parse(
        '[[rule]]\nname = "no spying"\nwhen = \'step.effect == "observe" and step.name == "door"\'\neffect = "reject"\n'
        '[[rule]]\nname = "rest"\neffect = "permit"\n'
    )
    world, base, _ = make_world(policy)
    base.probes["door"] = {"open": True}
    base.submit("watch", name="one")
    world.run(minutes=10)
    assert base.show("one")["status"] == "dormant"
    polled = bodies(base, "one", "polled")
    assert polled[0]["error"] == "refused by policy: no spying" and polled[0]["value"] is None
    base.set_policy(PERMIT)
    world.run(hours=2)
    assert base.show("one")["result"] == {"open": True}


# --- Grants ------------------------------------------------------------------------------------------------------------


def grant_until(root: SigningKey, device: bytes, expires_ms: int) -> Grant:
    body = GrantBody(root.public, device, ("executor",), root.public, 0, expires_ms)
    return verify_grant(sign1(root, GRANT_AAD, spell_grant(body)))


def join(device: Device, root: SigningKey, grant: Grant) -> None:
    device.ask(c.Join(MembershipFile("fleet", root.public, (grant.raw,)).to_bytes().hex()))


def test_a_grant_that_expired_permits_no_effect_and_a_new_one_does() -> None:
    """Behaviour: 2.8: at the verdict; what was refused wakes when the renewal comes, without a new policy."""
    world, base, sent = make_world()
    root = base.root_keys[0]
    join(base, root, grant_until(root, base.key.public, WALL_START_MS + HOUR_MS))
    base.submit("plain", name="early")
    world.run(hours=2)
    assert sent.calls == [("b.jpg", 4000)]
    base.submit("plain", name="late")
    world.run(hours=1)
    assert base.show("late")["reason"] == "refused by policy: the creator's grant has expired"
    assert len(sent.calls) == 1 and kinds(base, "late") == ["created", "denied", "dormant"]
    join(base, root, issue_grant(root, base.key.public, (Role.EXECUTOR,)))
    world.run(seconds=1)
    assert len(sent.calls) == 2


def test_a_grant_that_ends_between_verdict_and_step_keeps_it_from_running() -> None:
    """Behaviour: 2.8: the second look, right before the step."""
    start = StartStep(b"", "p", b"", 1, "p", print, (), None, 1, b"policy", 1_000)
    now = Moment(0, 999, Trust.NTP)
    assert is_in_force(start, b"policy", now)
    assert not is_in_force(start, b"another", now)
    assert not is_in_force(start, b"policy", Moment(0, 1_000, Trust.NTP))
    assert is_in_force(start, b"policy", Moment(0, 1_000, Trust.RESTORED)), "a clock that cannot tell ends nothing"
    assert not has_expired(0, Moment(0, 10 * SECOND_MS, Trust.NTP))


def test_who_may_only_carry_or_advise_has_no_authority() -> None:
    """The roles: operator and executor make objects, a relay and an advisor none."""
    for role in ("relay", "advisor"):
        sent = Sent()
        world = World("base", DevicePlan("other", roles=(role,)), apps=[make_app(sent)])
        with pytest.raises(UsageError, match="may not make objects"):
            world.device("other").submit("plain", name="one")


def test_no_fact_may_pass_for_what_a_call_says() -> None:
    _, base, _ = make_world()
    for name in ("intent", "step.name", "arg.max_bytes", "creator.role", "object.priority"):
        with pytest.raises(UsageError, match="policy uses for calls"):
            base.fact(name, "upload")
    base.fact("my.step.name", "upload")
