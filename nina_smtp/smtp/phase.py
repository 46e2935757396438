"""Where in a session something happened."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """The phases of a session, in order. Everything before ``dot`` is certainly not delivered."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    TLS = "tls"
    AUTH = "auth"
    NOOP = "noop"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"
    RSET = "rset"
    QUIT = "quit"
