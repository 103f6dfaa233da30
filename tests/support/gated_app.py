"""An app whose steps are gated, and what it really did: each effect that happened, or may have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edge_runtime import App, Busy, Context, StepFailed, TerminalError, Unreachable, current_attempt
from tests.support.world_app import Doings

RIGHTS = {"money": 12}
RULES = ("ask", "resend", "stop")


@dataclass(slots=True)
class Effects:
    """What happened at the other side.

    Attributes:
        sent: (object, attempt id, rule) of each message. paid: (object, amount) of each payment.
    """

    doings: Doings
    sent: list[tuple[str, str, str]] = field(default_factory=list)
    paid: list[tuple[str, int]] = field(default_factory=list)

    def send(self, rule: str) -> str:
        """Send one message, unless it fails in a way that says that nothing was sent."""
        self._fail_before("send")
        attempt = current_attempt()
        self.sent.append((attempt.object, attempt.id, rule))
        return str(self.doings.act("send", rule))  # it may fail yet, and leaves open what happened

    def pay(self, amount: int) -> int:
        """Pay, whatever comes of it then."""
        self.paid.append((current_attempt().object, amount))
        return int(self.doings.act("pay", amount))

    def _fail_before(self, name: str) -> None:
        waiting = self.doings.failures.get(name, [])
        if waiting and waiting[0] in ("unreachable", "busy", "invalid"):
            kinds: dict[str, Exception] = {
                "unreachable": Unreachable("nobody answers"), "busy": Busy("come again", 30),
                "invalid": TerminalError("this can never work"),
            }  # fmt: skip
            raise kinds[waiting.pop(0)]


def make_gated_app(effects: Effects) -> App:
    """Return the app; its steps act on `effects`."""
    app = App("gated")

    @app.intent("send")
    async def send(ctx: Context, rule: Any = "ask", count: int = 2) -> list[str | None]:
        found = []
        for _ in range(count):
            try:
                call = ctx.run("send", effects.send, rule, effect="irreversible", not_after=1e6, on_unknown=rule)
                found.append(await call)
            except StepFailed as failed:
                found.append(failed.outcome.name)
            await ctx.promise(f"next{len(found)}", timeout=600, default=None)
        return found

    @app.intent("pay")
    async def pay(ctx: Context, amount: int = 3, times: int = 6, rule: Any = "resend") -> int:
        paid = 0
        for number in range(times):
            try:
                call = ctx.run(
                    f"p{number}", effects.pay, amount, effect="bounded", rights={"money": amount}, on_unknown=rule
                )
                paid += await call
            except StepFailed:
                pass
            await ctx.promise(f"next{number}", timeout=600, default=None)
        return paid

    return app
