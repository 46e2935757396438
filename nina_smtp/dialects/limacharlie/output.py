"""LimaCharlie's configuration of an SMTP output, in and out.

One output is its keys (``dest_host: …``); several are an object of them by name under ``outputs``, as the
organisation's configuration has them. Each becomes a credential and a workflow: elements come in, the node
"LimaCharlie output" sends one mail for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from nina_smtp.dialects.dialect import Dialect
from nina_smtp.dialects.exporting import Ours, checked_type, joined, lost
from nina_smtp.dialects.imported import Fate, Imported, Json, credential
from nina_smtp.dialects.source import Source, literally, referable
from nina_smtp.errors import InvalidConfiguration, NinaError

from .filters import Filters, without_effect
from .mail import Output
from .streams import stream_of
from .wire import as_wire, from_wire

NODE_TYPE = "limacharlie_output"
REQUIRED = ("dest_host", "dest_email", "from_email", "secret_key")

_STREAM_KEYS = ("type", "for", "stream")
_OTHER_OUTPUTS = ("sec_per_file", "is_compression", "is_indexing")
_PORTS = {"tls": 465, "starttls": 587}


def read(document: Any, name: str) -> Imported:
    """The outputs of the document. Raises InvalidConfiguration, naming the key."""
    source = Source(document)
    outputs = source.inner("outputs")
    if outputs is None:
        found = [_output(source, source.text("name") or name)]
        return _imported([one for one in found if one], source)
    entries = [(str(key), outputs.inner(str(key))) for key in outputs.data]
    several = [_output(entry, key) for key, entry in entries if entry]
    source.rest("is not an output")
    return _imported([one for one in several if one], source)


def _imported(found: list[tuple[str, Json, Json]], source: Source) -> Imported:
    if not found:
        raise InvalidConfiguration(
            "There is no SMTP output in it.", hint="An output with module: smtp is read.", parameter="outputs"
        )
    credentials = {name: account for name, account, _ in found}
    return Imported("limacharlie", credentials, {}, tuple(flow for _, _, flow in found), tuple(source.notes))


def _output(source: Source, name: str) -> tuple[str, Json, Json] | None:
    module = source.text("module")
    if module is not None and module.lower() != "smtp":
        source.note("module", Fate.LEFT_OUT, f"is {module[:40]!a}, not smtp")
        return None
    if module is not None:
        source.note("module", Fate.SAME, becomes="node.type")
    if missing := [key for key in REQUIRED if not source.has(key)]:
        raise source.missing(missing[0])
    account = _credential(source)
    parameters = _parameters(source)
    if source.flag("is_delete_on_failure"):
        why = "the output stays, and every failure is told of"
        source.note("is_delete_on_failure", Fate.BETTER, why)
    for key in _OTHER_OUTPUTS:
        if source.has(key):
            source.note(key, Fate.LEFT_OUT, "is for outputs that write files")
    source.rest("is not a key of the SMTP output", known=("name", "outputs"))
    nodes: list[Json] = [
        {"id": "elements", "type": "manual_trigger", "name": "Elements", "config": {"items": []}},
        {"id": "output", "type": NODE_TYPE, "name": "LimaCharlie output", "credential": name,
         "config": parameters},
    ]  # fmt: skip
    return (
        name,
        account,
        {"name": name[:200], "nodes": nodes, "edges": [{"from": "elements", "to": "output"}]},
    )


def _credential(source: Source) -> Json:
    starttls = source.flag("is_starttls", "credential.encryption") or False
    login = source.flag("is_authlogin", "credential.authMethod") or False
    host, port = _host_and_port(source)
    for key in ("username", "password", "secret_key"):
        if str(source.data.get(key)).startswith("hive://"):
            raise source.wrong(
                key, "is kept in LimaCharlie's own store.", "Write ${NAME}, from the environment."
            )
    for key in ("dest_email", "cc_email", "bcc_email", "from_email"):
        if "{{" in str(source.data.get(key)):
            raise source.wrong(key, "has a template: addresses are fixed.", "Write the address.")
    username, password = source.text("username", "credential.username"), source.text("password")
    if (username is None) != (password is None):
        missing = "username" if username is None else "password"
        raise source.wrong(missing, "is required beside the other one.", "Give both, or neither.")
    if password is not None:
        source.note("password", Fate.SAME, becomes="credential.password")
    return credential(
        "smtp",
        {
            "host": host,
            "port": port or _PORTS["starttls" if starttls else "tls"],
            "encryption": "starttls" if starttls else "tls",
            "username": referable(username),
            "password": referable(password),
            "authMethod": "none" if username is None else "login" if login else "plain",
            "secretKey": referable(source.text("secret_key", "credential.secretKey")),
        },
    )


def _host_and_port(source: Source) -> tuple[str, int | None]:
    """``host``, ``host:port``, ``[::1]:port`` or a bare IPv6 address."""
    text = (source.text("dest_host") or "").strip()
    if "://" in text or "@" in text:
        raise source.wrong("dest_host", "is a URL, not a host.", "Write host, or host:587, and nothing more.")
    host, colon, port = text.rpartition(":")
    if not colon or ("]" in port) or (host.count(":") and not host.endswith("]")):
        host, port = text, ""
    if colon and host != text and not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise source.wrong(
            "dest_host", f"has a port that is none: {port[:20]!a}.", "Write host:587, or host."
        )
    becomes = "credential.host, credential.port"
    if port:
        source.note("dest_host", Fate.SAME, becomes=becomes)
    else:
        why = "without a port, StartTLS is on 587 and TLS from the start on 465"
        source.note("dest_host", Fate.BETTER, why, becomes)
    return host.removeprefix("[").removesuffix("]"), int(port) if port else None


def _parameters(source: Source) -> Json:
    stream = next((source.text(key) for key in _STREAM_KEYS if source.has(key)), None)
    for key in _STREAM_KEYS:
        if source.has(key):
            source.note(key, Fate.SAME, becomes="node.stream")
    try:
        stream = stream_of(stream).value if stream else None
        filters = from_wire({key: source.value(key) for key in Filters.model_fields})
    except NinaError as error:
        raise _placed(source, error) from None
    idle = without_effect(filters, stream) if stream else ()
    for key in Filters.model_fields:
        if source.has(key):
            fate, why = Fate.SAME, ""
            if key in idle:
                fate, why = Fate.WARNING, f"looks at nothing of the stream {stream}"
            source.note(key, fate, why, f"node.filters.{key}")
    parameters: dict[str, Any] = {
        "stream": stream,
        "destEmail": source.mailboxes("dest_email", "node.destEmail", required=True),
        "ccEmail": source.mailboxes("cc_email", "node.ccEmail"),
        "bccEmail": source.mailboxes("bcc_email", "node.bccEmail"),
        "fromEmail": source.mailbox("from_email", "node.fromEmail"),
        "isReadable": source.flag("is_readable", "node.isReadable"),
        "subject": source.text("subject", "node.subject"),
        "template": source.text("template", "node.template"),
        "filters": filters.model_dump(by_alias=True, exclude_defaults=True, mode="json") or None,
    }
    kept = {key: value for key, value in parameters.items() if value is not None}
    try:
        Output(stream, False, kept.get("subject"), kept.get("template"), filters).check()
    except NinaError as error:
        raise _placed(source, error) from None
    return kept


def _placed(source: Source, error: NinaError) -> InvalidConfiguration:
    """An error of the node's form, which names the key of the output."""
    key = (error.parameter or "stream").rpartition(".")[2]
    theirs = "".join(f"_{c.lower()}" if c.isupper() else c for c in key)
    message = error.message if error.message.startswith(key) else f"{key}: {error.message}"
    return source.wrong(theirs, f"cannot be used. {message}", error.hint)


