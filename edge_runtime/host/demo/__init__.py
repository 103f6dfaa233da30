"""The demo: three real devices as processes on this machine, one story, checked at its end.

Three names to read first: `story.Story` (what happens), `fleet.Device` (one process), `server.Receiver` (the far end).
Must not: be imported by the daemon. Test: `tests/demo`.
"""
