"""The machine: everything that touches sockets, files, clocks and processes, around one `Node`.

Three names to read first: `runtime` (wires it all, owns every task), `thread` (the node thread: inbox, turns, alarm),
`links` (contacts with peers). Must not: decide anything that the node decides. Test: `tests/unit/host`, and the real
daemon in `tests/crash` and `tests/netns`.
"""
