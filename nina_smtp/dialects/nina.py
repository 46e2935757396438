"""NINA: the node and the credential of its SMTP guide.

Ours is made to that guide, so there is little to translate. Its templates are another matter: NINA has them,
their syntax is not published, and ours is Liquid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from nina_smtp.dialects.dialect import Dialect
from nina_smtp.dialects.exporting import Ours, checked_type, clear_text, lost
from nina_smtp.dialects.imported import Fate, Imported, Json, credential
from nina_smtp.dialects.source import Source, as_list, written
from nina_smtp.errors import InvalidAddress, InvalidConfiguration
from nina_smtp.message.mailbox import parse_list

PARAMETERS = (
    "to", "subject", "body", "contentType", "from", "cc", "bcc", "replyTo", "importance", "attachments",
)  # fmt: skip
"""Those of the guide, in its order."""

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_FIELDS = ("host", "port", "encryption", "username", "password", "authMethod")
_OURS = frozenset({"host", "encryption", "authMethod", "username", "password"})


def read(document: Any, name: str) -> Imported:
    """A node, a credential, or ``{"node", "credential"}``. Raises InvalidConfiguration."""
    source = Source(document)
    if source.has("node") or (source.has("credential") and "parameters" not in source.data):
        node, account = source.inner("node"), source.inner("credential")
        source.rest("is neither a node nor a credential")
        nodes = {name: _node(node)} if node else {}
        credentials = dict([_credential(account, name)]) if account else {}
        return Imported("nina", credentials, nodes, (), tuple(source.notes))
    if "parameters" in source.data or "operation" in source.data:
        return Imported("nina", {}, {name: _node(source)}, (), tuple(source.notes))
    return Imported("nina", dict([_credential(source, name)]), {}, (), tuple(source.notes))


def _node(source: Source) -> Json:
    parameters = source.inner("parameters")
    if parameters is None:
        raise source.wrong("parameters", "is required.", 'Give {"to": […], "subject": …, "body": …}.')
    for key in parameters.data:
        if "{{" in str(parameters.data[key]) or "{%" in str(parameters.data[key]):
            why = "has a template: here it is Liquid, and what NINA understands is not published"
            parameters.note(str(key), Fate.WARNING, why, f"node.parameters.{key}")
        else:
            parameters.value(str(key), f"node.parameters.{key}")
    for key in source.data:
        source.value(str(key), f"node.{key}" if key != "parameters" else None)
    return dict(source.data)


def _credential(outer: Source, name: str) -> tuple[str, Json]:
    """The credential under the labels of the form (``Auth Method``) or the names of the fields."""
    for key in ("integrationService", "type"):
        label = _label(outer, key)
        if (service := outer.text(label)) and service.lower() != "smtp":
            raise outer.wrong(label, f"is {service[:40]!a}, not SMTP.", "Only credentials of SMTP are read.")
    about = {key: outer.text(_label(outer, key)) for key in ("name", "description")}
    inner = outer.inner("data")
    if inner is not None:
        outer.rest("is not a part of a credential", known=("type", "name", "description"))
    source = inner or outer
    values: dict[str, Any] = {}
    for key in _FIELDS:
        label = _label(source, key)
        if key == "port":
            values[key] = source.number(label, 1, 65535, "credential.port")
            if values[key] is None:
                source.note(label, Fate.BETTER, "follows the encryption; the guide has 587 for all")
        elif key in ("encryption", "authMethod"):
            allowed = _PORTS if key == "encryption" else ("login", "plain")
            values[key] = source.choice(label, {one: one for one in allowed}, f"credential.{key}")
        else:
            values[key] = source.text(label, f"credential.{key}", required=True)
    values["port"] = values["port"] or _PORTS[values["encryption"] or "starttls"]
    source.rest("is not a field of the credential", known=("type", *map(str, about)))
    if clear_text(values):
        values["allowCleartextLogin"] = True
        why = "the password is sent in clear text: anybody in between can read it"
        source.notes[:] = [n for n in source.notes if n.place != source.at(_label(source, "encryption"))]
        source.note(_label(source, "encryption"), Fate.WARNING, why, "credential.encryption")
    document = {**credential("smtp", values), **{key: one for key, one in about.items() if one}}
    return about["name"] or name, document


def _label(source: Source, key: str) -> str:
    """How the source spells ``key``: ``Auth Method``, ``auth_method`` or ``authMethod``."""
    folded = key.lower()
    found = (one for one in source.data if str(one).lower().replace(" ", "").replace("_", "") == folded)
    return str(next(found, key))


def recognises(document: Any) -> bool:
    """Whether it is a node of the guide, a credential of it, or both."""
    if not isinstance(document, Mapping):
        return False
    whole = cast(Mapping[str, Any], document)
    if isinstance(whole.get("node"), Mapping):
        return "parameters" in whole["node"]
    if "parameters" in whole and "type" not in whole:
        return whole.get("resource") == "email" or whole.get("operation") in ("send", "sendRaw")
    inner: Any = whole.get("data", whole)
    if not isinstance(inner, Mapping) or "user" in inner:
        return False
    folded = {str(key).lower().replace(" ", "").replace("_", "") for key in cast(Mapping[str, Any], inner)}
    return "host" in folded and bool(folded & {"encryption", "authmethod"})


def write(imported: Imported) -> Json:
    """A node, a credential, or both. Raises InvalidConfiguration for what the guide does not have."""
    if imported.workflows or len(imported.nodes) > 1 or len(imported.credentials) > 1:
        raise lost("More than one node and one credential", "cannot be said in one document")
    nodes = [_written_node(name, node) for name, node in imported.nodes.items()]
    accounts = [_written_credential(name, one) for name, one in imported.credentials.items()]
    if nodes and accounts:
        return {"node": nodes[0], "credential": accounts[0]}
    if not nodes and not accounts:
        raise InvalidConfiguration("There is nothing to export.", hint="Give a node or a credential.")
    return (nodes or accounts)[0]


def _written_node(name: str, node: Json) -> Json:
    ours = Ours(node, f"The node {name}")
    parameters = Ours(ours.take("parameters", {}), f"The node {name}: parameters")
    ours.drop("resource", "email")
    ours.drop("operation", "send")
    found = {key: parameters.take(key) for key in PARAMETERS}
    attachments: Any = found["attachments"] or []
    if not isinstance(attachments, list):
        raise lost(f"{parameters.place}.attachments", "is not a list")
    listed = as_list(cast(object, attachments))
    found["attachments"] = [_attachment(one, parameters.place) for one in listed] or None
    parameters.done()
    ours.done()
    found |= {key: [] for key, value in node.get("parameters", {}).items() if key in found and value == []}
    for key, given in found.items():
        value = _as_it_stands(given)
        found[key] = value
        if "{{" in str(value) or "{%" in str(value):
            raise lost(f"{parameters.place}.{key}", "has a template: what NINA understands is not published")
        if key in ("to", "cc", "bcc") and isinstance(value, str):
            found[key] = _listed(value, f"{parameters.place}.{key}")
    kept = {key: value for key, value in found.items() if value is not None}
    return {"resource": "email", "operation": "send", "parameters": kept}


def _as_it_stands(value: Any) -> Any:
    """What a literal holds: NINA knows no literals."""
    if not isinstance(value, Mapping):
        return value
    whole = cast(Json, value)
    return whole["literal"] if set(whole) == {"literal"} else whole


def _listed(text: str, place: str) -> list[str]:
    """Mailboxes with commas between them, one by one."""
    try:
        return [written(mailbox) for mailbox in parse_list(text)]
    except InvalidAddress as error:
        raise lost(place, f"is refused: {error.message.rstrip('.')}") from None


def _attachment(one: Any, place: str) -> Json:
    if not isinstance(one, Mapping):
        raise lost(f"{place}.attachments", "has an element that is not an object")
    ours = Ours(cast(Json, one), f"{place}.attachments")
    kept = {"filename": ours.take("filename"), "content": ours.take("content")}
    ours.done()
    return kept


def _written_credential(name: str, document: Json) -> Json:
    place = f"The credential {name}: data"
    data = Ours(checked_type(name, document, "smtp")["data"], place)
    found = {key: data.take(key) for key in _FIELDS}
    found["port"] = found["port"] or _PORTS.get(str(found["encryption"] or "starttls"))
    if found["authMethod"] in ("auto", "none"):
        raise lost(f"{place}.authMethod", f"{found['authMethod']} cannot be said there: login or plain")
    if missing := [key for key in _OURS & {"host", "username", "password"} if not found[key]]:
        raise lost(f"{place}.{missing[0]}", "is required there")
    if clear_text(document["data"]):
        data.drop("allowCleartextLogin", True)
    data.done()
    about = {key: document[key] for key in ("name", "description") if document.get(key)}
    return {**about, "type": "smtp", "data": {k: v for k, v in found.items() if v is not None}}


DIALECT = Dialect("nina", "NINA", recognises, read, write)
