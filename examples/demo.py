"""The main job, end to end: an alert becomes a mail with two files, and arrives.

Starts a local inbox, runs the workflow of 1-ransomware-alert against it, says where every value of the mail
came from, reads the mail back and compares its files with what was sent.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from nina_smtp.api import read_credential
from nina_smtp.catalog import default_catalog
from nina_smtp.inbox import Inbox
from nina_smtp.workflow.blobs import FolderBlobStore
from nina_smtp.workflow.run import NodeRun, run
from nina_smtp.workflow.schedule import NodeStatus
from nina_smtp.workflow.validate import load, validate

HERE = Path(__file__).parent
WORKFLOW = HERE / "1-ransomware-alert" / "workflow.json"


async def main() -> int:
    """Returns 0 if the mail arrived with both files as they were."""
    catalog = default_catalog()
    workflow = validate(load(WORKFLOW.read_bytes()), catalog)
    print(f"Workflow: {workflow.name}\n")
    async with Inbox() as inbox:
        credential = {
            "host": "127.0.0.1",
            "port": inbox.smtp_port,
            "encryption": "none",
            "authMethod": "none",
        }
        with tempfile.TemporaryDirectory() as folder:
            done = await run(
                workflow,
                catalog,
                credentials={"Local inbox": read_credential(credential)},
                blobs=FolderBlobStore(Path(folder)),
                progress=show,
            )
        mails = [item.json for item in done.nodes["mail"].outputs.get("success", ())]
        if len(mails) != 1:
            print(json.dumps(done.nodes["mail"].as_dict(), indent=2, ensure_ascii=False))
            return 1
        print_result(mails[0])
        (arrived,) = await inbox.wait_for(1, timeout=10)
        return check(arrived.raw)


def show(node: NodeRun) -> None:
    """One line for each node that is done."""
    if node.status is not NodeStatus.RUNNING:
        made = sum(map(len, node.outputs.values()))
        print(
            f"  {node.status.value:<10}{node.name:<18}{node.items_in} in, {made} out, {node.duration_ms} ms"
        )


def print_result(mail: dict[str, Any] | Any) -> None:
    """What became of the mail, and where each of its values came from."""
    print(f"\n{mail['status']}: {mail['response']}")
    print(f"  Message-ID {mail['messageId']}, {mail['size']} octets, to {', '.join(mail['accepted'])}\n")
    print("Where each value came from:")
    for name, source in mail["sources"].items():
        more = [source["path"]] if "path" in source else []
        more += [f"(instead of {', '.join(source['overrode'])})"] if "overrode" in source else []
        print(f"  {name:<12} {source['source']:<10} {' '.join(more)}".rstrip())


def check(raw: bytes) -> int:
    """Compares the two files of the mail with what the workflow put in."""
    import email  # noqa: TID251  # a reader that is not ours
    import email.policy  # noqa: TID251

    message = email.message_from_bytes(raw, policy=email.policy.default)
    parts = {part.get_filename(): part for part in message.walk() if part.get_filename()}
    config = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    badge = base64.b64decode(config["nodes"][2]["config"]["parameters"]["attachments"][1]["content"])
    findings = config["nodes"][0]["config"]["items"][0]["findings"]
    table = parts["findings.csv"].get_payload(decode=True).decode()
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    facts = {
        "the mail arrived": message["subject"] == "[CRITICAL] Ransomware behaviour on WS-FIN-042",
        "findings.csv has every finding": rows
        == [{key: str(value) for key, value in row.items()} for row in findings],
        "badge.png is the same to the octet": parts["badge.png"].get_content() == badge,
        "badge.png is shown inside the text": parts["badge.png"]["content-id"] == "<badge>",
    }
    print("\nIn the inbox:")
    for fact, holds in facts.items():
        print(f"  {'yes' if holds else 'NO '}  {fact}")
    print(
        "\nThis inbox ends now. To keep one open and look at the mail in a browser:\n"
        "  .venv/bin/nina-smtp inbox                       (then open http://127.0.0.1:8025/)\n"
        "  .venv/bin/nina-smtp run examples/1-ransomware-alert/workflow.json"
        " --credential 'Local inbox=examples/local-inbox.json'"
    )
    return 0 if all(facts.values()) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
