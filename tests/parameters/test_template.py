"""Templates: what they insert, what type they keep, and what they say when something is missing."""

from __future__ import annotations

from typing import Any

import pytest

from nina_smtp.errors import TemplateError
from nina_smtp.parameters.insertion import Mode
from nina_smtp.parameters.template import compile_template

ITEM: dict[str, Any] = {
    "alert": {"title": "Ransomware <b>", "severity": 9, "tags": ["a", "b"], "open": True, "owner": None},
    "users": [{"email": "a@x.test", "name": "Ann"}, {"email": "b@x.test", "name": "Bob"}],
    "full name": "Jane O'Neill",
    "it's": "quoted",
    "ratio": 0.5,
    "empty": "",
    "self": "an item may have a key of any name",
    "context": "and so may this one",
}


def filled(text: str, item: Any = ITEM, mode: Mode = Mode.TEXT) -> Any:
    template = compile_template(text, mode)
    assert template, "it is no template"
    return template.fill_in(item)


def refused(text: str, item: Any = ITEM, mode: Mode = Mode.TEXT) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        filled(text, item, mode)
    return caught.value


class TestUnknownPaths:
    def test_name_the_nearest_existing_path(self):
        assert "Did you mean {{ alert.title }}?" in str(refused("{{ alert.tittle }}").hint)

    def test_name_the_same_key_elsewhere(self):
        assert "Did you mean {{ alert.severity }}?" in str(refused("{{ severity }}").hint)

    def test_list_what_the_item_has_when_nothing_is_near(self):
        assert str(refused("{{ zzzzzz }}", {"host": 1, "user": 2}).hint).startswith(
            "The item has: host, user."
        )

    def test_say_so_of_an_empty_item(self):
        assert "The item has: nothing." in str(refused("{{ zzzzzz }}", {}).hint)

    def test_tell_of_the_default(self):
        assert '| default: "…"' in str(refused("{{ alert.tittle }}").hint)

    @pytest.mark.parametrize(
        "text",
        [
            "{{ nope }}",
            "x {{ nope }}",
            "{{ nope | upcase }}",
            "x {{ alert.nope }} {% if true %}{% endif %}",
            "{% if nope %}x{% endif %}",
            "{% for a in nope %}x{% endfor %}",
            "{{ users[7].email }}",
            "{{ users[7] }} and more",
            "{% echo nope %}",
            "{% cycle nope, nope %}",
        ],
    )
    @pytest.mark.parametrize("mode", Mode)
    def test_are_an_error_wherever_they_stand(self, text: str, mode: Mode):
        assert "The item has no " in refused(text, mode=mode).message

    @pytest.mark.parametrize("text", ['{{ nope | default: "x" }}', '{{ alert.nope | default: "x" }}'])
    def test_take_their_default(self, text: str):
        assert filled(text) == "x"
        assert filled(f"-{text}-") == "-x-"

    def test_in_a_long_plain_text_are_named_too(self):
        assert (
            refused("{{ alert.title }} " * 20_000 + "{{ alert.tittle }}").message
            == "The item has no alert.tittle."
        )

    def test_with_an_apostrophe_are_spelt_so_that_they_can_be_copied(self):
        assert '{{ ["alert\'s"] }}' in str(refused("{{ alerts }}", {"alert's": 1}).hint)


class TestAWholePath:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("{{ alert.tags }}", ["a", "b"]),
            ("{{alert.tags}}", ["a", "b"]),
            ("{{ alert.severity }}", 9),
            ("{{ alert.open }}", True),
            ("{{ alert.owner }}", None),
            ("{{ ratio }}", 0.5),
            ("{{ users[1] }}", {"email": "b@x.test", "name": "Bob"}),
            ("{{ users[1]['name'] }}", "Bob"),
            ("{{ users.first.name }}", "Ann"),
            ("{{ users.size }}", 2),
            ('{{ users | map: "email" }}', ["a@x.test", "b@x.test"]),
            ('{{ users | map: "nope" }}', [None, None]),
            ("{{ alert.tags | first }}", "a"),
            ("{{ (1..3) }}", [1, 2, 3]),
            ("{{ self }}", ITEM["self"]),
            ("{{ nil }}", None),
            ("{{ empty }}", None),
        ],
    )
    def test_keeps_its_type(self, text: str, value: Any):
        found = filled(text)
        assert found == value
        assert type(found) is type(value)

    def test_with_a_space_before_it_is_text(self):
        assert filled(" {{ alert.severity }}") == " 9"


