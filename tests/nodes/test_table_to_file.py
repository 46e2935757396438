import asyncio
import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nina_smtp.catalog import default_catalog
from nina_smtp.errors import ParameterError
from nina_smtp.node import NodeType, Task
from nina_smtp.workflow.blobs import FolderBlobStore
from nina_smtp.workflow.items import Item, Origin


class Memory:
    """A blob store that keeps one file per call, as it came."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.pieces: list[int] = []

    def put(self, chunks) -> tuple[str, int]:
        pieces = list(chunks)
        self.pieces = [len(piece) for piece in pieces]
        self.files.append(b"".join(pieces))
        return f"sha256:{len(self.files):064}", len(self.files[-1])

    def open(self, reference: str):
        raise AssertionError

    def size(self, reference: str) -> int:
        raise AssertionError


def node() -> NodeType:
    return default_catalog().node("table_to_file")


def execute(config: dict, *items: Item, blobs=None) -> tuple[list[Item], list[bytes]]:
    store = blobs or Memory()
    outputs = asyncio.run(node().execute(Task(config=config, items=items, blobs=store)))
    return list(outputs["main"]), getattr(store, "files", [])


def table(config: dict, *rows: dict) -> str:
    """The text of the file that these rows become."""
    return execute(config, *[Item(row) for row in rows])[1][0].decode()


def refused(config: dict, *items: dict) -> ParameterError:
    with pytest.raises(ParameterError) as caught:
        execute(config, *[Item(item) for item in items])
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"format": "xlsx"}, "format"),
        ({"filename": "../../etc/passwd.csv"}, "filename"),
        ({"filename": "a\r\nb.csv"}, "filename"),
        ({"filename": "report.pdf"}, "filename"),
        ({"filename": ".csv"}, "filename"),
        ({"format": "json", "filename": "report.csv"}, "filename"),
        ({"columns": ["a", "b", "a"]}, "columns"),
        ({"columns": "a"}, "columns"),
        ({"rows": ""}, "rows"),
        ({"rows": "alert..findings"}, "rows"),
        ({"outputField": "my file"}, "outputField"),
        ({"delimiter": "|"}, "delimiter"),
        ({"bom": "yes"}, "bom"),
        ({"guardFormula": False}, "guardFormula"),
    ],
)
def test_a_wrong_field_is_named_before_any_run(config, field):
    with pytest.raises(ParameterError) as caught:
        node().check(config)
    assert caught.value.parameter == field


def test_a_wrong_extension_says_what_to_call_it():
    with pytest.raises(ParameterError) as caught:
        node().check({"filename": "report.pdf"})
    assert caught.value.message == "The file name must end in .csv, because the format is csv."
    assert caught.value.hint == "Call it report.csv, or choose another format."


def test_a_path_that_is_not_there_names_the_nearest_list():
    error = refused({"rows": "alert.finding"}, {"alert": {"findings": [{"a": 1}], "tags": ["x"]}})
    assert error.message == "rows: item 0 has no alert.finding."
    assert error.hint == "Did you mean alert.findings?"


def test_an_item_without_any_list_says_what_else_to_choose():
    assert "choose items" in refused({"rows": "alert.findings"}, {"subject": "x"}).hint
    assert "a.b" in refused({"rows": "zzzzzzzz"}, {"a": {"b": [{}]}}).hint


@pytest.mark.parametrize(
    ("value", "kind"), [("text", "text"), (5, "a number"), (True, "true or false"), (None, "null")]
)
def test_a_path_to_something_else_says_what_it_is(value, kind):
    assert (
        refused({"rows": "x"}, {"x": value}).message == f"rows: x of item 0 is {kind}, not a list of objects."
    )
    assert (
        refused({"rows": "x"}, {"x": [{}, value]}).message
        == f"rows: x[1] of item 0 is {kind}, not an object."
    )


def test_no_file_is_stored_if_any_item_has_no_rows():
    store = Memory()
    items = [Item({"x": [{"a": 1}]}), Item({})]
    with pytest.raises(ParameterError, match="item 1"):
        execute({"rows": "x"}, *items, blobs=store)
    assert store.files == []


def test_a_field_that_is_already_there_is_not_overwritten():
    assert refused({"rows": "x"}, {"x": [{}], "file": "mine"}).parameter == "outputField"


@pytest.mark.parametrize("kind", ["csv", "json", "html"])
@pytest.mark.parametrize("value", [float("nan"), {"x": float("inf")}, [{1, 2}], b"bytes"])
def test_a_value_that_is_not_json_is_refused(kind, value):
    assert refused({"format": kind}, {"a": value}).parameter == "rows"


def test_a_broken_row_leaves_no_file(tmp_path: Path):
    with pytest.raises(ParameterError):
        execute({}, Item({"a": float("nan")}), blobs=FolderBlobStore(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "cell",
    [
        "=HYPERLINK(1)",
        "+cmd|' /C calc'!A0",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "-",
        "=",
        "+1,2,3",
        "\uff1d1+1",
        "-5 ",
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_is_guarded_in_rows_and_in_the_heading(cell):
    heading, row = csv.reader(io.StringIO(table({}, {cell: cell}), newline=""))
    assert heading == row == [f"'{cell}"]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (-5, "-5"),
        (-1.5, "-1.5"),
        ("-5", "-5"),
        ("+49123456", "+49123456"),
        ("-1,5", "-1,5"),
        ("-1e9", "-1e9"),
    ],
)
def test_numbers_are_left_as_they_are(value, cell):
    _, row = csv.reader(io.StringIO(table({"delimiter": ";"}, {"a": value})), delimiter=";")
    assert row == [cell]


def test_the_guard_can_be_switched_off():
    assert table({"guardFormulas": False}, {"a": "=1"}) == "a\r\n=1\r\n"


def test_csv_is_rfc_4180():
    assert table({}, {"a": 'say "hi"', "b": "x,y"}, {"a": "two\nlines", "b": None}) == (
        'a,b\r\n"say ""hi""","x,y"\r\n"two\nlines",\r\n'
    )


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abc"), st.text(st.characters(codec="utf-8"), max_size=8), min_size=1
        ),
        min_size=1,
    ),
    st.sampled_from([",", ";", "\t"]),
)
def test_what_is_written_as_csv_is_read_back_the_same(rows, delimiter):
    written = table({"delimiter": delimiter, "guardFormulas": False}, *rows)
    columns, *read = csv.reader(io.StringIO(written, newline=""), delimiter=delimiter, strict=True)
    assert read == [[row.get(column, "") for column in columns] for row in rows]


