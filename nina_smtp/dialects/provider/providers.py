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
from nina_smtp.dialects.provider.notify import EMAIL, Names, read_workflow
from nina_smtp.dialects.provider.writing import write_workflow
from nina_smtp.dialects.source import Source, as_list, is_placeholder
from nina_smtp.errors import InvalidConfiguration

REQUIRED = ("host", "port", "user", "pass", "from")

_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
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
    others = _others(providers) if providers else {}
    workflows: list[Json] = []
    names = Names(200)
    for index, one in enumerate(source.objects("workflows")):
        found = read_workflow(one, f"{name} {index + 1}", credentials, others)
        if found:
            workflows.append({**found, "name": names.add(str(found["name"]))})
    source.rest("is not for mail", known=("version", "providers", "workflows"))
    if not credentials and not workflows:
        said = [note for note in source.notes if note.fate is Fate.LEFT_OUT]
        raise InvalidConfiguration(
            f"There is no e-mail provider and no workflow that sends mail{f': {said[0]}' if said else ''}.",
            hint="Give providers with provider: email, or workflows with task: notify.",
            parameter=said[0].place if said else "providers",
        )
    return Imported("provider", credentials, {}, tuple(workflows), tuple(source.notes))


def _is_mail(entry: Any) -> bool:
    """Whether it is a provider of mail, whatever its platform."""
    kind: Any = cast(Json, entry).get("provider") if isinstance(entry, Mapping) else None
    return isinstance(kind, str) and kind.partition(".")[0].strip().lower() == EMAIL


def _others(providers: Source) -> dict[str, bool]:
    """All providers of the file, and whether they are of mail."""
    return {str(name): _is_mail(entry) for name, entry in providers.data.items()}


def _credentials(providers: Source) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, entry in providers.data.items():
        if not _is_mail(entry):
            kind = cast(Json, entry).get("provider") if isinstance(entry, Mapping) else None
            providers.note(
                str(name), Fate.LEFT_OUT, f"is a provider of {str(kind or 'nothing')[:40]}, not mail"
            )
        elif (one := providers.inner(str(name))) and (document := _smtp(providers, str(name), one)):
            found[str(name)] = document
    return found


def _smtp(providers: Source, name: str, entry: Source) -> Json | None:
    """The credential, unless the provider is not used, or is not SMTP."""
    config = entry.inner("config") or Source({}, entry.at("config"), entry.notes)
    implied = (entry.text("provider") or "").partition(".")[2]
    platform = (config.text("platform") or implied or "smtp").strip().lower()
    if platform in _OTHER_PLATFORMS:
        providers.note(name, Fate.LEFT_OUT, f"is {_OTHER_PLATFORMS[platform]}")
    elif entry.flag("enabled") is False:
        entry.note("enabled", Fate.LEFT_OUT, "is false, so the provider is not used")
    elif platform != "smtp":
        place, key = (config, "platform") if config.has("platform") else (entry, "provider")
        raise place.wrong(key, f"cannot be {platform[:40]!a}.", "There are: smtp, ses, acs.")
    else:
        return _credential(entry, config)
    return None


def _credential(entry: Source, config: Source) -> Json:
    if missing := [key for key in REQUIRED if not config.has(key)]:
        raise InvalidConfiguration(
            f"missing email configuration field(s): [{' '.join(missing)}] in {config.place}",
            hint="Give each a value; a secret as ${NAME}, from the environment.",
            parameter=config.at(missing[0]),
        )
    for key in REQUIRED:
        if is_placeholder(config.data[key]):
            config.note(key, Fate.WARNING, f"is still the placeholder {str(config.data[key])[:60]}")
        elif "${" in _VARIABLE.sub("", str(config.data[key])):
            config.note(
                key, Fate.WARNING, "holds ${…} that is no variable of the environment; it stays as it is"
            )
    port = config.number("port", 1, 65535)
    implicit = port == 465
    config.note(
        "port",
        Fate.BETTER,
        "means TLS from the start" if implicit else "means mandatory STARTTLS: no mail goes out in clear",
        "credential.port, credential.encryption",
    )
    sender = config.text("from") or ""
    if "${" not in sender and not is_placeholder(sender):
        sender = config.mailbox("from") or ""
        if not sender:
            raise config.wrong("from", "is no mailbox.", "Write it as local-part@domain.")
    config.note("from", Fate.SAME, becomes="credential.fromAddress")
    skip = config.flag("tls_skip_verify")
    if config.has("tls_skip_verify"):
        fate, why = (Fate.WARNING, "anybody in between can read the password") if skip else (Fate.SAME, "")
        config.note("tls_skip_verify", fate, why, "credential.tlsSkipVerify")
    if config.has("platform"):
        config.note("platform", Fate.SAME, becomes="credential.type")
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
        if any(isinstance(one, Mapping) and "provider" in one for one in entries):
            return True
    return any(isinstance(one, Mapping) and "steps" in one for one in as_list(workflows))


def write(imported: Imported) -> Json:
    """The document that is read as ``imported``. Raises InvalidConfiguration for what would be lost."""
    if imported.nodes:
        raise lost("A node", "can only be said as a step of a workflow there")
    providers = {name: _provider(name, document) for name, document in imported.credentials.items()}
    workflows = [write_workflow(workflow, list(providers)) for workflow in imported.workflows]
    if not providers and not workflows:
        raise InvalidConfiguration("There is nothing to export.", hint="Give a credential or a workflow.")
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