class TestText:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("n={{ alert.severity }}", "n=9"),
            ("n={{ alert.open }}", "n=true"),
            ("n={{ alert.owner }}!", "n=!"),
            ("n={{ alert.tags }}", "n=ab"),
            (
                "n={{ users }}",
                'n=[{"email": "a@x.test", "name": "Ann"}, {"email": "b@x.test", "name": "Bob"}]',
            ),
            ("n={% echo users[0] %}", 'n={"email": "a@x.test", "name": "Ann"}'),
            ("n={{ users[0] }}", 'n={"email": "a@x.test", "name": "Ann"}'),
            ("{% for u in users %}{{ u.name }};{% endfor %}", "Ann;Bob;"),
            ("{% for u in users %}{% cycle 'odd', 'even' %} {% endfor %}", "odd even "),
            ("{% for u in users %}{% cycle 'g': 'odd', 'even' %} {% endfor %}", "odd even "),
            ("{% if alert.severity > 5 %}high{% else %}low{% endif %}", "high"),
            ("{{ alert.title | downcase }}!", "ransomware <b>!"),
            ("{% raw %}{{ not.a.path }}{% endraw %}", "{{ not.a.path }}"),
            ("{% comment %}{{ nope }}{% endcomment %}x", "x"),
            ("{{ alert.tags | json }}", '["a", "b"]'),
            ("a {{ self }} b {{ context }}", f"a {ITEM['self']} b {ITEM['context']}"),
            ("{% if true %}{{ self }}{% endif %}", ITEM["self"]),
        ],
    )
    def test_has_the_values_in_it(self, text: str, shown: str):
        assert filled(text) == shown

    def test_without_braces_is_no_template(self):
        assert compile_template("50 % { off } }}") is None

    @pytest.mark.parametrize("inner", ["{{ 7 | times: 7 }}", "{% raw %}", "{{ alert.title }}"])
    def test_that_is_inserted_is_not_filled_in_again(self, inner: str):
        item = {"x": inner}
        assert filled("{{ x }}", item) == inner
        assert filled("<{{ x }}>", item) == f"<{inner}>"
        assert filled("{{ x | append: '!' }}", item) == f"{inner}!"
        assert filled("{% assign y = x %}{% capture z %}{{ y }}{% endcapture %}{{ z }}", item) == inner

    @pytest.mark.parametrize(
        "text",
        [
            "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
            "{{ alert.__class__ }}",
            "{{ alert['__class__'] }}",
            "{{ alert.title.__class__.__mro__ }}",
            "{{ alert.keys }}",
            "{{ ''.__class__ }}",
            "{{ forloop.__class__ }}",
            "{{ 'a' * 10 }}",
            "{% include 'x' %}",
            "{% render 'x' %}",
            "{% for i in (1..2) %}{{ forloop.__class__ }}{% endfor %}",
        ],
    )
    def test_never_reaches_python(self, text: str):
        refused(text)

    @pytest.mark.parametrize(
        "text",
        ["{{", "{{ a", "{% if %}", "{% if a %}", "{{ a | }}", "{{ a b }}", "{% nope %}", "{{ a | nope }}"],
    )
    def test_that_cannot_be_read_says_so_before_any_item_comes(self, text: str):
        with pytest.raises(TemplateError, match=r"cannot be read"):
            compile_template(text)

    @pytest.mark.parametrize(
        "text",
        ["{{ a | upcaes }}", "{% assign b = a | upcaes %}", "{% if true %}{% echo a | upcaes %}{% endif %}"],
    )
    def test_with_an_unknown_filter_names_the_one_that_was_meant(self, text: str):
        with pytest.raises(TemplateError, match=r"there is no filter 'upcaes'") as caught:
            compile_template(text)
        assert caught.value.hint == "Did you mean upcase?"


class TestHtml:
    EVIL = "<script>alert('x & \"y\"')</script>"
    SAFE = "&lt;script&gt;alert(&#x27;x &amp; &quot;y&quot;&#x27;)&lt;/script&gt;"

    @pytest.mark.parametrize(
        "text",
        [
            "{{ v }}",
            "{{ v | default: 'x' }}",
            "{% if true %}{{ v }}{% endif %}",
            "{% echo v %}",
            "{% cycle v, 'x' %}",
            "{% assign w = v %}{{ w }}",
            "{% capture w %}{{ v }}{% endcapture %}{{ w }}",
            "{% for w in l %}{{ w }}{% endfor %}",
            "{{ l | first }}",
        ],
    )
    def test_escapes_what_is_inserted(self, text: str):
        item = {"v": self.EVIL, "l": [self.EVIL]}
        assert filled(text, item, Mode.HTML) == self.SAFE
        assert filled(f"<p>{text}</p>", item, Mode.HTML) == f"<p>{self.SAFE}</p>"

    @pytest.mark.parametrize(
        "text",
        [
            "{{ l | join: '<br>' }}",
            "{{ v | append: '<br>' }}",
            "{{ '<br>' | append: v }}",
            "{{ v | prepend: '<br>' }}",
            "{{ v | replace: 'x', '<br>' }}",
            "{{ '<br>x' | replace: 'x', v }}",
            "{{ v | newline_to_br }}",
            "{{ v | escape_once }}",
            "{{ v | escape }}",
            "{{ v | upcase | downcase }}",
            "{{ v | json }}",
            "{{ o }}",
            "{{ l }}",
            "{{ l | concat: l }}",
            "{{ v | split: 'x' }}",
            "{{ v | slice: 0, 500 }}",
            "{{ v | truncate: 500 }}",
            "{{ v | escapejs }}",
            "{{ v | url_encode | url_decode }}",
            "{{ v | base64_encode | base64_decode }}",
            "{{ v | date: '%Y' }}",
            "{{ 'now' | date: v }}",
            "{{ nope | default: v }}",
            "{{ l | map: 'x' }}{{ o.k }}",
            "{{ l | where: 'x' | join: v }}",
        ],
    )
    def test_escapes_it_behind_any_filter(self, text: str):
        item = {"v": self.EVIL, "l": [self.EVIL, self.EVIL], "o": {"k": self.EVIL}}
        template = compile_template(f"<p>{text}</p>", Mode.HTML)
        assert template
        try:
            made = template.fill_in(item)
        except TemplateError:
            return  # a filter that does not take this is as good
        assert "<script" not in made.lower()

    def test_inserts_it_raw_when_the_template_says_so(self):
        assert filled("<p>{{ v | raw }}</p>", {"v": self.EVIL}, Mode.HTML) == f"<p>{self.EVIL}</p>"
        assert filled("{{ v | raw }}", {"v": self.EVIL}, Mode.HTML) == self.EVIL

    def test_leaves_what_the_author_wrote(self):
        assert filled("<p>{{ '<b>' }}{{ n }}</p>", {"n": 1}, Mode.HTML) == "<p><b>1</p>"

    def test_is_not_escaped_in_text(self):
        assert filled("{{ v }}!", {"v": self.EVIL}) == f"{self.EVIL}!"
