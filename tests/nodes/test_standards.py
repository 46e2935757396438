"""What every node type and every credential type of the package keeps to."""

import json
import re
import typing
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr

from nina_smtp.catalog import Broken, default_catalog
from nina_smtp.credential import CredentialType
from nina_smtp.node import NodeType

CATALOG = default_catalog()
NODES = {found.type: found for found in CATALOG.nodes()}
CREDENTIALS = {found.type: found for found in CATALOG.credentials()}
TYPES = [*(("nodes", name) for name in NODES), *(("credentials", name) for name in CREDENTIALS)]


def loaded(kind: str, name: str) -> NodeType | CredentialType:
    found = (NODES if kind == "nodes" else CREDENTIALS)[name]
    assert not isinstance(found, Broken), found
    return found


def form_of(kind: str, name: str) -> type[BaseModel]:
    found = loaded(kind, name)
    return found.config if isinstance(found, NodeType) else found.fields


def models(annotation: object, seen: set[type] | None = None) -> Iterator[type[BaseModel]]:
    """The model, and those inside it."""
    seen = set() if seen is None else seen
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in seen:
        seen.add(annotation)
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation, seen)
    for argument in typing.get_args(annotation):
        yield from models(argument, seen)


def secret(annotation: object) -> bool:
    return annotation in (SecretStr, SecretBytes) or any(secret(part) for part in typing.get_args(annotation))


def write_only(schema: object) -> bool:
    """Whether a part of the schema, a union's branch included, is marked writeOnly."""
    if isinstance(schema, dict):
        return schema.get("writeOnly") is True or any(write_only(part) for part in schema.values())
    return isinstance(schema, list) and any(write_only(part) for part in schema)


def test_there_are_nodes():
    assert {"manual_trigger", "table_to_file"} <= set(NODES)


@pytest.mark.parametrize(("kind", "name"), TYPES)
class TestEveryType:
    def test_loads_under_the_name_of_its_folder(self, kind: str, name: str):
        assert loaded(kind, name).type == name
        assert CATALOG.folder(kind, name).name == name

    def test_has_a_title_and_a_description(self, kind: str, name: str):
        found = loaded(kind, name)
        assert found.title
        assert found.title[0].isupper()
        assert found.description.endswith(".")

    def test_every_field_has_a_title_and_a_description(self, kind: str, name: str):
        bare = [
            f"{model.__name__}.{field_name}"
            for model in models(form_of(kind, name))
            for field_name, field in model.model_fields.items()
            if not field.title or not field.description
        ]
        assert bare == []

    def test_every_secret_is_write_only(self, kind: str, name: str):
        shown = []
        for model in models(form_of(kind, name)):
            properties = model.model_json_schema(by_alias=True)["properties"]
            for field_name, field in model.model_fields.items():
                if secret(field.annotation) and not write_only(properties[field.alias or field_name]):
                    shown.append(f"{model.__name__}.{field_name}")
        assert shown == []

    def test_its_form_is_json_schema(self, kind: str, name: str):
        schema = json.loads(json.dumps(form_of(kind, name).model_json_schema(by_alias=True)))
        assert schema["type"] == "object"

    def test_its_icon_is_a_drawing_and_nothing_else(self, kind: str, name: str):
        source = (CATALOG.folder(kind, name) / "icon.svg").read_text("utf-8")
        assert "<!" not in source
        root = ElementTree.fromstring(source)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("viewBox")
        for element in root.iter():
            assert element.tag.rpartition("}")[2] not in (
                "script",
                "foreignObject",
                "image",
                "use",
                "style",
                "a",
            )
            assert not [key for key in element.attrib if re.match(r"(.*\})?(on|href)", key)], element.attrib
        assert not re.search(r"(?i)javascript:|url\(", source)

    def test_its_help_says_something(self, kind: str, name: str):
        assert len((CATALOG.folder(kind, name) / "help.md").read_text("utf-8").strip()) > 40


@pytest.mark.parametrize("name", NODES)
class TestEveryNode:
    def test_its_example_is_valid(self, name: str):
        example = json.loads((CATALOG.folder("nodes", name) / "example.json").read_text("utf-8"))
        loaded("nodes", name).check(example)

    def test_its_ports_are_named_once(self, name: str):
        node = loaded("nodes", name)
        assert len(set(node.inputs)) == len(node.inputs)
        assert len(set(node.outputs)) == len(node.outputs)
        assert node.inputs or node.outputs

    def test_it_says_what_an_output_item_looks_like(self, name: str):
        assert loaded("nodes", name).output_schema.get("type") == "object"

    def test_its_credential_types_exist(self, name: str):
        assert set(loaded("nodes", name).credentials) <= set(CREDENTIALS)


@pytest.mark.parametrize("name", CREDENTIALS)
def test_every_preset_fills_in_known_fields(name: str):
    credential = loaded("credentials", name)
    known = set(credential.fields.model_json_schema(by_alias=True)["properties"])
    for preset in credential.presets:
        assert set(preset.values) <= known
        assert preset.title
        assert preset.hint
