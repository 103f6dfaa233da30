"""`edge-runtime doctor`: looks at one device and its machine, and says what to do about what it finds.

Three names to read first: `visit.examine` (every check in order), `finding.Finding` (what one says), `multicast.probe`
(the one check that sends something). Must not: change anything, wait for the daemon longer than its bound, or transmit
while the radio is off. Test: `tests/unit/host/doctor`, `tests/crash/test_doctor.py`, `tests/netns/test_doctor.py`.
"""
