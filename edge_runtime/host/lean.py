"""What keeps the idle daemon small: asyncio without TLS until somebody uses TLS, and no garbage of the start.

Measured on CPython 3.11: `ssl` with libcrypto 4.5 MB and 9 ms of the start; trimming the heap 0.5 MB. Setting the
allocator's environment variables was tried and gains nothing at rest.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

# What asyncio imports for TLS alone; it looks into them when a connection asks for TLS, and no sooner.
TLS = ("ssl", "asyncio.sslproto")


class NoSocket:
    """What every socket is asked to be, before anybody has loaded TLS: none is."""


class Later(ModuleType):
    """Stands for a module inside asyncio; the first look at an attribute loads the real one, as any import does."""

    def __getattr__(self, name: str) -> Any:
        """Return the real module's attribute."""
        if name.startswith("__"):
            raise AttributeError(name)  # what the import system asks of a module in the making
        if name == "SSLSocket" and self.__name__ not in sys.modules:
            return NoSocket  # asyncio asks it of each socket that it is given, to refuse those of TLS
        return getattr(import_module(self.__name__), name)


def import_asyncio() -> None:
    """Import asyncio so that TLS is loaded by whoever uses it; call it before anything else imports asyncio.

    Only asyncio's own modules see the stand-ins: `import ssl` anywhere else is the real thing.
    """
    if any(name in sys.modules for name in ("asyncio", *TLS)):
        return
    for name in TLS:
        sys.modules[name] = Later(name)
    try:
        import_module("asyncio")
    finally:
        for name in TLS:
            del sys.modules[name]


def settle_memory() -> None:
    """Give back what the start has used up, and look at what stays no more: it lives as long as the process."""
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none and needs none
    if trim is not None:
        trim(0)
