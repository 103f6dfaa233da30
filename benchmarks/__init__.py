"""Benchmarks: ratios in one run against peers and a floor. `python -m benchmarks NAME [--small] [--json]`.

Figures are for reading, never asserted: CI only checks that they run. State lies under `build/`, on the checkout's disk.
"""
