"""What ``nina-smtp soar`` is given: files that a person wrote, or a playbook."""

from __future__ import annotations

import shlex
from typing import cast

from nina_smtp.cli import files
from nina_smtp.dialects.documents import checked
from nina_smtp.dialects.imported import Json
from nina_smtp.dialects.soar.actions import action_name
from nina_smtp.errors import InvalidConfiguration, ParameterError, WorkflowError


def check(document: Json, what: str) -> None:
    """Raises InvalidConfiguration for what an import would refuse, too: no message holds half a character."""
    try:
        checked(document)
    except WorkflowError as error:
        first = error.problems[0]
        place = f"{what}.{first['place']}" if first["place"] else what
        raise InvalidConfiguration(
            f"{place}: {first['message']}", hint=first.get("hint"), parameter=place
        ) from None


def read_parameters(path: str | None, action: str) -> Json:
    """The parameters in a file, which may say their action too."""
    if path is None:
        return {}
    found: object = files.read_json(path, "parameters")
    said: Json = cast(Json, found) if isinstance(found, dict) else {}
    if "targets" in said:
        raise ParameterError(
            f"{path} is the body of a request to SOAR.",
            hint=f"Import it: nina-smtp import {shlex.quote(path)}; or give the parameters alone.",
            parameter="parameters",
        )
    inner = cast(object, said.get("parameters", {}) if "action" in said else found)
    if isinstance(inner, list):
        raise ParameterError(
            f"{path} has a list of parameters: nothing was run.",
            hint="Give one object, and run the action once for each.",
            parameter="parameters",
        )
    if not isinstance(inner, dict):
        raise ParameterError(
            f"The parameters {path} are not a JSON object.", hint="Give one object.", parameter="parameters"
        )
    if "action" in said and action_name(said["action"]) != action:
        raise ParameterError(
            f"{path} is for the action {said['action']!a}.", hint="Run that one.", parameter="parameters"
        )
    return cast(Json, inner)
