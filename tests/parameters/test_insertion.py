"""Text that a template inserts brings no second recipient into an address, no header into a raw mail."""

from __future__ import annotations

import contextlib
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nina_smtp.errors import InvalidAddress, TemplateError
from nina_smtp.message import parse_list
from nina_smtp.message.raw import compose_raw
from nina_smtp.parameters.insertion import Mode
from nina_smtp.parameters.template import compile_template

EVIL = [
    "a@x.test, evil@evil.test",
    "a@x.test,evil@evil.test",
    "x <evil@evil.test>",
    "a@x.test; evil@evil.test",
    "x: evil@evil.test;",
    "a@x.test\r\nBcc: evil@evil.test",
    "a@x.test\nevil@evil.test",
    "a@x.test (evil@evil.test)",
    'x" <evil@evil.test>, "y',
    "x\\",
    "x>, <evil@evil.test",
    "a@x.test\0",
]
PLACES = [
    "SOC <soc@corp.test>, {{ v }}",
    "{{ v }}, SOC <soc@corp.test>",
    "{{ v }} <soc@corp.test>",
    "SOC <{{ v }}>",
    "SOC <{{ v }}@corp.test>",
    "{{ v }}@corp.test",
    "team: {{ v }};",
    "soc@corp.test ({{ v }})",
    '"{{ v | upcase }}" <soc@corp.test>, x@x.test (y "{{ v }}")',
    "soc@corp.test, {{ v | downcase }}",
    "soc@corp.test, {% if true %}{{ v }}{% endif %}",
    "soc@corp.test, {% echo v %}",
    "soc@corp.test, {% cycle v, v %}",
    "soc@corp.test, {% capture w %}{{ v }}{% endcapture %}{{ w }}",
    "soc@corp.test, {% assign w = v | append: '' %}{{ w | raw }}",
    "soc@corp.test, {% for w in l %}{{ w }}{% endfor %}",
    "soc@corp.test, {{ l }}",
    "soc@corp.test, {{ o }}",
]


def made(text: str, v: str, mode: Mode = Mode.ADDRESSES) -> object:
    template = compile_template(text, mode)
    assert template
    return template.fill_in({"v": v, "l": [v], "o": {"k": v}})


@pytest.mark.parametrize("v", EVIL)
@pytest.mark.parametrize("text", PLACES)
@pytest.mark.parametrize("mode", [Mode.ADDRESSES, Mode.ADDRESS])
def test_a_value_that_would_be_more_than_one_thing_is_refused(text: str, v: str, mode: Mode):
    with pytest.raises(TemplateError, match="A value inserted into an address holds") as caught:
        made(text, v, mode)
    assert "make the template the whole parameter" in str(caught.value.hint)


@pytest.mark.parametrize("v", [v for v in EVIL if v != "x <evil@evil.test>"])
def test_one_element_of_a_list_is_one_mailbox(v: str):
    with pytest.raises(TemplateError, match="is not one mailbox"):
        made("{{ v }}", v, Mode.ADDRESS)


@pytest.mark.parametrize(
    "v", ["a@x.test", "Jane Doe <jane@x.test>", '"Doe, Jane" <jane@x.test>', " a@x.test ", "jürgen@x.test"]
)
def test_one_element_of_a_list_may_have_a_name(v: str):
    assert made("{{ v }}", v, Mode.ADDRESS) == v


@pytest.mark.parametrize("v", EVIL)
def test_a_whole_parameter_may_be_a_list(v: str):
    assert made("{{ v }}", v) == v
    assert made("{{ l }}", v) == [v]
    assert made("{{ l | join: ', ' }}", v) == v


def test_a_name_with_a_comma_goes_between_quotes():
    assert made('"{{ v }}" <jane@x.test>', "Doe, Jane (SOC)") == '"Doe, Jane (SOC)" <jane@x.test>'
    assert made('{% if v %}"{{ v }}" <jane@x.test>{% endif %}', "Doe, Jane") == '"Doe, Jane" <jane@x.test>'


@pytest.mark.parametrize("v", ['Jane" <evil@evil.test>, "x', "Jane\\", "Jane\r\nBcc: evil@evil.test"])
def test_between_quotes_nothing_ends_them(v: str):
    with pytest.raises(TemplateError, match="A value inserted into an address"):
        made('"{{ v }}" <jane@x.test>', v)


