"""Who may ask, and the headers of every answer. A plain ASGI layer around all routes, so that none can be forgotten.

Only GET and HEAD. Only under a name that is ours: a page of somebody else whose name was pointed at 127.0.0.1 (DNS
rebinding) asks under its own name, and gets 421. Only from our own page: what another site's script asks for is
refused by `Origin` and `Sec-Fetch-Site`.

Source: RFC 9110 section 15.5.20 (421); Fetch Metadata Request Headers (W3C); Content Security Policy Level 3;
OWASP HTTP headers cheat sheet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "HEAD")
LOCAL_NAMES = ("localhost",)
HEADERS = (
    (b"content-security-policy",
     b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
     b"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)  # fmt: skip


class Guard:
    """Refuses what is not a read of our own page.

    Args:
        app: what answers the rest.
        names: further names under which the page may be reached, in lower case.
        is_local: listens on loopback: then only its own addresses are names of it. Elsewhere any IP address is: a
            browser that was lured by a name sends the name.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str], is_local: bool) -> None:
        self._app = app
        self._names = (*LOCAL_NAMES, *(name.lower() for name in names))
        self._is_local = is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http":
            return
        refusal = self._refusal_of(scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal_of(self, scope: Scope) -> ASGIApp | None:
        if scope["method"] not in METHODS:
            text = "This page changes nothing: only GET and HEAD. To change something use `edge-runtime`.\n"
            return PlainTextResponse(text, 405, {"allow": ", ".join(METHODS)})
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if not self.is_ours(host):
            text = f"This device is not {host[:100]!r}. If it should be, add the name to `hosts` under [web].\n"
            return PlainTextResponse(text, 421)
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        # A link to the page may stand anywhere; what the page itself asks for comes from the page.
        is_foreign = site in ("cross-site", "same-site") and scope["path"] != "/"
        if (origin is not None and origin not in (f"http://{host}", f"https://{host}")) or is_foreign:
            return PlainTextResponse("Only this device's own page may ask for this.\n", 403)
        return None

    def is_ours(self, host: str) -> bool:
        """Say whether a `Host` header names this device; its port may be another one, as through a tunnel."""
        name, _, port = host.lower().rpartition(":") if not host.endswith("]") else (host.lower(), "", "")
        if not name:
            name, port = host.lower(), ""
        if port and not (port.isascii() and port.isdigit()):
            return False
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return address.is_loopback if self._is_local else True
