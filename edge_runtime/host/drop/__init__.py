"""The drop folder: files put into `inbox/` become objects, results of labelled objects become files in `outbox/`.

Three names to read first: `folder.Drop` (both, as the daemon holds them), `inbox.Inbox`, `outbox.Outbox`. Must not: be
imported where the configuration has no `[drop]`, follow a link out of its folder, or delete what a person put there.
Test: `tests/unit/host/drop`, `tests/crash/test_drop.py`.
"""
