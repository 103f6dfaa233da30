"""A server on this machine that speaks OpenAI's chat completions, well or badly, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Reply"], None]


@dataclass
class ChatServer:
    """What a test sees of the server: where it is, what it was asked, and how it is to answer from now on."""

    url: str
    behave: Behaviour
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


class Reply:
    """One request that waits for its answer."""

    def __init__(self, handler: BaseHTTPRequestHandler, server: ChatServer) -> None:
        self._handler = handler
        self.server = server

    def start(self, status: int, length: int | None = None, **headers: str) -> None:
        """Send status and headers."""
        self._handler.send_response(status)
        self._handler.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        if length is not None:
            self._handler.send_header("Content-Length", str(length))
        self._handler.end_headers()

    def write(self, data: bytes) -> bool:
        """Send bytes of the body; False if the client has hung up."""
        try:
            self._handler.wfile.write(data)
            self._handler.wfile.flush()
        except OSError:
            return False
        return True

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Send a whole answer."""
        self.start(status, len(body), **headers)
        self.write(body)

    def say(self, content: str) -> None:
        """Send a completion with this content, as the API spells it."""
        message = {"role": "assistant", "content": content}
        completion = {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }  # fmt: skip
        self.send(json.dumps(completion).encode())


def says(proposal: object, confidence: object) -> Behaviour:
    """Return the behaviour of a model that answers well."""
    return lambda reply: reply.say(json.dumps({"proposal": proposal, "confidence": confidence}))


@contextmanager
def chat_server(behave: Behaviour) -> Iterator[ChatServer]:
    """Serve on a free port of this machine until the block ends; what hangs is released then."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.requests.append({"path": self.path, **json.loads(body)})
            found.headers.append(dict(self.headers.items()))
            self.close_connection = True
            found.behave(Reply(self, found))

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    found = ChatServer(f"http://127.0.0.1:{httpd.server_address[1]}", behave)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.released.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()
