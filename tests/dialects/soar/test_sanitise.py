"""Sanitised HTML: nothing in it runs, loads from anywhere but https, or leaves its place."""

import sys
from html.parser import HTMLParser

import pytest
from dialects.soar.running import RECEIVER, Soar
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from nina_smtp.dialects.soar.sanitise import PROPERTIES, TAGS, sanitised
from nina_smtp.errors import InvalidConfiguration

PAYLOADS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.test/x.js></sCrIpT>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&amp;lt;script&amp;gt;alert(1)&amp;lt;/script&amp;gt;",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src=`x` onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    '<img src="javascript:alert(1)">',
    '<img src="http://tracker.test/x.gif">',
    '<img src="//tracker.test/x.gif">',
    '<img src="data:text/html;base64,PHNjcmlwdD4=">',
    '<img src="data:image/svg+xml;base64,PHN2Zz4=">',
    '<img srcset="https://a.test/x 1x, javascript:alert(1) 2x">',
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    '<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>',
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href="JaVaScRiPt:alert(1)">x</a>',
    '<a href="java\tscript:alert(1)">x</a>',
    '<a href="java&#10;script:alert(1)">x</a>',
    '<a href="&#106;avascript:alert(1)">x</a>',
    '<a href="\x01javascript:alert(1)">x</a>',
    '<a href=" javascript:alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<a href="vbscript:msgbox(1)">x</a>',
    '<a href="file:///etc/passwd">x</a>',
    '<a href="https://a.test" onclick="alert(1)">x</a>',
    '<a href="https://a.test" style="position:fixed;top:0;width:100%">x</a>',
    "<iframe src=https://evil.test></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=evil.swf></object><embed src=evil.swf>",
    "<form action=https://evil.test><input name=password><button formaction=javascript:alert(1)>x",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<base href=https://evil.test/>",
    "<link rel=stylesheet href=https://evil.test/x.css>",
    "<style>body{background:url(https://evil.test)}</style>",
    "<style>@import 'https://evil.test/x.css';</style>",
    '<p style="background:url(javascript:alert(1))">x</p>',
    '<p style="background-color:red;background-image:url(https://evil.test/x)">x</p>',
    '<p style="width:expression(alert(1))">x</p>',
    '<p style="width:exp\\72 ession(alert(1))">x</p>',
    '<p style="color:red;-moz-binding:url(x)">x</p>',
    "<p style=\"font-family:'x';behavior:url(x.htc)\">x</p>",
    '<td background="https://evil.test/x.png">x</td>',
    "<body onload=alert(1)>x",
    "<details open ontoggle=alert(1)>x</details>",
    "<video><source onerror=alert(1)></video>",
    "<!--[if mso]><script>alert(1)</script><![endif]-->x",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<template><script>alert(1)</script></template>",
    "<plaintext><script>alert(1)</script>",
    "<xmp><img src=x onerror=alert(1)></xmp>",
    "<textarea></textarea><script>alert(1)</script>",
]


