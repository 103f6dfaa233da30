"""`python -m edge_runtime` is the same as `edge-runtime`."""

import sys

from .host.cli.main import main

sys.exit(main())
