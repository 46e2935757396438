"""A document of theirs, as ours: an asset, an action, or both.

==================================================================  ==================================
``{"server": …, "ssl_config": …}``                                  the configuration of an asset
``{"name": …, "configuration": {…}}``                               an asset, as it is exported
``{"action": "send email", "parameters": {…}}``                     an action
``{"action": …, "targets": [{"assets": …, "parameters": [{…}]}]}``  actions, as they are asked to run
``{"asset": {…}, "action": …, "parameters": {…}}``                  both, which makes a workflow
==================================================================  ==================================

A value that is one ``${NAME}`` is a variable of the environment, as in every credential file of ours: SOAR
exports no passwords, so they have to be filled in. Within other text these characters are themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from nina_smtp.dialects.imported import Fate, Imported, Json, credential, is_reference
from nina_smtp.dialects.soar.actions import CONNECTIVITY, action_name, read_action
from nina_smtp.dialects.soar.asset import Asset, read_asset, title_of
from nina_smtp.dialects.source import Source, verbatim
from nina_smtp.errors import InvalidConfiguration

MAX_ACTIONS = 100
"""Of one document."""


def recognises(document: Any) -> bool:
    """Whether it is the connector's: an action of its, or an asset with its two required variables."""
    if not isinstance(document, Mapping):
        return False
    keys = cast(Mapping[str, Any], document)
    if "action" in keys:
        with suppress(InvalidConfiguration):
            return bool(action_name(keys["action"]))
        return False
    inner = keys.get("configuration", keys)
    return isinstance(inner, Mapping) and "server" in inner and "ssl_config" in inner


def read(document: Any, name: str) -> Imported:
    """What the document is here. Raises InvalidConfiguration."""
    source = Source(document)
    if "action" not in source.data:
        return Imported("soar", credentials_of(read_asset(source, name)), notes=tuple(source.notes))
    credentials = _credentials(source, name)
    action = action_name(source.value("action"))
    if action == CONNECTIVITY:
        message = "nothing is kept of it: nina-smtp soar ASSET.json 'test connectivity' does it"
        source.note("action", Fate.LEFT_OUT, message)
        source.rest("has nothing to do with how mail is sent", known=("name", "targets", "parameters"))
        return Imported("soar", credentials, notes=tuple(source.notes))
    source.note("action", Fate.SAME, becomes="nodes")
    title = title_of(source.text("name", "nodes") or "") or action
    found = [read_action(action, parameters, None) for parameters in _parameter_sets(source)]
    nodes = {title if number == 1 else f"{title} {number}": one.node for number, one in enumerate(found, 1)}
    source.rest("has nothing to do with how mail is sent")
    workflows = (workflow(name, credentials, nodes),) if credentials else ()
    return Imported("soar", credentials, nodes, workflows, tuple(source.notes))


def credentials_of(asset: Asset) -> dict[str, Json]:
    """The asset's credentials by name, as they are kept in a file; a file's name may not be all of theirs."""
    found: dict[str, Json] = {}
    for way, account in asset.accounts.items():
        name = f"{asset.name} ({way})" if found else asset.name
        data = {key: _kept(value) for key, value in account["data"].items()}
        found[name] = {**credential(account["type"], data), "name": name}
    return found


def workflow(name: str, credentials: Mapping[str, Json], nodes: Mapping[str, Json]) -> Json:
    """A trigger, and a node for every action. The credentials are used in their order."""
    names = list(credentials)
    route: str | list[str] = names if len(names) > 1 else names[0]
    mails = [
        {"id": f"mail-{number}", "type": "smtp", "name": title, "credential": route, "config": node}
        for number, (title, node) in enumerate(nodes.items(), 1)
    ]
    start: Json = {"id": "start", "type": "manual_trigger", "name": "Start", "config": {}}
    edges = [{"from": "start", "to": mail["id"]} for mail in mails]
    return {"name": title_of(name) or "imported", "nodes": [start, *mails], "edges": edges}


def _kept(value: Any) -> Any:
    return value if not isinstance(value, str) or is_reference(value) else verbatim(value)


def _credentials(source: Source, name: str) -> dict[str, Json]:
    if isinstance(source.data.get("asset"), str):
        _tell_of_assets(source, "asset")
        return {}
    inner = source.inner("asset")
    return credentials_of(read_asset(inner, name)) if inner else {}


def _tell_of_assets(source: Source, key: str) -> None:
    source.note(
        key, Fate.LEFT_OUT, "names an asset, which is imported by itself: give the node its credential"
    )


def _parameter_sets(source: Source) -> list[Source]:
    """The parameters of every run that is asked for."""
    targets = source.objects("targets")
    sets: list[Source] = []
    for target in targets:
        if target.has("assets"):
            _tell_of_assets(target, "assets")
        sets += _listed(target, "parameters")
        target.rest("has nothing to do with how mail is sent")
    if not targets or source.has("parameters"):
        sets += _listed(source, "parameters")
    if not 1 <= len(sets) <= MAX_ACTIONS:
        raise source.wrong("targets", f"ask for {len(sets)} mails; 1 to {MAX_ACTIONS} are read.")
    return sets


def _listed(source: Source, key: str) -> Sequence[Source]:
    if isinstance(source.data.get(key), list | tuple):
        return source.objects(key)
    return [source.inner(key) or Source({}, source.at(key), source.notes)]
