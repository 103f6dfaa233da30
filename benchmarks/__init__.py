"""Benchmarks: ratios in one run against peers and a floor. `python -m benchmarks NAME [--small] [--json]`.

`main` reads the command line, `steps`, `dormant`, `start` and `wake` measure, `floor`, `ours` and `peers` are what is measured,
`processes` reads what the kernel counts, `results` are the shapes of the output, `tables` and `bars` print them.
Figures are for reading, never asserted: CI only checks that they run. State lies under `build/`, on the checkout's
disk; nothing is measured on a memory file system.
"""
