"""Who may ask: the locks of a server on this machine.

Every program of every user of the machine can reach a port of it, and so can every page that a browser
shows. So: a token that is good once becomes a cookie; the name that a browser asked for must be this machine
(else a page could have its own name lead here: DNS rebinding); what changes something must come from the page
itself; bodies are bounded; and the page may load nothing from elsewhere.

Sources: RFC 6265bis (cookies), Fetch (Origin), Content Security Policy 3, and the findings that Jupyter and
NCC Group's Singularity document.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
"""Hosts that are this machine. Any port: a tunnel has another one at its near end."""

LARGEST_BODY = 1 << 20
"""Bytes of a request: a stroke of thirty thousand points."""

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
"""Of every answer; one that may be kept says so itself."""

_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:]+)\]|(?P<name>[\w.-]+))(?::\d{1,5})?", re.ASCII | re.IGNORECASE)
_METHODS = frozenset({"GET", "HEAD", "POST"})


class Keys:
    """The token in the link, good once, and the cookies that it was changed for."""

    def __init__(self, used: Callable[[str], None] = lambda _: None) -> None:
        """`used` is told the next token when one was used."""
        self._used = used
        self.token = secrets.token_urlsafe(32)
        self.cookie = f"gpustack-{secrets.token_hex(4)}"  # cookies are shared by all ports of a host
        self._sessions: set[str] = set()

    def enter(self, token: str) -> str | None:
        """A session for a token; None for a wrong one, or one that was used."""
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return None
        self.token, session = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._sessions.add(session)
        self._used(self.token)
        return session

    def knows(self, header: str | None) -> bool:
        """Whether a Cookie header has a session."""
        try:
            given = SimpleCookie(header or "").get(self.cookie)
        except CookieError:
            return False
        return given is not None and any(
            hmac.compare_digest(given.value.encode(), session.encode()) for session in self._sessions
        )


class Locks:
    """Lets requests through to an application that may ask it."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            send = _with_headers(send)
            answer = self._refusal(scope) or self._entrance(scope)
            if answer is None:
                await self._bounded(scope, receive, send)
            else:
                await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        """Why a request is refused whoever asks."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or _name(hosts[0]) not in NAMES:
            return refused(403, "This server answers to the names of its own machine only.", _LINK)
        if scope["method"] not in _METHODS:
            return refused(405, f"{scope['method']} is not understood.", "")
        if scope["method"] == "POST" and headers.getlist("origin") != [f"http://{hosts[0]}"]:
            return refused(403, "This did not come from the page of gpustack view.", _LINK)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            return too_large()
        return None

    def _entrance(self, scope: Scope) -> Response | None:
        """None for who has a cookie; a cookie for who has a token; else a refusal."""
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        at_door = (scope["method"], scope["path"], len(token)) == ("GET", "/", 1)
        if self._keys.knows(Headers(scope=scope).get("cookie")):
            return RedirectResponse("/", 303) if at_door else None
        session = self._keys.enter(token[0]) if at_door else None
        if session is None:
            return refused(401, "This link is not good, or was used before.", _LINK)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._keys.cookie, session, httponly=True, samesite="strict")
        return answer

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, with a body that ends where it becomes too large."""
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY:
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)


_LINK = "Open the link that gpustack view printed last."


def refused(status: int, error: str, remedy: str) -> JSONResponse:
    """An answer that says what is wrong, and what to do."""
    return JSONResponse({"error": error, "remedy": remedy}, status)


def too_large() -> JSONResponse:
    """The answer to too large a body."""
    return refused(413, f"A request may hold {LARGEST_BODY >> 10} KiB.", "Draw the stroke in parts.")


def _name(host: str) -> str:
    """The name in a Host header; empty for what is none."""
    found = _HOST.fullmatch(host)
    return (found["name"] or found["six"]).lower() if found else ""


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sent
