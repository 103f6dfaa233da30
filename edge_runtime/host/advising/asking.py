"""Asking advisors: each has a thread of its own and is asked one thing at a time, within a budget.

Whatever goes wrong (absent, slow, over budget, raising, out of bounds) is no answer: counted, logged, and never tried
again by itself. A thread that hangs cannot be killed; its advisor is then absent until it comes back.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct, field

from ...base.errors import UsageError
from ...base.foreign import contained
from ...base.limits import ADVISOR_QUEUE_MAX
from ...base.units import HOUR_MS
from ...node.effects import AskAdvisor
from ...node.events import AdviceGiven
from ...program.advising import Advisor, spell_proposal
from ...program.app import App
from ..clock import boot_ms
from ..config import AdvisorConfig

log = logging.getLogger("edge_runtime")


class _Desk(Struct):
    """One advisor: its questions, and when it was asked in the last hour."""

    advisor: Advisor
    questions: queue.Queue[AskAdvisor | None] = field(default_factory=lambda: queue.Queue(ADVISOR_QUEUE_MAX))
    asked_ms: deque[int] = field(default_factory=deque)
    thread: threading.Thread | None = None

    def close(self) -> None:
        """Drop what waits and let the thread end, now or when its advisor comes back."""
        while self.thread is not None:
            try:
                self.questions.put_nowait(None)
                return
            except queue.Full:
                with self.questions.mutex:
                    self.questions.queue.clear()


class Advisors:
    """The advisors of the loaded apps, and the one that the configuration names.

    Args:
        tell: called from an advisor's thread with each answer that is in order and in time.
        is_radio_on: an advisor on another machine is not asked while the radio is off.
        now_ms: the clock that budgets count by.

    Attributes:
        counts: what became of the questions: asked, answered, silent, late, failed, over_budget, dropped.
    """

    def __init__(
        self, tell: Callable[[AdviceGiven], None], is_radio_on: Callable[[], bool], now_ms: Callable[[], int] = boot_ms
    ) -> None:
        self._tell = tell
        self._is_radio_on = is_radio_on
        self._now_ms = now_ms
        self._config = AdvisorConfig()
        self._by_topic: dict[str, _Desk] = {}
        self._shipped: _Desk | None = None
        self._is_shipped_local = True
        self.counts = dict.fromkeys(("asked", "answered", "silent", "late", "failed", "over_budget", "dropped"), 0)

    def configure(self, apps: Sequence[App], config: AdvisorConfig) -> None:
        """Take the advisors of these apps, the first of a topic, and that of the configuration; on the loop.

        A configured advisor that cannot be made is logged: the device goes on without it.
        """
        had, self._by_topic = self._by_topic, {}
        for app in apps:
            for topic, advisor in app.advisors.items():
                desk = had.get(topic)
                is_same = desk is not None and desk.advisor is advisor
                self._by_topic.setdefault(topic, desk if desk is not None and is_same else _Desk(advisor))
        for topic, desk in had.items():
            if self._by_topic.get(topic) is not desk:
                desk.close()
        if config != self._config or self._shipped is None:
            gone = self._shipped
            self._config, self._shipped = config, self._make_shipped(config)
            if gone is not None:
                gone.close()

    def _make_shipped(self, config: AdvisorConfig) -> _Desk | None:
        if not config.base_url:
            return None
        try:
            from .chat import ChatAdvisor

            advisor = ChatAdvisor(config)
        except ImportError:
            log.error("[advisor] needs httpx: pip install 'edge-runtime[advisor]'. The device runs without it.")
            return None
        except UsageError as error:
            log.error("[advisor] %s The device runs without it.", error.message)
            return None
        self._is_shipped_local = advisor.is_local
        return _Desk(advisor)

    def close(self) -> None:
        """Ask nobody any more; the threads end when their advisors come back."""
        self.configure((), AdvisorConfig())

    def ask(self, effect: AskAdvisor) -> None:
        """Put a question to the advisor on its topic, if there is one and its budget allows; never waits."""
        desk = self._by_topic.get(effect.topic)
        if desk is None and self._shipped is not None and (self._is_shipped_local or self._is_radio_on()):
            desk = self._shipped
        if desk is None:
            self.counts["dropped"] += 1
            return
        now_ms = self._now_ms()
        while desk.asked_ms and now_ms - desk.asked_ms[0] >= HOUR_MS:
            desk.asked_ms.popleft()
        if len(desk.asked_ms) >= self._config.calls_per_hour:
            self.counts["over_budget"] += 1
            return
        try:
            desk.questions.put_nowait(effect)
        except queue.Full:
            self.counts["dropped"] += 1
            return
        desk.asked_ms.append(now_ms)
        self.counts["asked"] += 1
        if desk.thread is None:
            desk.thread = threading.Thread(target=self._serve, args=(desk,), name="advisor", daemon=True)
            desk.thread.start()

    # --- On an advisor's thread -----------------------------------------------------------------------------------

    def _serve(self, desk: _Desk) -> None:
        while True:
            effect = desk.questions.get()
            if effect is None:
                return
            began_ms = self._now_ms()
            answer: object = None
            given: AdviceGiven | None = None
            with contained() as caught:
                answer = desk.advisor(effect.view)
                if answer is not None:
                    given = AdviceGiven(effect.object, effect.topic, effect.based_on, *spell_proposal(answer))
            if caught.error is not None:
                self._count("failed", effect, f"{type(caught.error).__name__}: {str(caught.error)[:200]}")
            elif self._now_ms() - began_ms > self._config.timeout_s * 1_000:
                self._count("late", effect, f"it took more than {self._config.timeout_s} s")
            elif given is None:
                self._count("silent", effect, "it said nothing")
            else:
                self.counts["answered"] += 1
                self._tell(given)

    def _count(self, what: str, effect: AskAdvisor, why: str) -> None:
        self.counts[what] += 1
        log.info("%s no advice on %s: %s", effect.object.hex()[:12], effect.topic, why)
