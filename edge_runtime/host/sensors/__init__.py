"""What this machine can tell of itself: sensors and files, read on one shared tick, handed on only when they say more.

Three names to read first: `readers` (battery, disk, load, temperature: one function each), `ticker.Ticker` (when),
`feed.Feed` (what is worth telling the node). Must not: judge a value. Test: `tests/unit/host/sensors`.
"""
