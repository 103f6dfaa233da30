"""What an object is: its bytes, keys, entries, history and state. No I/O, no clock.

Three names to read first: `entries` (only `verify` and `seal` make an `Entry`), `history` (the ruling chain
and what is void), `fold` (the state that every device computes alike). Must not: read files, clocks or chance.
Test: `tests/unit/objects`, laws in `tests/property`.
"""
