"""A scripted daemon's side of the control socket: for clients and the command line, with no device behind it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What a daemon does with the number of a connection and one request on it: what it writes; at END it hangs up.
Script = Callable[[int, dict[str, Any]], list[bytes]]
END = b""


class Answering:
    """Listens on the socket of a state directory; a thread for each connection writes what the script says.

    Attributes:
        script: by default each answer's value is the number of its connection.
        requests: all that came, parsed. asked: released once for each of them.
        ended: released once for each connection that is no more.
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        self.script: Script = lambda connection, request: [line(request, connection)]
        self.requests: list[dict[str, Any]] = []
        self.connections = 0
        self.asked = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(state / "control.sock"))
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rwb") as file:
            for text in file:
                request = json.loads(text)
                self.requests.append(request)
                self.asked.release()
                answers = self.script(number, request)
                file.write(b"".join(answers))
                file.flush()
                if END in answers:
                    break
        self.ended.release()

    def close(self) -> None:
        """Listen no more."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def line(request: dict[str, Any], value: Any, is_last: bool = True) -> bytes:
    """Return an answer's line."""
    return json.dumps({"id": request.get("id"), "ok": True, "value": value, "last": is_last}).encode() + b"\n"


def refusal(request: dict[str, Any], error: str, code: int, **details: Any) -> bytes:
    """Return a refusal's line."""
    answer = {"id": request.get("id"), "ok": False, "error": error, "exit": code, "details": details, "last": True}
    return json.dumps(answer).encode() + b"\n"

