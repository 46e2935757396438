"""The ``email.smtp`` provider: providers and workflows in YAML.

Its documentation is what is read here, its code what is done better: both parts of a body are sent,
connections are reused, what fails for now is tried again (with a ledger), and the other providers of the file
are what a mail falls back on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from nina_smtp.dialects.dialect import Dialect
from nina_smtp.dialects.exporting import Ours, checked_type, lost
from nina_smtp.dialects.imported import Fate, Imported, Json, credential
from nina_smtp.dialects.notify import EMAIL, read_workflow, write_workflow
from nina_smtp.dialects.source import Source, as_list
from nina_smtp.errors import InvalidConfiguration

REQUIRED = ("host", "port", "user", "pass", "from")

_PLACEHOLDER = re.compile(r"<(?:your|smtp)-[a-z-]+>")
_OTHER_PLATFORMS = {
    "ses": "Amazon SES by its own interface; over SMTP use email-smtp.<region>.amazonaws.com",
    "acs": "Azure Communication Services by its own interface; over SMTP use smtp.azurecomm.net",
}


def read(document: Any, name: str) -> Imported:
    """Credentials of the providers, and a workflow of each workflow. Raises InvalidConfiguration."""
    source = Source(document)
    if (version := source.text("version")) not in (None, "1", "1.0"):
        source.note("version", Fate.WARNING, f"is {version[:20]!a}; 1.0 is what is known here")
    providers = source.inner("providers")
    credentials = _credentials(providers) if providers else {}
    named = set(providers.data) if providers else set[str]()
    workflows: list[Json] = []
    for index, one in enumerate(source.objects("workflows")):
        found = read_workflow(one, f"{name} {index + 1}", credentials, named)
        workflows += [found] if found else []
    source.rest("is not for mail", known=("version", "providers", "workflows"))
    if not credentials and not workflows:
        said = [note for note in source.notes if note.fate is Fate.LEFT_OUT]
        raise InvalidConfiguration(
            f"There is no e-mail provider and no workflow that sends mail{f': {said[0]}' if said else ''}.",
            hint="Give providers with provider: email, or workflows with task: notify.",
            parameter=said[0].place if said else "providers",
        )
    return Imported("provider", credentials, {}, tuple(workflows), tuple(source.notes))


def _credentials(providers: Source) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name in providers.data:
        if not (entry := providers.inner(str(name))):
            continue
        kind = entry.text("provider") or ""
        config = entry.inner("config")
        platform = (config.text("platform") if config else None) or kind.partition(".")[2] or "smtp"
        if kind.partition(".")[0] != "email":
            providers.note(str(name), Fate.LEFT_OUT, f"is a provider of {kind[:40] or 'nothing'}, not mail")
        elif platform in _OTHER_PLATFORMS:
            providers.note(str(name), Fate.LEFT_OUT, f"is {_OTHER_PLATFORMS[platform]}")
        elif entry.flag("enabled") is False:
            entry.note("enabled", Fate.LEFT_OUT, "is false, so the provider is not used")
        elif platform != "smtp":
            assert config
            raise config.wrong("platform", f"cannot be {platform[:40]!a}.", "There are: smtp, ses, acs.")
        else:
            found[str(name)] = _credential(entry, config or Source({}, entry.at("config"), entry.notes))
    return found


def _credential(entry: Source, config: Source) -> Json:
    if missing := [key for key in REQUIRED if not config.has(key)]:
        raise InvalidConfiguration(
            f"missing email configuration field(s): [{' '.join(missing)}] in {config.place}",
            hint="Give each a value; a secret as ${NAME}, from the environment.",
            parameter=config.at(missing[0]),
        )
    for key in REQUIRED:
        if _PLACEHOLDER.fullmatch(str(config.data[key])):
            config.note(key, Fate.WARNING, f"is still the placeholder {str(config.data[key])[:60]}")
    port = config.number("port", 1, 65535)
    implicit = port == 465
    config.note(
        "port",
        Fate.BETTER,
        "means TLS from the start" if implicit else "means mandatory STARTTLS: no mail goes out in clear",
        "credential.port, credential.encryption",
    )
    sender = config.text("from") or ""
    if "${" not in sender and not _PLACEHOLDER.fullmatch(sender):
        sender = config.mailbox("from") or ""
    config.note("from", Fate.SAME, becomes="credential.fromAddress")
    skip = config.flag("tls_skip_verify")
    if config.has("tls_skip_verify"):
        fate, why = (Fate.WARNING, "anybody in between can read the password") if skip else (Fate.SAME, "")
        config.note("tls_skip_verify", fate, why, "credential.tlsSkipVerify")
    if config.has("platform"):
        config.note("platform", Fate.SAME)
    document = credential(
        "smtp",
        {
            "host": config.text("host", "credential.host"),
            "port": port,
            "encryption": "tls" if implicit else "starttls",
            "username": config.text("user", "credential.username"),
            "password": config.text("pass", "credential.password"),
            "authMethod": "auto",
            "fromAddress": sender,
            "tlsSkipVerify": skip or None,
        },
    )
    config.rest("is not an option of the provider")
    texts = {key: entry.text(key, f"credential.{key}") for key in ("name", "description")}
    entry.rest("is not known here", known=("provider", "enabled", "config"))
    return {**document, **{key: value for key, value in texts.items() if value}}


def recognises(document: Any) -> bool:
    """Whether there are e-mail providers, or workflows of steps."""
    if not isinstance(document, Mapping):
        return False
    whole = cast(Mapping[str, Any], document)
    providers, workflows = whole.get("providers"), whole.get("workflows")
    if isinstance(providers, Mapping):
        entries = cast(Mapping[str, Any], providers).values()
        return any(isinstance(one, Mapping) and "provider" in one for one in entries)
    return any(isinstance(one, Mapping) and "steps" in one for one in as_list(workflows))


def write(imported: Imported) -> Json:
    """The document that is read as ``imported``. Raises InvalidConfiguration for what would be lost."""
    if imported.nodes:
        raise lost("A node", "can only be said as a step of a workflow there")
    providers = {name: _provider(name, document) for name, document in imported.credentials.items()}
    workflows = [write_workflow(workflow, list(providers)) for workflow in imported.workflows]
    return {
        "version": "1.0",
        **({"providers": providers} if providers else {}),
        **({"workflows": workflows} if workflows else {}),
    }


def _provider(name: str, document: Json) -> Json:
    data = Ours(checked_type(name, document, "smtp")["data"], f"The credential {name}: data")
    encryption, port = data.take("encryption", "starttls"), data.take("port")
    port = port or {"tls": 465, "starttls": 587}.get(encryption)
    if encryption == "none" or (encryption == "tls") != (port == 465):
        raise lost(f"{data.place}.encryption", f"{encryption} on port {port} cannot be said there")
    if (method := data.take("authMethod", "login")) != "auto":
        raise lost(f"{data.place}.authMethod", f"{method} cannot be said there (set it to auto)")
    config = {
        "platform": "smtp",
        "host": data.take("host"),
        "port": port,
        "user": data.take("username"),
        "pass": data.take("password"),
        "from": data.take("fromAddress"),
    }
    if data.take("tlsSkipVerify"):
        config["tls_skip_verify"] = True
    data.done()
    if missing := [key for key in REQUIRED if not config[key]]:
        raise lost(f"The credential {name}", f"has no {missing[0]}, which is required there")
    about = {key: document[key] for key in ("name", "description") if document.get(key)}
    return {**about, "provider": EMAIL, "enabled": True, "config": config}


DIALECT = Dialect("provider", "email.smtp provider", recognises, read, write)
