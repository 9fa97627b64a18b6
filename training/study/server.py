# SPDX-License-Identifier: GPL-3.0-or-later
"""The study as a local web page: one page, three requests, and pictures; nothing from outside, nothing sent on."""

from __future__ import annotations

import errno
import json
import mimetypes
import os
import re
import secrets
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socketserver import TCPServer
from urllib.parse import parse_qs, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from blender_addon.contract.errors import ErrorCode, MienError

from .design import INTENSITIES, NONE_OF_THESE, Study
from .desk import WITHOUT_INTENSITY, Desk, Refused
from .making import WORDS

_LARGEST_REQUEST = 1 << 14
_PICTURE = re.compile(r"/picture/([0-9a-f]{24})")
_POLICY = (
    "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'nonce-{nonce}'; "
    "script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class StudyServer(ThreadingHTTPServer):
    """Serves a study until `shutdown`.

    Args:
        desk: The study.
        host: Address to listen at. At one of this machine alone, requests that name another host are refused, so that
            no web page elsewhere reaches the study through its reader's browser.
        port: 0 for any that is free.

    Raises:
        MienError: PORT_TAKEN; USAGE for an address that cannot be bound.
    """

    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # there it would let two programs have the same port

    def __init__(self, desk: Desk, host: str = "127.0.0.1", port: int = 0) -> None:
        self.desk = desk
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise _unbound(host, port, error) from error
        except OverflowError as error:
            raise _unbound(host, port, OSError(errno.EINVAL, "there is no such port")) from error
        self.hosts = {host, "127.0.0.1", "localhost"} if _is_local(host) else None

    def server_bind(self) -> None:
        """Bind without looking up the machine's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    @property
    def address(self) -> str:
        """What to open in a browser."""
        host, port = self.server_address[:2]
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Mien", ""
    timeout = 60
    disable_nagle_algorithm = True
    server: StudyServer

    def do_GET(self) -> None:  # noqa: N802  # the library's name
        if not self._from_here():
            return
        url = urlsplit(self.path)
        if url.path == "/":
            self._page()
        elif url.path == "/state":
            self._answered(lambda: self.server.desk.state(parse_qs(url.query).get("participant", [""])[0]))
        elif match := _PICTURE.fullmatch(url.path):
            self._picture(match[1])
        else:
            self._tell(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def do_POST(self) -> None:  # noqa: N802
        if not self._from_here():
            return
        values = self._sent()
        if values is None:
            return
        if self.path == "/begin":
            self._answered(lambda: self._begin(values))
        elif self.path == "/answer":
            self._answered(lambda: self._answer(values))
        else:
            self._tell(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the library's name
        """Say nothing: who answers when is nobody's business but the study's."""

    def _begin(self, values: dict[str, object]) -> dict[str, object]:
        if values.get("consent") is not True:
            raise Refused("Please agree first.")
        return self.server.desk.state(self.server.desk.begin())

    def _answer(self, values: dict[str, object]) -> dict[str, object]:
        code = values.get("participant")
        if not isinstance(code, str):
            raise Refused("There is no participant with this code.")
        given = (values.get(name) for name in ("position", "answer", "intensity", "seconds"))
        self.server.desk.answer(code, *given)
        return {"kept": True}

    def _answered(self, made) -> None:
        """Send what the desk says, or why it does not."""
        try:
            self._send(HTTPStatus.OK, "application/json", json.dumps(made()).encode())
        except Refused as error:
            self._tell(HTTPStatus.BAD_REQUEST, str(error))
        except MienError as error:
            self._tell(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        page = page_of(self.server.desk.study, nonce).encode()
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", page, policy=_POLICY.format(nonce=nonce))

    def _picture(self, token: str) -> None:
        path = self.server.desk.picture(token)
        try:
            content = path.read_bytes() if path is not None else None
        except OSError:
            content = None
        if path is None or content is None:
            self._tell(HTTPStatus.NOT_FOUND, "There is no such picture.")
            return
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        self._send(HTTPStatus.OK, kind, content, caching="private, max-age=3600")

    def _sent(self) -> dict[str, object] | None:
        """The JSON table of a request; None after having refused it."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LARGEST_REQUEST:
            self.close_connection = True
            self._tell(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large, or does not say how large.")
            return None
        body = self.rfile.read(int(length))
        try:
            # Only JSON: pages of other sites can send forms and plain text without asking.
            if self.headers.get_content_type() != "application/json":
                raise ValueError
            values = json.loads(body)
            if not isinstance(values, dict):
                raise ValueError
        except (ValueError, RecursionError):
            self._tell(HTTPStatus.BAD_REQUEST, "The request is not a JSON table.")
            return None
        return values

    def _from_here(self) -> bool:
        allowed = self.server.hosts
        if allowed is None or re.sub(r":\d+$", "", self.headers.get("Host", "")) in allowed:
            return True
        self.close_connection = True
        self._tell(HTTPStatus.FORBIDDEN, "The study is only for this machine.")
        return False

    def _tell(self, status: HTTPStatus, text: str) -> None:
        self._send(status, "application/json", json.dumps({"error": text}).encode())

    def _send(
        self, status: HTTPStatus, kind: str, content: bytes, policy: str = "default-src 'none'",
        caching: str = "no-store",
    ) -> None:  # fmt: skip
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(content)), "Cache-Control": caching}
        headers |= {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}
        headers |= {"Referrer-Policy": "no-referrer"}
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def page_of(study: Study, nonce: str = "") -> str:
    """The page of a study; `nonce` is what its style and script are allowed by."""
    facts = {
        "tasks": {task.name: {"intensity": task.intensity} for task in study.tasks},
        "emotions": [*WORDS.items(), (NONE_OF_THESE, "None of these")],
        "scale": study.scale,
        "intensities": INTENSITIES,
        "without_intensity": WITHOUT_INTENSITY,
    }
    return _template().render(study=study, facts=facts, nonce=nonce)


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("study.html.j2")


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unbound(host: str, port: int, error: OSError) -> MienError:
    if error.errno == errno.EADDRINUSE:
        message = f"The port {port} is taken by another program."
        return MienError(ErrorCode.PORT_TAKEN, message, "Choose another one with --port, or 0 for any.")
    message = f"{host}:{port} cannot be listened at: {error.strerror or error}."
    return MienError(ErrorCode.USAGE, message, "Give an address of this machine, such as 127.0.0.1.")
