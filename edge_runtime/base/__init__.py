"""The ground floor: errors, limits, units and `Moment`.

Here lives what every other floor may use and nothing that knows what an object is. This floor imports
nothing of ours. Read first: `errors` (two families, *ours* and *theirs*), `limits` (every bound, with its
reason), `moment` (time is an argument). Test: `tests/unit/base`.
"""
