"""How people write programs: ordinary async functions, a context first, named steps, replay.

Three names to read first: `app.App` (and how arguments are passed), `context.Context` (what a handler can do),
`driver.Body` (how the node drives one). Must not: touch the store or the network; asyncio is used for its types and
tasks, on the body's own `loop.BodyLoop`, never to run a loop of the machine.
Test: `tests/unit/program`, and `tests/property/test_replay.py` for what replay promises.
"""
