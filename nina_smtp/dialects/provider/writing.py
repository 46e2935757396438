"""Workflows of ours as those of the ``email.smtp`` provider, where that loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nina_smtp.dialects.exporting import Ours, lost
from nina_smtp.dialects.imported import Json
from nina_smtp.dialects.provider.notify import EMAIL, OPTIONS
from nina_smtp.dialects.source import as_list


def write_workflow(workflow: Json, providers: Sequence[str]) -> Json:
    """The workflow as it is written there. Raises InvalidConfiguration for what would be lost."""
    whole = Ours(workflow, "The workflow")
    name, edges = str(whole.take("name", "workflow")), whole.take("edges", [])
    by_id = {str(node["id"]): node for node in whole.take("nodes", [])}
    whole.done()
    following = {str(edge["from"]): str(edge["to"]) for edge in edges}
    start = [one for one, node in by_id.items() if node.get("type") == "manual_trigger"]
    order = start[:1]
    while order and (after := following.get(order[-1])) and after not in order:
        order.append(after)
    if len(order) != len(by_id) or len(edges) != len(order) - 1 or any(map(_is_branch, edges)):
        raise lost(f"The workflow {name}", "is not one trigger and one mail after the other")
    _configuration(by_id[order[0]], "manual_trigger").done()
    if len(order) < 2:
        raise lost(f"The workflow {name}", "sends no mail")
    return {"name": name, "steps": [_step(by_id[one], providers) for one in order[1:]]}


def _is_branch(edge: Json) -> bool:
    return edge.get("output") not in (None, "main", "success")


def _configuration(node: Json, type_: str) -> Ours:
    """What a node is to do, when everything else about it is said. Where it is drawn is nobody's loss."""
    place = f"The node {node.get('name')}"
    ours = Ours(node, place)
    if (found := ours.take("type")) != type_:
        raise lost(place, f"is of the type {found}")
    config = ours.take("config", {})
    ours.drop("disabled", False)
    for key in ("id", "name", "position", "credential"):
        ours.take(key)
    ours.done()
    return Ours(config, f"{place}: config")


def _step(node: Json, providers: Sequence[str]) -> Json:
    config = _configuration(node, "smtp")
    config.drop("resource", "email")
    config.drop("operation", "send")
    if config.take("options", {}) != OPTIONS:
        raise lost(f"{config.place}.options", f"are not {OPTIONS}")
    given = Ours(config.take("parameters", {}), f"{config.place}.parameters")
    config.done()
    step: dict[str, Any] = {"provider": _written_route(node.get("credential"), providers)}
    step |= {"subject": given.text("subject"), "to": given.mailboxes("to")}
    step |= {"cc": given.mailboxes("cc"), "bcc": given.mailboxes("bcc")}
    step |= {"from": given.text("from"), "reply_to": given.text("replyTo")}
    body, text = given.text("body"), given.text("textBody")
    html = given.take("contentType", "text") == "html"
    if text is not None and not html:
        raise lost(f"{given.place}.textBody", "is there beside a text")
    step["body"] = {"text": text, "html": body} if html else {"text": body}
    step["body"] = {key: value for key, value in step["body"].items() if value is not None}
    headers = _written_headers(given)
    if (sender := given.text("envelopeFrom")) is not None:
        headers["Sender"] = sender
    given.done()
    step["headers"] = headers or None
    written = {key: value for key, value in step.items() if value is not None}
    if any("${" in str(value) for value in written.values()):
        raise lost(given.place, "hold ${…}, which is an expression there")
    return {"name": node.get("name"), "task": "notify", "type": EMAIL, "config": written}


def _written_headers(given: Ours) -> dict[str, Any]:
    headers = given.take("headers", {})
    if set(headers) == {"literal"}:
        return dict(headers["literal"])
    if any("{{" in str(value) or "{%" in str(value) for value in headers.values()):
        raise lost(f"{given.place}.headers", "have a template in them")
    return dict(headers)


def _written_route(credential: Any, providers: Sequence[str]) -> Any:
    route = as_list(credential)
    if not all(isinstance(one, str) for one in route):
        raise lost("A credential inside a node", "has no name")
    if unknown := [one for one in route if providers and one not in providers]:
        raise lost(f"The credential {unknown[0]}", "is not among those that are exported")
    return route[0] if route == list(dict.fromkeys([route[0], *providers]))[:10] else route