class Inspector(HTMLParser):
    """Holds every tag and attribute against what is allowed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        for name, value in attrs:
            self.check(name, value or "")

    @staticmethod
    def check(name: str, value: str) -> None:
        assert not name.startswith("on")
        assert name not in {"srcset", "background", "formaction", "xlink:href", "action"}
        if name == "href":
            assert value.lower().startswith(("http://", "https://", "mailto:"))
        if name == "src":
            assert value.lower().startswith(("https://", "cid:", "data:image/"))
            assert "svg" not in value.lower()
        if name == "style":
            assert {one.partition(":")[0].strip() for one in value.split(";") if one} <= PROPERTIES
            assert not any(one in value for one in ("url(", "expression", "\\"))

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError("a declaration")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")

    def handle_pi(self, data: str) -> None:
        raise AssertionError("an instruction")


def inspect(html: str) -> None:
    inspector = Inspector()
    inspector.feed(html)
    inspector.close()


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("frame", ["{}", "<div title='{}'>", "<table><tr><td>{}</td></tr></table>", "<p>{}"])
def test_what_runs_is_gone_and_stays_gone(payload: str, frame: str) -> None:
    clean = sanitised(frame.format(payload))
    inspect(clean)
    inspect(sanitised(clean))


PIECES = [
    "<", ">", "/", "script", "img", "svg", "style", "math", " ", "=", '"', "'", "`", "&lt;", "onerror", "src",
    "href", "javascript:", "alert(1)", "<!--", "-->", "<p>", "</p>", "<a ", "cid:x", "\n", "a",
]  # fmt: skip


@examples(120)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_whatever_is_made_of_it(html: str) -> None:
    inspect(sanitised(html))


def test_what_mails_need_is_kept() -> None:
    html = (
        '<table width="600" cellpadding="0" border="0"><tbody><tr><td align="center" bgcolor="#ffffff" '
        'style="padding:4px 8px;color:rgb(1, 2, 3);font-family:Arial , sans-serif">'
        '<a href="https://a.test/x?y=1&amp;z=2" rel="noopener noreferrer">A</a>'
        '<a href="mailto:a@x.test" rel="noopener noreferrer">B</a>'
        '<img src="cid:logo@x" alt="Logo" width="20"><img src="https://a.test/x.png">'
        '<img src="data:image/png;base64,iVBORw0KGgo="></td></tr></tbody></table>'
    )
    assert sanitised(html) == html


@pytest.mark.parametrize(
    "style",
    [
        "display:none", "DISPLAY : None !important", "display:table-column", "display:contents",
        "dis\\70lay:none",
        "dis/**/play:none", "visibility:hidden", "opacity:0", "font-size:0", "font-size:0px",
        "font-size:.1em",
        "font-size:1e-9px", "font-size:5%", "font-size:12nix", "font:0 a", "font:0'a'", "font:bold 1px Arial",
        "height:0", "max-height:0", "max-width:0px", "width:.5px", "width:-1px", "margin:-9999px",
        "margin:0-9999px", "margin:5%-99px", "margin-left:-1px", "margin-top:9999px", "padding-left:200em",
        "text-indent:-9999px", "text-indent:100%", "letter-spacing:-1em", "word-spacing:-50px",
        "line-height:9999px", "vertical-align:-999px", "border-left-width:9999px", "color:transparent",
        "color:rgba(1,2,3,0)", "color:rgb(1 2 3 / 0)", "color:#fff0", "color:#12345600",
        "font-family:'a;font-size:0", "font:';font-size:12px'0",
    ],
)  # fmt: skip
def test_what_hides_text_is_gone_and_the_text_is_seen(style: str) -> None:
    clean = sanitised(f'<p style="{style}">Pay &amp; <b style="color:red;{style}">now</b></p>')
    assert clean == '<p>Pay &amp; <b style="color:red">now</b></p>'


@pytest.mark.parametrize(
    "style",
    [
        "display:block", "display:inline-block", "display:table-cell", "font-size:14px", "font-size:small",
        "font-size:0.9em", "font-size:80%", "font:bold 12px Arial", "font-weight:700", "margin:0 auto",
        "margin:10px 5%", "text-indent:2em", "letter-spacing:-0.5px", "line-height:1.5", "line-height:0",
        "width:100%", "max-width:600px", "height:1px", "min-height:0", "padding:0", "border:0",
        "border-radius:9999px",
        "border:1px solid rgb(0, 200, 0)", "border:1px solid #123456", "color:rgb(1, 2, 3)", "color:#fff",
        "color:#0a0b0c", "color:navy", "color:red ! important", "vertical-align:middle", "text-align:center",
    ],
)  # fmt: skip
def test_what_a_mail_looks_like_is_kept(style: str) -> None:
    assert sanitised(f'<p style="{style}">x</p>') == f'<p style="{style}">x</p>'


def test_images_that_are_loaded_by_https_stay_and_by_anything_else_do_not() -> None:
    assert sanitised('<img src="https://tracker.test/p.gif">') == '<img src="https://tracker.test/p.gif">'
    assert sanitised('<img src="http://tracker.test/p.gif"><img src="//tracker.test/p.gif">') == "<img><img>"


HTML = "<html><body><b>Hi</b><script>alert(1)</script><img src=x onerror=alert(1)></body></html>"


@pytest.mark.parametrize("wanted", [True, "true"])
def test_the_mail_has_what_was_sanitised(soar: Soar, wanted: object) -> None:
    done = soar("send htmlemail", {"to": RECEIVER, "html_body": HTML, "should_sanitize_template": wanted})
    assert done.status == 0
    assert soar.mail.html
    assert soar.mail.html.strip() == "<b>Hi</b><img>"


@pytest.mark.parametrize("wanted", [False, None])
def test_without_the_parameter_the_html_is_sent_as_it_is_written(soar: Soar, wanted: object) -> None:
    soar("send htmlemail", {"to": RECEIVER, "html_body": HTML, "should_sanitize_template": wanted})
    assert soar.mail.html
    assert soar.mail.html.strip() == HTML


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nh3", None)
    with pytest.raises(InvalidConfiguration) as caught:
        sanitised("<p>Hi</p>")
    assert "nina-smtp[dialects]" in (caught.value.hint or "")


def test_a_body_of_which_nothing_is_left_is_not_sent(soar: Soar) -> None:
    body = "<script>alert(1)</script>"
    done = soar("send htmlemail", {"to": RECEIVER, "html_body": body, "should_sanitize_template": True})
    assert done.status == 2
    assert "nothing left" in done.message
    assert not soar.recorder.sessions