@pytest.mark.parametrize(
    "text", ['x@x.test (5" {{ v }})', '"a\\"" {{ v }} <x@x.test>', '"a" {{ v }}', '"a" "b {{ v }}']
)
def test_quotes_that_are_hard_to_tell_do_not_count(text: str):
    with pytest.raises((TemplateError, InvalidAddress)):
        parse_list(str(made(text, "), evil@evil.test, (")))


@given(
    st.lists(st.sampled_from([*',;:<>()"\\@. \t\r\nab', "x.test", "evil@evil.test"]), max_size=12).map(
        "".join
    )
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_inserted_the_number_of_mailboxes_stays(v: str):
    for text, count in [
        ("SOC <soc@corp.test>, {{ v }}", 2),
        ('"{{ v }}" <soc@corp.test>', 1),
        ("{{ v }} <soc@corp.test>", 1),
        ("soc@corp.test ({{ v }})", 1),
        ('x@x.test (" {{ v }} "), y@y.test', 2),
        ('"{{ v }}"@corp.test', 1),
        ("team: {{ v }};", 1),
    ]:
        try:
            boxes = parse_list(str(made(text, v)))
        except (TemplateError, InvalidAddress):
            continue
        assert len(boxes) <= count, (text, v)
    with contextlib.suppress(TemplateError, InvalidAddress):
        assert len(parse_list(str(made("{{ v }}", v, Mode.ADDRESS)))) == 1


class TestARawMessage:
    TEXT = "From: soc@corp.test\nTo: {{ to }}\nSubject: {{ subject }}\n\n{{ body }}\n"
    GOOD: ClassVar = {
        "to": "a@x.test",
        "subject": 'Ransomware: (host), "x" <y>',
        "body": "To: evil@evil.test\n\nBcc: evil@evil.test",
    }

    def made(self, text: str, **values: str) -> str:
        template = compile_template(text, Mode.MESSAGE)
        assert template
        return template.fill_in(self.GOOD | values)

    @pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n"), TEXT + "{% if true %}{% endif %}"])
    def test_has_its_values_where_they_were_put(self, text: str):
        message = compose_raw(self.made(text))
        assert message.envelope.recipients == ("a@x.test",)
        assert message.bytes.count(b"Bcc: evil@evil.test") == 1

    @pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n"), TEXT + "{% if true %}{% endif %}"])
    @pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
    @pytest.mark.parametrize("name", ["to", "subject"])
    def test_gets_no_header_from_a_value(self, text: str, end: str, name: str):
        with pytest.raises(TemplateError, match="A value inserted into"):
            self.made(text, **{name: f"x{end}Bcc: evil@evil.test"})

    @pytest.mark.parametrize("field", ["To", "Cc", "bcc", "From", "Reply-To", "Resent-To"])
    def test_gets_no_second_recipient_from_a_value(self, field: str):
        for text in (f"Subject: x\n{field}: {{{{ to }}}}\n\n", f"{field}: x@x.test,\n  {{{{ to }}}}\n\n"):
            with pytest.raises(TemplateError, match="A value inserted into an address"):
                self.made(text, to="a@x.test, evil@evil.test")

    def test_gets_no_header_from_a_value_at_the_start_of_a_line(self):
        with pytest.raises(TemplateError, match="A value inserted into an address"):
            self.made("Subject: x\n{{ to }}\n\n", to="Bcc: evil@evil.test")

    @pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n"), TEXT.replace("\n", "\r")])
    def test_is_judged_the_same_however_it_comes_in_pieces(self, text: str):
        pieces = "".join(
            f"{{% if true %}}{one}{{% echo nil %}}{{% endif %}}" if one in "\r\n" else one for one in text
        )
        assert self.made(pieces) == self.made(text)
        for name in ("to", "subject"):
            with pytest.raises(TemplateError, match="A value inserted into"):
                self.made(pieces, **{name: "x\nBcc: evil@evil.test"})
        with pytest.raises(TemplateError, match="A value inserted into an address"):
            self.made(pieces, to="a@x.test, evil@evil.test")

    def test_may_be_one_whole_value(self):
        raw = "To: a@x.test, b@x.test\n\nbody"
        assert self.made("{{ body }}", body=raw) == raw
