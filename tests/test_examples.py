"""Every example runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bed.invariants import check_wire
from bed.readers import read_same
from bed.recorder import Recorder

import nina_smtp

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
NODES = sorted(EXAMPLES.glob("[2-9]-*.json"))
HEADERS = {
    "cc": ["Cc"],
    "replyTo": ["Reply-To"],
    "importance": ["Importance", "X-Priority", "X-MSMail-Priority"],
}


@pytest.mark.parametrize("path", NODES, ids=lambda path: path.stem)
def test_an_example_of_the_guide_is_delivered_as_it_is_written(path: Path) -> None:
    node = json.loads(path.read_text(encoding="utf-8"))
    parameters = node["parameters"]
    recipients = [address for key in ("to", "cc", "bcc") for address in parameters.get(key, [])]
    with Recorder() as recorder:
        credential = {"host": "127.0.0.1", "port": recorder.port, "encryption": "none", "authMethod": "none"}
        results = nina_smtp.send(node, credential | {"fromAddress": "alerts@corp.example"})
        results.raise_for_status()
        asked = [header for key, headers in HEADERS.items() if key in parameters for header in headers]
        check_wire(recorder, recipients, sender="alerts@corp.example", headers=asked)
        mail = read_same(recorder.messages[0].content)
    assert mail.subject == parameters["subject"]
    html = parameters.get("contentType") == "html"
    assert parameters["body"] in ((mail.html if html else mail.text) or "")
    assert [attachment.filename for attachment in mail.attachments] == [
        attachment["filename"] for attachment in parameters.get("attachments", [])
    ]


def test_there_are_the_examples_of_the_guide() -> None:
    assert len(NODES) == 4


def test_the_demo_ends_well_and_says_where_values_came_from() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NO " not in done.stdout
    for source in ("node", "extracted", "input"):
        assert re.search(rf"\s{source}\b", done.stdout)
    assert "(instead of input)" in done.stdout
