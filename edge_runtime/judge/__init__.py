"""What to do with an object: pure judgement over a snapshot. No I/O, no clock, no chance but a seed handed in.

Three names to read first: `evaluate` (one of six actions, and why), `policy` (authority: permit or not), `backoff`
(when next, where, what, decided by why the last attempt did not complete). Must not: touch the store or the network.
Test: `tests/unit/judge`, `tests/property`.
"""
