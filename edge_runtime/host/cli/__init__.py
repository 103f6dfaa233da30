"""The command line, and the only place where everything is put together.

Three names to read first: `main.main` (parsing, errors, exit codes), `parser.make_parser` (every command),
`render.render` (answers for people). What each command does stands in `objects`, `device`, `files` and `demo`, loaded
when it is asked for: start-up counts on a small board.
Test: `tests/unit/host/cli`, and the real daemon in `tests/crash`.
"""
