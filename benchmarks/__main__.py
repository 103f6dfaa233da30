"""`python -m benchmarks`."""

from __future__ import annotations

import signal
import sys

from .main import main

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `finally` ends what it started
sys.exit(main())