def test_nested_values_are_json_text_and_null_is_empty():
    cells = {"a": {"x": [1, "é"]}, "b": True, "c": None, "d": 1.5}
    _, row = csv.reader(io.StringIO(table({}, cells)))
    assert row == ['{"x": [1, "é"]}', "true", "", "1.5"]


def test_columns_are_in_first_seen_order_or_as_chosen():
    rows = ({"b": 1}, {"a": 2, "b": 3})
    assert table({}, *rows).splitlines() == ["b,a", "1,", "3,2"]
    assert table({"columns": ["a", "z"]}, *rows).splitlines() == ["a,z", ",", "2,"]
    assert json.loads(table({"format": "json", "columns": ["a"]}, *rows)) == [{}, {"a": 2}]


def test_a_byte_order_mark_is_written_for_excel():
    [written] = execute({"bom": True}, Item({"a": "é"}))[1]
    assert written == b"\xef\xbb\xbfa\r\n\xc3\xa9\r\n"


def test_json_keeps_its_types():
    rows = [{"a": 1, "b": None, "c": [True, {"x": "é"}]}, {"d": "=1"}]
    assert json.loads(table({"format": "json"}, *rows)) == rows


@pytest.mark.parametrize(("kind", "empty"), [("csv", ""), ("json", "[]\n")])
def test_no_rows_are_an_empty_file(kind, empty):
    out, files = execute({"format": kind, "rows": "x"}, Item({"x": []}))
    assert files == [empty.encode()]
    assert out[0].json["file"]["size"] == len(empty)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.cells: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.seen.add(tag)
        self.attributes = {name for name, _ in attrs}
        assert self.attributes <= {"style", "charset"}
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data) -> None:
        if self.cells:
            self.cells[-1] += data.rstrip("\n")


def test_html_escapes_everything():
    hostile = '</td><script>alert(1)</script><img src=x onerror="a">&amp;'
    page = Tags()
    page.feed(table({"format": "html"}, {hostile: hostile, "n": {"x": "<b>"}}))
    assert page.seen == {"html", "head", "meta", "title", "body", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.cells == [hostile, "n", hostile, '{"x": "<b>"}']


def test_half_a_surrogate_pair_does_not_stop_the_report():
    assert table({}, {"a": "x\ud800"}) == "a\r\nx\ufffd\r\n"


def test_all_items_are_one_file_made_from_all_of_them():
    origins = [(Origin("s", "main", index),) for index in range(3)]
    out, files = execute({}, *[Item({"n": n}, origins[n]) for n in range(3)])
    assert len(files) == 1
    [item] = out
    assert dict(item.json) == {
        "file": {
            "filename": "table.csv",
            "blob": f"sha256:{1:064}",
            "contentType": "text/csv",
            "size": len(files[0]),
        }
    }
    assert item.lineage == (*origins[0], *origins[1], *origins[2])


def test_a_list_in_each_item_is_one_file_per_item_which_keeps_its_other_data():
    items = [Item({"id": n, "f": [{"n": n}]}, (Origin("s", "main", n),)) for n in range(2)]
    out, files = execute({"rows": "f", "filename": "f.csv", "outputField": "table"}, *items)
    assert files == [b"n\r\n0\r\n", b"n\r\n1\r\n"]
    assert [item.json["id"] for item in out] == [0, 1]
    assert [item.json["table"]["filename"] for item in out] == ["f.csv", "f.csv"]
    assert [item.lineage for item in out] == [item.lineage for item in items]


def test_a_key_called_items_is_reached_and_one_object_is_one_row():
    assert execute({"rows": "$.items"}, Item({"items": {"a": 1}}))[1] == [b"a\r\n1\r\n"]


def test_a_large_table_is_written_in_small_pieces():
    store = Memory()
    execute({}, *[Item({"n": n, "text": "x" * 100}) for n in range(5000)], blobs=store)
    assert len(store.pieces) > 5
    assert max(store.pieces) < 70_000


def test_the_same_rows_are_the_same_blob(tmp_path: Path):
    store = FolderBlobStore(tmp_path)
    first, again = (execute({}, Item({"a": 1}), blobs=store)[0][0].json["file"] for _ in range(2))
    assert first == again
    assert len(list(tmp_path.iterdir())) == 1
