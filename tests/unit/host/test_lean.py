"""What keeps the idle daemon small, and that TLS is there for whoever asks for it."""

from __future__ import annotations

import gc
import hmac
import os
import subprocess
import sys
from hashlib import blake2b

import pytest

from edge_runtime.host.lean import settle_memory
from edge_runtime.host.noise import _hmac

LOAD = """
import sys
from edge_runtime.host.lean import import_asyncio
import_asyncio()
import edge_runtime.host.runtime, edge_runtime.host.links, edge_runtime.host.mdns
"""

# A cipher without certificates: what counts here is that asyncio finds its TLS.
TLS = """
import asyncio, ssl
def context(kind):
    made = ssl.SSLContext(kind)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("aNULL:@SECLEVEL=0")
    return made
async def echo(reader, writer):
    writer.write(await reader.readline())
    writer.close()
async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context(ssl.PROTOCOL_TLS_SERVER))
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context(ssl.PROTOCOL_TLS_CLIENT))
    writer.write(b"hello\\n")
    print((await reader.readline()).decode().strip())
    writer.close()
    server.close()
asyncio.run(main())
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": "."}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_daemon_starts_without_openssl() -> None:
    """Behaviour: the bar on idle memory; the daemon's own cryptography is libsodium's."""
    loaded = run(LOAD + "print(*(name for name in sys.modules if name in ('ssl', '_ssl', '_hashlib')))")
    assert loaded == ""


def test_a_handler_that_uses_tls_finds_it_in_asyncio() -> None:
    assert run(LOAD + TLS) == "hello"


CONNECT = """
import asyncio, socket, sys
async def main():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, address)
    print(len(await asyncio.get_running_loop().sock_recv(sock, 1)), 'ssl' in sys.modules)
    sock.close()
    server.close()
asyncio.run(main())
"""


def test_a_connection_without_tls_does_not_load_it() -> None:
    assert run(LOAD + CONNECT) == "0 False"


def test_the_module_that_a_handler_imports_is_the_real_one() -> None:
    assert run(LOAD + "import ssl, asyncio.sslproto; print(type(ssl).__name__, ssl.__file__[-6:])") == "module ssl.py"


def test_asyncio_that_is_there_already_is_left_alone() -> None:
    assert run("import asyncio, sys\n" + LOAD + "print('ssl' in sys.modules)") == "True"


def test_what_stays_after_the_start_is_not_looked_at_again() -> None:
    try:
        settle_memory()
        assert gc.get_freeze_count() > 1_000
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("length", [0, 1, 64, 128])
def test_the_keyed_hash_is_that_of_the_standard_library(length: int) -> None:
    key, data = os.urandom(length), os.urandom(200)
    assert _hmac(key, data) == hmac.new(key, data, blake2b).digest()
