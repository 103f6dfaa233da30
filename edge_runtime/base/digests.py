"""BLAKE2b from the interpreter itself.

`hashlib` offers the same function, and loads OpenSSL's libcrypto for all the others: 3.6 MB that an idle daemon has no
use for. Source: CPython's `Modules/_blake2`, RFC 7693.
"""

from __future__ import annotations

try:
    from _blake2 import blake2b as blake2b
except ImportError:  # an interpreter that keeps it elsewhere
    from hashlib import blake2b as blake2b
