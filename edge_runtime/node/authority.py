"""Authority: the one function in front of every effect. It reads grants and policy, and nothing else decides.

`rule_on` is asked in the turn that releases a step. The release carries the policy's hash and until when the grants
hold; right before the host runs the step, `is_in_force` is asked again. A verdict that is not in force any more runs
nothing: the step comes back as `StepWithheld`, and the node asks anew.

Source: ours, behaviours 2.3 to 2.8; a check at the time of use after Bishop & Dilger 1996 (time of check, time of use).
"""

from __future__ import annotations

from msgspec.structs import replace

from ..base.errors import PeerError, UsageError
from ..base.moment import Moment
from ..judge.call import Call
from ..judge.policy import Effect, Policy, Verdict
from ..judge.snapshot import Snapshot
from ..objects.bodies import EffectClass
from ..objects.codec import decode_value
from ..objects.grants import Role
from ..program.calls import StepCall
from ..program.narrowing import named_arguments, narrow
from .effects import StartStep
from .parts import Parts
from .spool import Live
from .validity import Stance, has_expired, judge_terms, may_have_expired

WITHDRAWN = "grant withdrawn"
NOBODY: frozenset[tuple[bytes, bytes]] = frozenset()


class Authority:
    """Asks grants and policy on behalf of the node."""

    def __init__(self, parts: Parts, policy: Policy) -> None:
        self.parts = parts
        self.replace_policy(policy)

    def replace_policy(self, policy: Policy) -> None:
        """Judge by another policy from now on."""
        self.policy = policy
        self._needs_arguments = policy.needs_arguments

    def rule_on(
        self, live: Live, call: StepCall, needs: tuple[str, ...], view: Snapshot
    ) -> tuple[Verdict, StepCall]:
        """Return the verdict on one waiting step, and the step as it may run: narrowed where a constraint says so."""
        asked, doubt, expires_ms = self._asked(live)
        if not self.policy.is_default:
            asked = self._with_step(asked, call, needs)
        if not asked.refusal and any(pair in self._revoked() for pair in self.parts.under(live, call.name)):
            asked = replace(asked, refusal=f"{WITHDRAWN} for this work")
        verdict = self._decide(asked, doubt, call.effect, view)
        verdict = replace(verdict, expires_wall_ms=expires_ms)
        if verdict.constraint is None:
            return verdict, call
        bounds = verdict.constraint
        try:
            call, changes = narrow(call, bounds.arguments, bounds.timeout_ms, bounds.attempts)
        except UsageError as error:
            return replace(verdict, effect=Effect.DEFER, constraint=None, why=error.message), call
        why = changes or bounds.describe()
        return replace(verdict, why=f"{verdict.why}; {why}" if verdict.why else why), call

    def rule_on_probe(self, live: Live, probe: str, view: Snapshot) -> Verdict:
        """Return the verdict on looking at a probe: to rules a step of its name that observes and has no arguments.

        A constraint has nothing to narrow in it, and defers if it names an argument.
        """
        asked, doubt, _ = self._asked(live)
        asked = replace(asked, step=probe, effect="observe")
        verdict = self._decide(asked, doubt, EffectClass.OBSERVE, view)
        if verdict.constraint is not None and verdict.constraint.arguments:
            return replace(verdict, effect=Effect.DEFER, constraint=None)
        return verdict

    def rule_on_object(self, live: Live, view: Snapshot) -> Verdict:
        """Return the verdict on an object of which no step is known: rules that read the step are unknown."""
        asked = self._asked(live)[0]
        return self.policy.decide(asked, view, view.by_time())

    def _revoked(self) -> frozenset[tuple[bytes, bytes]]:
        return self.parts.members.revocations.revoked

    def _decide(self, asked: Call, doubt: str, effect: EffectClass, view: Snapshot) -> Verdict:
        """Return the policy's answer; where grants may have expired, the stance says what may be asked at all."""
        stance = self.parts.settings.stance
        if doubt and not stance.allows(effect):
            word = "" if stance is Stance.DENY else f", the stance {stance.value} permits no {effect.name.lower()} step"
            asked = replace(asked, refusal=doubt + word)
        verdict = self.policy.decide(asked, view, view.by_time())
        if not doubt:
            return verdict
        if verdict.is_by_grants:
            return replace(verdict, waits_for=(*verdict.waits_for, "time.trust"))
        return replace(verdict, why=f"stance {stance.value}: {doubt}" + (f"; {verdict.why}" if verdict.why else ""))

    def asked(self, live: Live, call: StepCall | None = None, needs: tuple[str, ...] = ()) -> Call:
        """Return what rules see of an object, and of a step of it if one is named; for people."""
        found = self._asked(live)[0]
        return found if call is None else self._with_step(found, call, needs)

    def _with_step(self, asked: Call, call: StepCall, needs: tuple[str, ...]) -> Call:
        return replace(
            asked, step=call.name, effect=call.effect.name.lower(), resource=call.resource, needs=needs,
            arguments=named_arguments(call) if self._needs_arguments else {},
        )  # fmt: skip

    def _asked(self, live: Live) -> tuple[Call, str, int]:
        """Return what rules see, why the clock leaves doubt of it, and until when grants hold (wall time, 0: ever)."""
        content, history = live.state.content, live.state.history
        first = history.placed[history.object].entry
        try:
            roles = self.parts.members.roles_of(first.grant, first.author, history.created.roots) or ()
        except PeerError:
            roles = ()
        refusal, doubt, expires_ms = self._refusal(live, roles)
        if self.policy.is_default:
            return Call(content.intent, refusal), doubt, expires_ms
        try:
            arguments = decode_value(content.asked.now)
        except PeerError:
            arguments = None  # a rule that reads them defers
        return Call(
            content.intent, refusal, tuple(role.value for role in roles), first.author, history.created.priority,
            content.name, content.labels, arguments,
        ), doubt, expires_ms  # fmt: skip

    def _refusal(self, live: Live, roles: tuple[Role, ...]) -> tuple[str, str, int]:
        """Return why grants permit nothing (empty: they do), why that is in doubt, and when they end (wall time)."""
        if Role.EXECUTOR not in roles and Role.OPERATOR not in roles:
            return "creator is neither executor nor operator", "", 0
        members, history = self.parts.members, live.state.history
        first = history.placed[history.object].entry
        if any(pair in self._revoked() for pair in self.parts.under(live)):
            return WITHDRAWN, "", 0
        own = members.grant_under(history.created.roots)
        grants = [("the creator's grant", first.grant, first.author)]
        if own is not None:
            grants.append(("the device's grant", own[0], self.parts.device))
        age_ms, moment = self.parts.spool.age_ms(live), self.parts.timeline.moment
        doubt, ends = "", list[int]()
        for whose, grant, holder in grants:
            found = judge_terms(members.terms_of(grant, holder), age_ms, moment)
            if found.refusal:
                return f"{whose} {found.refusal}", "", 0
            doubt = doubt or (f"{whose} {found.doubt}" if found.doubt else "")
            ends += [found.expires_ms] if found.expires_ms else []
        return "", doubt, min(ends, default=0)


def is_in_force(
    start: StartStep, policy: bytes, moment: Moment, revoked: frozenset[tuple[bytes, bytes]] = NOBODY
) -> bool:
    """Say whether the verdict under which a step was released still holds; asked right before the step runs.

    Args:
        policy: hash of the policy in force now. revoked: as in `Membership`.
    """
    is_late = start.not_after_boot_ms is not None and moment.boot_ms > start.not_after_boot_ms
    is_over = may_have_expired if start.is_gated else has_expired
    if start.policy != policy or is_late or is_over(start.expires_wall_ms, moment):
        return False
    return not any(pair in revoked for pair in start.under)
