"""A message from fields: text and HTML of 2 KB together, a subject that is not ASCII, three custom headers.

Target: at least 6 times nodemailer's MailComposer and 30 times EmailMessage, in messages per CPU second.
"""

from __future__ import annotations

import base64
import json
import sys
from contextlib import ExitStack
from email import message_from_bytes  # noqa: TID251
from email.policy import default  # noqa: TID251
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fixtures import alerts
from harness import arguments, count_for, cpu_rate, in_turns, middle, paired, python_peer
from nodejs import NODEMAILER, Missing, find_node
from report import Report

OURS, NODE, STDLIB = "nina_smtp compose", "nodemailer MailComposer", "EmailMessage.as_bytes"
TRIAL = {OURS: 2000, NODE: 2000, STDLIB: 200}
LIMIT = {NODE: 6, STDLIB: 30}


def main() -> int:
    options = arguments(__doc__, rounds=15)
    report = Report("MIME build, 2 KB alert", ("side", "messages/CPU s", "us/message"), ["nina-smtp"])
    programs = {OURS: python_peer("build_nina"), STDLIB: python_peer("build_stdlib")}
    try:
        node = find_node()
        programs[NODE] = node.peer("build")
        report.facts |= {"Node": node.version, "nodemailer": NODEMAILER}
    except Missing as reason:
        report.skip(reason)
    given = alerts()
    with ExitStack() as running:
        file = Path(running.enter_context(TemporaryDirectory()), "alerts.json")
        file.write_text(json.dumps(given))
        counts = {}
        for name, program in programs.items():
            running.enter_context(program)
            program.ask("load", path=str(file))
            for index in (0, len(given) - 1):
                verify(base64.b64decode(program.ask("show", index=index)), given[index], name)
            counts[name] = count_for(0.1 if options.quick else 0.4, program, TRIAL[name])
        sides = {name: partial(program.turn, counts[name]) for name, program in programs.items()}
        turns = in_turns(sides, options.rounds)
    for name, taken in turns.items():
        rate = middle(taken, cpu_rate)
        report.rows.append((name, f"{rate:.0f}", f"{1e6 / rate:.1f}"))
        if name in LIMIT:
            ratios = paired(turns[OURS], taken, cpu_rate)
            report.at_least(f"messages per CPU second, over {name}", LIMIT[name], ratios)
    return report.finish(options.json)


def verify(message: bytes, alert: dict[str, Any], side: str) -> None:
    """That the message says what the alert says, to a reader that none of the sides wrote for this."""
    read = message_from_bytes(message, policy=default)
    facts = {
        "subject": (read["Subject"], alert["subject"]),
        "from": (str(read["From"]), alert["from"]),
        "to": ([str(address) for address in read["To"].addresses], alert["to"]),
        "headers": ({name: read[name] for name in alert["headers"]}, alert["headers"]),
        "text": (_lines(read, "plain"), alert["text"].splitlines()),
        "html": (_lines(read, "html"), alert["html"].splitlines()),
        "type": (read.get_content_type(), "multipart/alternative"),
        "defects": ([d for part in read.walk() for d in part.defects], []),
        "date and id": (bool(read["Date"] and read["Message-ID"]), True),
    }
    for fact, (found, wanted) in facts.items():
        if found != wanted:
            raise SystemExit(f"{side} builds another message: its {fact} is {found!r}, not {wanted!r}.")


def _lines(message: Any, subtype: str) -> list[str]:
    return message.get_body((subtype,)).get_content().rstrip("\n").splitlines()


if __name__ == "__main__":
    sys.exit(main())
