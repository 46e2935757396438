import json

import pytest

from nina_smtp.errors import ParameterError
from nina_smtp.workflow.items import Item, Origin, read_items


@pytest.mark.parametrize(
    ("value", "place"), [(3, "items"), (None, "items"), ([{}, 4], "items[1]"), ([[]], "items[0]")]
)
def test_what_is_no_item_is_refused_with_its_place(value, place):
    with pytest.raises(ParameterError) as caught:
        read_items(value)
    assert caught.value.parameter == place


def test_upstream_data_is_an_object_a_list_or_text():
    assert read_items({"a": 1}) == (Item({"a": 1}),)
    assert read_items([{"a": 1}, "hello"]) == (Item({"a": 1}), Item({"body": "hello"}))
    assert read_items("hello") == (Item({"body": "hello"}),)
    assert read_items([]) == ()
    assert read_items([Item({"a": 1})]) == (Item({"a": 1}),)


def test_an_item_survives_json():
    item = Item({"a": [1, None]}, (Origin("n", "main", 3),))
    assert Item.from_dict(json.loads(json.dumps(item.as_dict()))) == item
