"""The ledger's tables: one row for each mail, its content beside it until it is delivered.

Nothing of a credential is in them but its name. ``recipients`` are those who are still to get the mail.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

mails = Table(
    "nina_mail",
    metadata,
    Column("id", String(40), primary_key=True),  # grows with time, so that order of age is order of ids
    Column("key", String(400), nullable=False, unique=True),
    Column("digest", String(64), nullable=False),  # of what was asked for
    Column("account", String(400), nullable=False),  # the one it goes out by now
    Column("route", Text, nullable=False),  # JSON: all of them, in order
    Column("state", String(12), nullable=False),
    Column("owner", String(40)),
    Column("due", Float, nullable=False),  # these three in seconds since 1970
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("on_uncertain", String(12), nullable=False),
    Column("message_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipients", Text, nullable=False),  # JSON
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),  # of the octets
    Column("needs_smtputf8", Boolean, nullable=False),
    Column("needs_8bitmime", Boolean, nullable=False),
    Column("history", Text, nullable=False),  # JSON: what became of each attempt
    Column("result", Text),  # JSON, contract section 4
    Column("item", Integer, nullable=False),
    Column("sources", Text, nullable=False),  # JSON
    Column("warnings", Text, nullable=False),  # JSON
    Index("nina_mail_by_due", "account", "state", "due"),
    Index("nina_mail_by_owner", "owner"),
)

contents = Table(
    "nina_mail_content",
    metadata,
    Column("mail", String(40), primary_key=True),
    Column("octets", LargeBinary, nullable=False),
    Column("ascii", LargeBinary),  # for a server without SMTPUTF8
)

owners = Table(
    "nina_mail_owner",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("seen", Float, nullable=False),
)

facts = Table(
    "nina_fact",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)
