"""What there is: every node and credential type with its form, for a host that draws it."""

from __future__ import annotations

from typing import Any

from nina_smtp.catalog import Broken, Catalog, default_catalog
from nina_smtp.credential import CredentialType
from nina_smtp.node import NodeType
from nina_smtp.workflow.model import schema as workflow_schema


def description(catalog: Catalog | None = None) -> dict[str, Any]:
    """``{"nodes": […], "credentials": […], "workflow": JSON Schema}``; a broken type has only type and
    error.
    """
    catalog = catalog or default_catalog()
    return {
        "nodes": [_node(node, catalog) for node in catalog.nodes()],
        "credentials": [_credential(credential, catalog) for credential in catalog.credentials()],
        "workflow": workflow_schema(),
    }


def _node(node: NodeType | Broken, catalog: Catalog) -> dict[str, Any]:
    if isinstance(node, Broken):
        return {"type": node.type, "error": node.error}
    return {
        "type": node.type,
        "title": node.title,
        "description": node.description,
        "aliases": list(node.aliases),
        "credentials": list(node.credentials),
        "inputs": list(node.inputs),
        "outputs": list(node.outputs),
        "schema": node.config.model_json_schema(by_alias=True),
        "operations": {name: form.model_json_schema(by_alias=True) for name, form in node.operations.items()},
        "outputSchema": dict(node.output_schema),
        **_files(catalog, "nodes", node.type),
    }


def _credential(credential: CredentialType | Broken, catalog: Catalog) -> dict[str, Any]:
    if isinstance(credential, Broken):
        return {"type": credential.type, "error": credential.error}
    return {
        "type": credential.type,
        "title": credential.title,
        "description": credential.description,
        "schema": credential.fields.model_json_schema(by_alias=True),
        "presets": [
            {"name": preset.name, "title": preset.title, "values": dict(preset.values), "hint": preset.hint}
            for preset in credential.presets
        ],
        **_files(catalog, "credentials", credential.type),
    }


def _files(catalog: Catalog, kind: str, name: str) -> dict[str, Any]:
    folder = catalog.folder(kind, name)
    found = {"icon": folder / "icon.svg", "help": folder / "help.md"}
    return {key: path.read_text(encoding="utf-8") for key, path in found.items() if path.is_file()}
