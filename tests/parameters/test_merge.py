"""Where each parameter comes from: the contract's section 3, with a small table of its own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nina_smtp.errors import (
    ExtractError,
    MissingParameter,
    NinaError,
    ParameterError,
    TemplateError,
    UnknownParameter,
)
from nina_smtp.parameters.insertion import Mode
from nina_smtp.parameters.merge import AutoExtract, Merger, Parameter


def a_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ParameterError("It is not a text.")
    return value


def a_list(value: Any) -> list[Any]:
    if not isinstance(value, (list, str)):
        raise ParameterError("It is not a list.")
    return value if isinstance(value, list) else [value]


def a_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ParameterError("It is not true or false.")
    return value


def anything(value: Any) -> Any:
    return value


TABLE = (
    Parameter("to", a_list, is_list=True),
    Parameter("kind", a_text, is_text=True, is_content=True),
    Parameter("subject", a_text, is_text=True, is_content=True),
    Parameter("replyTo", a_text, is_text=True),
    Parameter("urgent", a_flag),
    Parameter("footer", a_text, is_text=True, empty_is_value=True),
    Parameter("extra", anything),
)


def merger(
    parameters: dict[str, Any] | None = None, extract: dict[str, str] | None = None, **options: Any
) -> Merger:
    return Merger(TABLE, parameters or {}, extract or {}, **options)


def merged(
    item: Any, parameters: dict[str, Any] | None = None, extract: dict[str, str] | None = None, **options: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    found = merger(parameters, extract, **options).merge(item)
    return dict(found.values), {name: source.as_dict() for name, source in found.sources.items()}


def error_of(
    item: Any, parameters: dict[str, Any] | None = None, extract: dict[str, str] | None = None, **options: Any
) -> NinaError:
    with pytest.raises(NinaError) as caught:
        merged(item, parameters, extract, **options)
    return caught.value


class TestWhatIsWrongWithTheNode:
    @pytest.mark.parametrize(
        ("key", "meant"),
        [("subjct", "subject"), ("Subject", "subject"), ("reply-to", "replyTo"), ("ReplyTo", "replyTo")],
    )
    def test_an_unknown_parameter_names_the_one_that_was_meant(self, key: str, meant: str):
        with pytest.raises(UnknownParameter) as caught:
            merger({key: "x"})
        assert caught.value.hint == f"Did you mean {meant}?"
        assert caught.value.as_dict()["parameter"] == key
        assert caught.value.as_dict()["source"] == "node"

    def test_an_unknown_parameter_in_extract_too(self):
        with pytest.raises(UnknownParameter) as caught:
            merger({}, {"subjct": "$.x"})
        assert (caught.value.parameter, caught.value.hint) == ("extract.subjct", "Did you mean subject?")

    def test_an_unknown_parameter_that_is_near_nothing_lists_all(self):
        with pytest.raises(UnknownParameter) as caught:
            merger({"qqqqqq": 1})
        assert "There are: extra, footer, kind, replyTo, subject, to, urgent." in str(caught.value.hint)

    @pytest.mark.parametrize("which", ["parameters", "extract"])
    def test_both_spellings_are_an_error(self, which: str):
        with pytest.raises(ParameterError, match="replyTo is given twice, in two spellings") as caught:
            merger(**{which: {"replyTo": "$.a", "reply_to": "$.b"}})
        assert caught.value.parameter == "replyTo"

    def test_a_broken_template_shows_before_any_item_comes(self):
        with pytest.raises(TemplateError) as caught:
            merger({"extra": {"a": ["x", {"b": "{{ a"}]}})
        assert (caught.value.parameter, caught.value.source) == ("extra.a[1].b", "node")

    def test_a_broken_path_shows_before_any_item_comes(self):
        with pytest.raises(ExtractError) as caught:
            merger({}, {"subject": "$["})
        assert (caught.value.parameter, caught.value.source) == ("extract.subject", "node")

    def test_a_path_that_is_no_text_is_an_error(self):
        with pytest.raises(ExtractError):
            merger({}, {"subject": 5})  # type: ignore[dict-item]

    def test_endless_nesting_is_an_error(self):
        deep: Any = "x"
        for _ in range(5000):
            deep = [deep]
        with pytest.raises(ParameterError, match="nested too deeply"):
            merger({"extra": deep})


class TestWhatIsWrongWithTheItem:
    def test_a_required_parameter_that_is_nowhere_says_where_it_could_be(self):
        needed = Merger((Parameter("subject", a_text, required=True),), {}, {})
        with pytest.raises(MissingParameter, match="subject is required, and no source has it") as caught:
            needed.merge({})
        assert "Set it in the node, map it in extract, or let the input have a key subject." in str(
            caught.value.hint
        )

    def test_a_required_parameter_whose_path_finds_nothing_names_a_near_one(self):
        needed = Merger((Parameter("subject", a_text, required=True),), {}, {"subject": "$.alert.tittle"})
        with pytest.raises(MissingParameter) as caught:
            needed.merge({"alert": {"title": "x"}})
        assert caught.value.hint == "$.alert.tittle found nothing. Did you mean $.alert.title?"

    @pytest.mark.parametrize(
        ("item", "parameters", "extract", "source"),
        [
            ({}, {"subject": ["x"]}, None, "node"),
            ({"a": ["x"]}, {"subject": "{{ a }}"}, None, "node"),
            ({}, {"subject": 5}, None, "node"),
            ({}, {"subject": True}, None, "node"),
            ({"a": 5}, None, {"subject": "$.a"}, "extracted"),
            ({"parameters": {"subject": 5}}, None, None, "extracted"),
            ({"subject": 5}, None, None, "input"),
            ({"subject": {"x": 1}}, None, None, "input"),
            ({"subject": False}, None, None, "input"),
        ],
    )
    def test_a_wrong_type_names_the_parameter_and_its_source(
        self, item: Any, parameters: Any, extract: Any, source: str
    ):
        error = error_of(item, parameters, extract)
        assert (error.as_dict()["parameter"], error.as_dict()["source"]) == ("subject", source)

    def test_a_wrong_type_in_a_source_that_loses_does_not_matter(self):
        assert merged({"subject": 5}, {"subject": "x"})[0]["subject"] == "x"

    def test_a_path_with_many_matches_for_one_value_is_an_error(self):
        error = error_of({"a": [1, 2]}, None, {"subject": "$.a[*]"})
        assert "$.a[*] found 2 values for subject, which takes one." in error.message
        assert (error.parameter, error.source) == ("subject", "extracted")

    def test_unless_the_node_has_it_anyway(self):
        values, sources = merged({"a": ["x", "y"]}, {"subject": "node"}, {"subject": "$.a[*]"})
        assert values["subject"] == "node"
        assert sources["subject"] == {"source": "node", "overrode": ["extracted"]}

    def test_an_unknown_path_names_the_parameter(self):
        error = error_of({"alert": {"title": "x"}}, {"extra": [{"a": "{{ alert.tittle }}"}]})
        assert error.parameter == "extra[0].a"
        assert error.source == "node"
        assert "Did you mean {{ alert.title }}?" in str(error.hint)

    @pytest.mark.parametrize("place", ["input", "extracted"])
    def test_both_spellings_are_an_error_in_data_too(self, place: str):
        both = {"reply_to": "a", "replyTo": "b"}
        error = error_of(both if place == "input" else {"parameters": both})
        assert "two spellings" in error.message
        assert error.source == place


class TestTheOrder:
    ITEM: Any = {  # noqa: RUF012
        "subject": "input",
        "parameters": {"subject": "own"},
        "alert": {"title": "path", "subject": "named"},
    }

    def test_node_before_extracted_before_input(self):
        values, sources = merged(self.ITEM, {"subject": "node"}, {"subject": "$.alert.title"})
        assert values["subject"] == "node"
        assert sources["subject"] == {"source": "node", "overrode": ["extracted", "input"]}

    def test_extract_before_the_item_s_parameters(self):
        values, sources = merged(self.ITEM, None, {"subject": "$.alert.title"})
        assert values["subject"] == "path"
        assert sources["subject"] == {"source": "extracted", "path": "$.alert.title", "overrode": ["input"]}

    def test_the_item_s_parameters_before_what_is_found_by_name(self):
        values, sources = merged(self.ITEM)
        assert values["subject"] == "own"
        assert sources["subject"] == {
            "source": "extracted",
            "path": "$.parameters.subject",
            "overrode": ["input"],
        }

    def test_what_is_found_by_name_before_the_input(self):
        item = {"subject": "input", "alert": {"subject": "named"}}
        values, sources = merged(item)
        assert values["subject"] == "named"
        assert sources["subject"] == {"source": "extracted", "path": "$.alert.subject", "overrode": ["input"]}

    def test_the_input_last(self):
        values, sources = merged({"subject": "input", "other": 1})
        assert (values, sources) == ({"subject": "input"}, {"subject": {"source": "input"}})

    def test_each_parameter_on_its_own(self):
        values, sources = merged(
            {"subject": "s", "to": ["a"], "alert": {"kind": "k"}}, {"replyTo": "{{ subject }}"}
        )
        assert values == {"subject": "s", "to": ["a"], "kind": "k", "replyTo": "s"}
        assert {name: source["source"] for name, source in sources.items()} == {
            "subject": "input",
            "to": "input",
            "kind": "extracted",
            "replyTo": "node",
        }

    def test_spellings_are_accepted_everywhere_and_reported_in_camel_case(self):
        for item, parameters, extract in [
            ({}, {"reply_to": "x"}, None),
            ({"a": "x"}, None, {"reply_to": "$.a"}),
            ({"parameters": {"reply_to": "x"}}, None, None),
            ({"reply_to": "x"}, None, None),
        ]:
            values, sources = merged(item, parameters, extract)
            assert values == {"replyTo": "x"}
            assert list(sources) == ["replyTo"]

    def test_other_keys_of_the_item_are_ignored(self):
        assert merged({"foo": 1, "Subject": "x", "subject ": "y", "": 3}) == ({}, {})


class TestAbsent:
    @pytest.mark.parametrize("nothing", [None, ""])
    def test_the_next_source_is_asked(self, nothing: Any):
        item = {"a": nothing, "subject": "input", "parameters": {"subject": nothing}}
        for parameters, extract in [
            ({"subject": nothing}, None),
            ({"subject": "{{ a }}"}, None),
            (None, {"subject": "$.a"}),
            (None, {"subject": "$.nope"}),
        ]:
            values, sources = merged(item, parameters, extract)
            assert values == {"subject": "input"}
            assert sources == {"subject": {"source": "input"}}

    @pytest.mark.parametrize("nothing", [None, ""])
    def test_in_the_last_source_there_is_no_value(self, nothing: Any):
        assert merged({"subject": nothing}) == ({}, {})

    def test_an_empty_list_is_a_value(self):
        values, sources = merged({"to": ["input"]}, {"to": []})
        assert values["to"] == []
        assert sources["to"] == {"source": "node", "overrode": ["input"]}
        assert merged({"to": []})[0]["to"] == []

    def test_false_is_a_value(self):
        assert merged({"urgent": True}, {"urgent": False})[0]["urgent"] is False
        assert merged({"urgent": False})[1]["urgent"] == {"source": "input"}

    def test_zero_is_a_value(self):
        assert merged({"extra": 1}, {"extra": 0})[0]["extra"] == 0

    def test_an_empty_text_is_a_value_where_it_says_something(self):
        assert merged({"footer": "input"}, {"footer": ""})[0]["footer"] == ""
        assert merged({"footer": ""})[0]["footer"] == ""
        assert merged({"footer": "input"}, {"footer": None})[0]["footer"] == "input"

    def test_a_literal_empty_text_is_a_value(self):
        assert merged({"subject": "input"}, {"subject": {"literal": ""}})[0]["subject"] == ""


class TestNodeValues:
    @pytest.mark.parametrize("value", [["a", "b"], {"x": 1}, 5, True, 0.5])
    def test_a_whole_path_keeps_its_type(self, value: Any):
        assert merged({"v": value}, {"extra": "{{ v }}"})[0]["extra"] == value

    @pytest.mark.parametrize(("value", "text"), [(5, "5"), (0.5, "0.5"), (True, "true")])
    def test_a_whole_path_to_a_number_is_text_where_text_is_asked_for(self, value: Any, text: str):
        assert merged({"v": value}, {"subject": "{{ v }}"})[0]["subject"] == text

    def test_lists_are_replaced_and_never_appended(self):
        assert merged({"to": ["input"]}, {"to": ["node"]})[0]["to"] == ["node"]

    def test_templates_are_filled_in_at_any_depth(self):
        value = {"a": ["{{ v }}", {"b": "x{{ v }}"}], "{{ v }}": 1}
        assert merged({"v": 5}, {"extra": value})[0]["extra"] == {"a": [5, {"b": "x5"}], "{{ v }}": 1}

    @pytest.mark.parametrize("value", ["{{ braces }}", "{% raw", ["{{ x }}"], {"a": "{{ x }}"}, 5, False])
    def test_a_literal_is_taken_as_it_stands(self, value: Any):
        assert merged({}, {"extra": {"literal": value}})[0]["extra"] == value
        assert merged({}, {"extra": [{"literal": value}]})[0]["extra"] == [value]

    def test_a_literal_of_nothing_is_nothing(self):
        assert merged({"subject": "input"}, {"subject": {"literal": None}})[0]["subject"] == "input"

    def test_an_object_with_more_than_a_literal_is_an_object(self):
        assert merged({}, {"extra": {"literal": 1, "b": 2}})[0]["extra"] == {"literal": 1, "b": 2}

    def test_the_context_is_seen_behind_the_item(self):
        node = merger({"subject": '{{ nodes["Get alert"].title }} {{ v }}'})
        context = {"nodes": {"Get alert": {"title": "T"}}, "v": "context"}
        assert node.merge({"v": "item"}, context).values["subject"] == "T item"

    def test_the_context_is_no_input(self):
        assert merger().merge({}, {"subject": "x"}).values == {}

    def test_the_mode_is_asked_with_what_was_merged_before(self):
        def mode(name: str, values: Any) -> Mode:
            return Mode.HTML if name == "subject" and values.get("kind") == "html" else Mode.TEXT

        item = {"v": "<b>", "kind": "html"}
        assert merged(item, {"subject": "x{{ v }}"}, mode=mode)[0]["subject"] == "x&lt;b&gt;"
        assert merged(item | {"kind": "text"}, {"subject": "x{{ v }}"}, mode=mode)[0]["subject"] == "x<b>"

    def test_an_address_list_is_addresses_and_its_elements_are_one_each(self):
        options: Any = {"mode": lambda name, values: Mode.ADDRESSES if name == "to" else Mode.TEXT}
        item = {"v": "a@x.test, b@x.test"}
        assert merged(item, {"to": "{{ v }}"}, **options)[0]["to"] == ["a@x.test, b@x.test"]
        error = error_of(item, {"to": ["c@x.test", "{{ v }}"]}, **options)
        assert (error.parameter, error.source, error.type) == ("to[1]", "node", "templateError")
        assert error_of(item, {"to": "c@x.test, {{ v }}"}, **options).parameter == "to"


class TestData:
    BRACES = "{{ secret }}{% assign x = 1 %}"

    @pytest.mark.parametrize(
        ("item", "extract"),
        [
            ({"subject": BRACES}, None),
            ({"parameters": {"subject": BRACES}}, None),
            ({"alert": {"subject": BRACES}}, None),
            ({"a": BRACES}, {"subject": "$.a"}),
        ],
    )
    def test_is_never_taken_for_a_template(self, item: Any, extract: Any):
        assert merged({"secret": "s", **item}, None, extract)[0]["subject"] == self.BRACES

    @pytest.mark.parametrize(
        "item", [{"subject": {"literal": "x"}}, {"parameters": {"subject": {"literal": "x"}}}]
    )
    def test_has_no_literals(self, item: Any):
        assert error_of(item).parameter == "subject"

    def test_may_have_many_matches_for_a_list(self):
        item = {"users": [{"e": "a"}, {"e": "b"}]}
        values, sources = merged(item, None, {"to": "$.users[*].e"})
        assert values["to"] == ["a", "b"]
        assert sources["to"] == {"source": "extracted", "path": "$.users[*].e"}

    def test_one_match_that_is_a_list_is_that_list(self):
        assert merged({"users": ["a", "b"]}, None, {"to": "$.users"})[0]["to"] == ["a", "b"]

    @pytest.mark.parametrize("parameters", ["text", 5, ["a"], None])
    def test_called_parameters_need_not_be_an_object(self, parameters: Any):
        assert merged({"parameters": parameters, "subject": "x"})[0] == {"subject": "x"}

    def test_unknown_keys_in_its_parameters_are_ignored(self):
        assert merged({"parameters": {"subjct": "x"}})[0] == {}


class TestByName:
    ITEM: Any = {"a": {"subject": "s", "kind": "k", "to": ["evil@x.test"], "reply_to": "r", "urgent": True}}  # noqa: RUF012

    def test_content_is_found_and_recipients_are_not(self):
        assert merged(self.ITEM)[0] == {"subject": "s", "kind": "k"}

    def test_everything_is_found_if_asked_for(self):
        found = merged(self.ITEM, auto_extract=AutoExtract.ALL)
        assert found[0] == {
            "subject": "s",
            "kind": "k",
            "to": ["evil@x.test"],
            "replyTo": "r",
            "urgent": True,
        }
        assert found[1]["replyTo"] == {"source": "extracted", "path": "$.a.reply_to"}

    def test_nothing_is_found_if_it_is_off(self):
        assert merged(self.ITEM, auto_extract=AutoExtract.OFF)[0] == {}

    def test_what_is_found_twice_is_not_found(self):
        assert merged({"a": {"subject": "x"}, "b": [{"subject": "y"}]}) == ({}, {})

    def test_two_spellings_below_are_two_matches(self):
        item = {"a": {"replyTo": "x"}, "b": {"reply_to": "y"}}
        assert merged(item, auto_extract=AutoExtract.ALL)[0] == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=6) | st.sampled_from(["subject", "to", "parameters"]), inner, max_size=4
        )
    ),
    max_leaves=15,
)


@given(
    st.dictionaries(
        st.text(max_size=6) | st.sampled_from([*(p.name for p in TABLE), "reply_to", "parameters"]),
        JSON,
        max_size=6,
    ),
    st.sampled_from(AutoExtract),
)
@settings(max_examples=300, deadline=None)
def test_whatever_the_item_a_value_comes_from_the_first_source_that_has_it(
    item: dict[str, Any], auto: AutoExtract
):
    try:
        values, sources = merged(
            item, {"replyTo": "{{ a | default: '' }}"}, {"extra": "$.b"}, auto_extract=auto
        )
    except ParameterError as error:
        told = (error.parameter, error.source)
    else:
        told = ("", "")
        check_sources(values, sources, item)
    assert None not in told


def check_sources(values: dict[str, Any], sources: dict[str, Any], item: dict[str, Any]) -> None:
    assert set(values) == set(sources)
    for name, source in sources.items():
        assert values[name] is not None
        assert source["source"] not in source.get("overrode", [])
        if source["source"] == "input":
            assert values[name] == TABLE[[p.name for p in TABLE].index(name)].check(
                item.get(name, item.get("reply_to"))
            )
