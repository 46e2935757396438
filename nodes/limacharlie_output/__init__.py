"""The LimaCharlie output: one mail for each detection, event, audit, deployment or artifact element."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic.alias_generators import to_camel

from nina_smtp.catalog import default_catalog
from nina_smtp.delivery.account import Account
from nina_smtp.delivery.schema import RESULT_SCHEMA
from nina_smtp.dialects.limacharlie.mail import Letter, Output, seed_of
from nina_smtp.dialects.limacharlie.shape import as_json
from nina_smtp.dialects.source import as_list
from nina_smtp.errors import NinaError, ParameterError
from nina_smtp.forms import fill_in
from nina_smtp.message import parse_list, parse_mailbox
from nina_smtp.node import NodeFailed, NodeType, Outputs, Task
from nina_smtp.workflow.items import Item

from .form import OutputFields


class LimaCharlieOutput(NodeType):
    """Makes a mail of each element, and has the node that sends mail send them."""

    type = "limacharlie_output"
    title = "LimaCharlie output"
    description = "Sends one mail for each element of a LimaCharlie stream, as its SMTP output does."
    aliases = ("limacharlie", "lc", "edr", "detection", "detect", "alert", "webhook", "soc", "mail")
    config = OutputFields
    credentials = ("smtp", "smtpOAuth2")
    outputs = ("success", "error", "filtered")
    output_schema: ClassVar[Mapping[str, Any]] = RESULT_SCHEMA

    def check(self, config: Mapping[str, Any]) -> None:
        """Raises ParameterError, naming the field: also for a malformed address and a template."""
        fields = fill_in(OutputFields, config, ParameterError)
        _output(fields).check()
        _mail_node().check(_mail_config(fields))
        for name in _ADDRESSES.values():
            for one in as_list(getattr(fields, name) or []):
                _check_mailboxes(name, one)

    async def execute(self, task: Task) -> Outputs:
        """The results of the mails, as the node that sends mail has them; ``filtered`` has the elements that
        a filter kept back, each beside the reason.
        """
        fields = fill_in(OutputFields, task.config, ParameterError)
        output = _output(fields)
        key = task.credential.secret_key if isinstance(task.credential, Account) else None
        seed = seed_of(key.reveal()) if key else None
        sent: list[int] = []
        filtered: list[Item] = []
        letters: list[Letter] = []
        for index, item in enumerate(task.items):
            if reason := output.why_not(item.json):
                filtered.append(Item({"element": dict(item.json), "filteredBy": reason}, item.lineage))
            else:
                sent.append(index)
                letters.append(output.letter(item.json, seed))
        items = [
            Item(letter.as_dict(), task.items[index].lineage)
            for index, letter in zip(sent, letters, strict=True)
        ]
        mails = replace(
            task,
            config=_mail_config(fields),
            items=items,
            key=task.key or (_key_of(fields) if task.outbox else None),
            names=_names([task.items[index].json for index in sent]),
        )
        try:
            outputs = await _mail_node().execute(mails)
        except NodeFailed as failure:
            raise NodeFailed(failure.cause, _told(failure.outputs, sent, letters)) from None
        return {**_told(outputs, sent, letters), "filtered": filtered}


def _mail_node() -> NodeType:
    return default_catalog().node("smtp")


_ADDRESSES = {"to": "dest_email", "cc": "cc_email", "bcc": "bcc_email", "from": "from_email"}


def _check_mailboxes(name: str, text: str) -> None:
    try:
        _ = parse_mailbox(text) if name == "from_email" else parse_list(text)
    except NinaError as error:
        error.parameter = to_camel(name)
        raise


def _output(fields: OutputFields) -> Output:
    return Output(fields.stream, fields.is_readable, fields.subject, fields.template, fields.filters)


def _mail_config(fields: OutputFields) -> Mapping[str, Any]:
    addresses = {ours: getattr(fields, theirs) for ours, theirs in _ADDRESSES.items()}
    given = {name: {"literal": value} for name, value in addresses.items() if value}
    options = {
        "autoExtract": "off",  # the letter is the input
        "onError": fields.on_error,
        "onPartial": fields.on_partial,
        "onUncertain": fields.on_uncertain,
    }
    return {"resource": "email", "operation": "send", "parameters": given, "options": options}


def _told(outputs: Outputs, sent: Sequence[int], letters: Sequence[Letter]) -> dict[str, Sequence[Item]]:
    """The results, each under the number of its element, and with what its letter has to tell."""
    return {port: [_result(item, sent, letters) for item in items] for port, items in outputs.items()}


def _key_of(fields: OutputFields) -> str:
    """What an output is called in a ledger where the run has no name: so no element is sent twice by it."""
    return f"limacharlie/{hashlib.sha256(fields.model_dump_json().encode()).hexdigest()[:32]}"


def _names(elements: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the elements are called: by what is in them, so that it does not matter where one stands."""
    seen: Counter[str] = Counter()
    names: list[str] = []
    for element in elements:
        digest = hashlib.sha256(as_json(element, in_order_of_keys=True).encode()).hexdigest()[:32]
        seen[digest] += 1
        names.append(digest if seen[digest] == 1 else f"{digest}-{seen[digest]}")
    return names


def _result(item: Item, sent: Sequence[int], letters: Sequence[Letter]) -> Item:
    number = int(item.json["item"])
    told = [*item.json["warnings"], *letters[number].warnings]
    return Item({**item.json, "item": sent[number], "warnings": told}, item.lineage)


NODE = LimaCharlieOutput()