def recognises(document: Any) -> bool:
    """Whether it is an SMTP output, or has outputs with a module."""
    if not isinstance(document, Mapping):
        return False
    whole = cast(Mapping[str, Any], document)
    outputs = whole.get("outputs")
    if isinstance(outputs, Mapping):
        entries = cast(Mapping[str, Any], outputs).values()
        return any(isinstance(one, Mapping) and ("module" in one or "dest_host" in one) for one in entries)
    return "dest_host" in whole or ("dest_email" in whole and "secret_key" in whole)


def write(imported: Imported) -> Json:
    """One output, or several by name. Raises InvalidConfiguration for what would be lost."""
    if imported.nodes:
        raise lost("A node", "can only be said inside a workflow there")
    found: dict[str, Json] = {}
    used: set[str] = set()
    for workflow in imported.workflows:
        output, name = _taken_apart(workflow)
        if name not in imported.credentials:
            raise lost(f"The workflow {workflow['name']}", f"has no credential here ({str(name)[:40]})")
        if name != workflow["name"]:
            raise lost(f"The workflow {workflow['name']}", f"has another name than its credential {name}")
        used.add(name)
        found[name] = {
            "module": "smtp",
            **_written_credential(name, imported.credentials[name]),
            **_written_node(output),
        }
    if unused := set(imported.credentials) - used:
        raise lost(f"The credential {min(unused)}", "is used by no output")
    if len(found) == 1:
        ((name, output),) = found.items()
        return {"name": name, **output}
    return {"outputs": found}


