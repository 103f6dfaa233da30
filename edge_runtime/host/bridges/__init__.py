"""What speaks other protocols: topics and telemetry become facts, results go to topics. No bridge sends a command.

Three names to read first: `keeper.Keeper` (keeps one bridge up, whatever happens to it), `mqtt`, `mavlink`. Must not:
stop the daemon, or be imported where it is not configured. Test: `tests/unit/host/bridges`, `tests/contract`.
"""
