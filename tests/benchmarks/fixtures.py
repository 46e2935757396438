"""What the sides are given: alerts of 2 KB, as fields or as templates and items; one large attachment.

``TEXT``, ``HTML``, ``SUBJECT`` and ``HEADERS`` are Python's templates; ``node`` has them in Liquid.
"""

from __future__ import annotations

import base64
import random
from typing import Any

ALERTS = 200
SENDER = "SOC Zürich <soc@corp.test>"
TEXT = """\
A sign-in from a new place needs your attention.

Account:     {account}
Address:     {address} (autonomous system {system}, Zürich → São Paulo)
Host:        {host}
First seen:  {day}T{time}
Severity:    {severity} of 10
Rule:        impossible-travel/{n}

The account signed in twice within {n} seconds from places {octet}00 km apart.
Both sessions are still open. If this was not you, close them: the playbook will ask
for a second person before it disables the account.

The same address signed in to {octet} other accounts this week, all of them from the
group "São Paulo contractors"; none of those sign-ins was reported by its owner.

https://soc.corp.test/alerts/{n}?tab=timeline&from={day}
"""
HTML = """\
<!doctype html>
<html lang="en">
<body style="font-family: sans-serif; color: #222">
<h1 style="font-size: 18px">A sign-in from a new place needs your attention</h1>
<table cellpadding="4" style="border-collapse: collapse">
<tr><th align="left">Account</th><td>{account}</td></tr>
<tr><th align="left">Address</th>
<td>{address} (autonomous system {system}, Zürich → São Paulo)</td></tr>
<tr><th align="left">Host</th><td>{host}</td></tr>
<tr><th align="left">First seen</th><td>{day}T{time}</td></tr>
<tr><th align="left">Severity</th><td><b>{severity}</b> of 10</td></tr>
<tr><th align="left">Rule</th><td><code>impossible-travel/{n}</code></td></tr>
</table>
<p>The account signed in twice within {n} seconds from places {octet}00 km apart. Both sessions are still
open. If this was not you, close them: the playbook will ask for a second person before it disables the
account.</p>
<p>The same address signed in to {octet} other accounts this week, all of them from the group
&quot;São Paulo contractors&quot;; none of those sign-ins was reported by its owner.</p>
<p><a href="https://soc.corp.test/alerts/{n}?tab=timeline&amp;from={day}">Open the alert</a></p>
</body>
</html>
"""
SUBJECT = "[SOC] Sign-in from a new place: Zürich → São Paulo, {name}"
HEADERS = {"X-Alert-Id": "{id}", "X-Alert-Severity": "{severity}", "X-Alert-Source": "edr"}


def alerts() -> list[dict[str, Any]]:
    """Alerts, no two alike, each with a text and an HTML body of 2 KB together, to a few dozen analysts."""
    return [_alert(n) for n in range(ALERTS)]


def items() -> list[dict[str, Any]]:
    """What an upstream node hands over for each of the alerts."""
    return [
        {
            "alert": _details(n) | {"recipients": _recipients(n)},
            "source": {"playbook": "impossible-travel", "run": n},
        }
        for n in range(ALERTS)
    ]


def node() -> dict[str, Any]:
    """The node that makes the alerts of the items."""
    parameters = {
        "from": SENDER,
        "subject": _liquid(SUBJECT),
        "contentType": "html",
        "body": _liquid(HTML),
        "textBody": _liquid(TEXT),
        "headers": {name: _liquid(value) for name, value in HEADERS.items()},
    }
    extract = {"to": "$.alert.recipients"}
    return {"resource": "email", "operation": "send", "parameters": parameters, "extract": extract}


def _alert(n: int) -> dict[str, Any]:
    details = _details(n)
    return {
        "from": SENDER,
        "to": _recipients(n),
        "subject": SUBJECT.format(**details),
        "text": TEXT.format(**details),
        "html": HTML.format(**details),
        "headers": {name: value.format(**details) for name, value in HEADERS.items()},
    }


def _details(n: int) -> dict[str, Any]:
    octet = 1 + n % 254
    return {
        "n": n,
        "id": f"{n:08x}",
        "name": f"svc-backup-{n:04}",
        "account": f"svc-backup-{n:04}@corp.test",
        "address": f"198.51.100.{octet}",
        "octet": octet,
        "system": f"64{octet:03}",
        "host": f"ws-{n:05}.corp.test",
        "day": f"2025-03-{1 + n % 28:02}",
        "time": f"08:14:{n % 60:02}Z",
        "severity": str(1 + n % 10),
    }


def _recipients(n: int) -> list[str]:
    return [f"analyst{n % 37}@corp.test", f"Duty Officer {n % 5} <duty{n % 5}@corp.test>"]


def _liquid(template: str) -> str:
    return template.replace("{", "{{ alert.").replace("}", " }}")


def with_attachment(size: int) -> tuple[dict[str, Any], bytes]:
    """The fields of a message with one attachment of ``size`` bytes, as they are in JSON; and those bytes."""
    content = b"%PDF-1.7\n" + random.Random(size).randbytes(size - 9)
    fields = {
        "from": SENDER,
        "to": ["analyst@corp.test"],
        "subject": "Memory image of ws-00042: first look",
        "body": "The report is attached.\n",
        "attachments": [{"filename": "report.pdf", "content": base64.b64encode(content).decode()}],
    }
    return fields, content
