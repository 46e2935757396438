"""What the sides are given: alerts of 2 KB, and one message with a large attachment."""

from __future__ import annotations

import base64
import random
from typing import Any

ALERTS = 200
SENDER = "SOC Zürich <soc@corp.test>"
TEXT = """\
A sign-in from a new place needs your attention.

Account:     svc-backup-{n:04}@corp.test
Address:     198.51.100.{octet} (autonomous system 64{octet:03}, Zürich → São Paulo)
Host:        ws-{n:05}.corp.test
First seen:  2025-03-{day:02}T08:14:{second:02}Z
Severity:    {severity} of 10
Rule:        impossible-travel/{n}

The account signed in twice within {n} seconds from places {octet}00 km apart.
Both sessions are still open. If this was not you, close them: the playbook will ask
for a second person before it disables the account.

The same address signed in to {octet} other accounts this week, all of them from the
group "São Paulo contractors"; none of those sign-ins was reported by its owner.

https://soc.corp.test/alerts/{n}?tab=timeline&from=2025-03-{day:02}
"""
HTML = """\
<!doctype html>
<html lang="en">
<body style="font-family: sans-serif; color: #222">
<h1 style="font-size: 18px">A sign-in from a new place needs your attention</h1>
<table cellpadding="4" style="border-collapse: collapse">
<tr><th align="left">Account</th><td>svc-backup-{n:04}@corp.test</td></tr>
<tr><th align="left">Address</th>
<td>198.51.100.{octet} (autonomous system 64{octet:03}, Zürich → São Paulo)</td></tr>
<tr><th align="left">Host</th><td>ws-{n:05}.corp.test</td></tr>
<tr><th align="left">First seen</th><td>2025-03-{day:02}T08:14:{second:02}Z</td></tr>
<tr><th align="left">Severity</th><td><b>{severity}</b> of 10</td></tr>
<tr><th align="left">Rule</th><td><code>impossible-travel/{n}</code></td></tr>
</table>
<p>The account signed in twice within {n} seconds from places {octet}00 km apart. Both sessions are still
open. If this was not you, close them: the playbook will ask for a second person before it disables the
account.</p>
<p>The same address signed in to {octet} other accounts this week, all of them from the group
&quot;São Paulo contractors&quot;; none of those sign-ins was reported by its owner.</p>
<p><a href="https://soc.corp.test/alerts/{n}?tab=timeline&amp;from=2025-03-{day:02}">Open the alert</a></p>
</body>
</html>
"""


def alerts() -> list[dict[str, Any]]:
    """Alerts, no two alike, each with a text and an HTML body of 2 KB together, to a few dozen analysts."""
    return [_alert(n) for n in range(ALERTS)]


def _alert(n: int) -> dict[str, Any]:
    details = {"n": n, "octet": 1 + n % 254, "day": 1 + n % 28, "second": n % 60, "severity": 1 + n % 10}
    return {
        "from": SENDER,
        "to": [f"analyst{n % 37}@corp.test", f"Duty Officer {n % 5} <duty{n % 5}@corp.test>"],
        "subject": f"[SOC] Sign-in from a new place: Zürich → São Paulo, svc-backup-{n:04}",
        "text": TEXT.format(**details),
        "html": HTML.format(**details),
        "headers": {
            "X-Alert-Id": f"{n:08x}",
            "X-Alert-Severity": str(details["severity"]),
            "X-Alert-Source": "edr",
        },
    }


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
