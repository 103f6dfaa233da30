"""One whole device as a function: `Node.handle(event, moment) -> Turn`, deterministic over its store.

Three names to read first: `node.Node`, `events` (all that can happen), `effects` (all it asks of the machine).
Must not: open sockets or files (the store's connection is handed in), read clocks, use asyncio.
Test: `tests/unit/node`, `tests/scenarios`, `tests/simulation` run this same class over in-memory SQLite.
"""
