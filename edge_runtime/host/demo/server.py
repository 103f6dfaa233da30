"""The far end of the demo: a small HTTP server that keeps idempotency keys and is busy the first time."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RETRY_AFTER_S = 1
BODY_BYTES_READ = 1 << 20


class Receiver:
    """Accepts reports on a free loopback port. `requests` counts all, `deliveries` maps key to body."""

    def __init__(self) -> None:
        self.requests = 0
        self.deliveries: dict[str, bytes] = {}
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            def do_POST(self) -> None:
                """Take a report: the first request of all is told to come back, a known key is answered as before."""
                body = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), BODY_BYTES_READ))
                status, answer = receiver.take(self.headers.get("Idempotency-Key", ""), body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                if status == 503:
                    self.send_header("Retry-After", str(RETRY_AFTER_S))
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """The timeline says it all."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/reports"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, key: str, body: bytes) -> tuple[int, dict[str, str]]:
        """Return (status, answer) for a report under a key."""
        with self._lock:
            self.requests += 1
            if self.requests == 1:
                return 503, {"error": "busy"}
            if not key:
                return 400, {"error": "no Idempotency-Key"}
            self.deliveries.setdefault(key, body)
            return 200, {"receipt": f"receipt-{key[:8]}"}

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