def _taken_apart(workflow: Json) -> tuple[Json, str]:
    """The output node of a workflow that has nothing else, and the name of its credential."""
    place = f"The workflow {workflow.get('name')}"
    whole = Ours(workflow, place)
    nodes: list[Json] = whole.take("nodes", [])
    edges = whole.take("edges", [])
    whole.take("name")
    whole.done()
    by_type = {str(node.get("type")): node for node in nodes}
    if set(by_type) != {"manual_trigger", NODE_TYPE} or len(nodes) != 2:
        raise lost(place, 'is not a trigger and a "LimaCharlie output"')
    for node in nodes:
        ours = Ours(node, f"The node {node.get('name')}")
        for key in ("id", "type", "name", "position", "config", "credential"):
            ours.take(key)
        ours.done()
    Ours(by_type["manual_trigger"].get("config", {}), f"{place}: the trigger").done()
    if len(edges) != 1 or edges[0].get("to") != by_type[NODE_TYPE].get("id"):
        raise lost(place, "is not wired from the trigger to the output, and nothing else")
    return by_type[NODE_TYPE], str(by_type[NODE_TYPE].get("credential"))


def _written_credential(name: str, document: Json) -> Json:
    whole = Ours(checked_type(name, document, "smtp"), f"The credential {name}")
    data = Ours(whole.take("data"), f"The credential {name}: data")
    whole.drop("type", "smtp")
    whole.drop("name", name)
    whole.done()
    encryption, method = data.take("encryption", "starttls"), data.take("authMethod", "login")
    port, host = data.take("port") or _PORTS.get(encryption), str(data.take("host"))
    if encryption == "none":
        raise lost(f"{data.place}.encryption", "none cannot be said there")
    if method == "auto":
        raise lost(f"{data.place}.authMethod", "auto cannot be said there: login or plain")
    if method == "none" and (data.take("username") or data.take("password")):
        raise lost(f"{data.place}.username", "is there without a login, which cannot be said there")
    output = {
        "dest_host": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "username": literally(data.take("username")),
        "password": literally(data.take("password")),
        "secret_key": literally(data.take("secretKey")),
        "is_starttls": "true" if encryption == "starttls" else "false",
        "is_authlogin": "true" if method == "login" else "false",
    }
    data.done()
    if not output["secret_key"]:
        raise lost(f"{data.place}.secretKey", "is not there, and is required there")
    return {key: value for key, value in output.items() if value is not None}


def _written_node(node: Json) -> Json:
    config = Ours(node.get("config", {}), f"The node {node.get('name')}: config")
    filters = Filters.model_validate(config.take("filters", {}))
    output: dict[str, Any] = {"type": config.take("stream")}
    for ours, theirs in (("destEmail", "dest_email"), ("ccEmail", "cc_email"), ("bccEmail", "bcc_email")):
        value = config.take(ours)
        output[theirs] = value if isinstance(value, str) else joined(value)
    output["from_email"] = config.take("fromEmail")
    output["is_readable"] = "true" if config.take("isReadable") else None
    output |= {"subject": config.take("subject"), "template": config.take("template")}
    config.done()
    if output["from_email"] is None:
        raise lost(f"{config.place}.fromEmail", "is not there, and is required there")
    return {key: value for key, value in output.items() if value is not None} | as_wire(filters)


DIALECT = Dialect("limacharlie", "LimaCharlie", recognises, read, write)
