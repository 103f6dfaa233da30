"""Advisors of this machine: asked off the loop and off the node thread, within a budget, and never waited for.

What lives here: `asking` (one thread an advisor, the budget, what became of each question), `chat` (the shipped advisor
for any OpenAI-compatible endpoint). What must not: anything that decides, and any way from an advisor to the node, the
store or an effect: it gets plain values and returns one. To read first: `asking.Advisors.ask`, then `docs/advice.md`.
How to test it: `tests/unit/host/advising`, the shipped one against a server that speaks the protocol.
"""
