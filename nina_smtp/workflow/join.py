"""Several wires into one node, and which items another was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nina_smtp.errors import WorkflowError
from nina_smtp.workflow.items import Item, Origin


@dataclass(frozen=True, slots=True)
class Feed:
    """What one wire brings: the items of output ``port`` of the node with this id and name."""

    node: str
    name: str
    port: str
    items: Sequence[Item]


def join(feeds: Sequence[Feed], into: str) -> tuple[Item, ...]:
    """The items of all feeds, overlaid index by index; of equal keys the last feed's wins.

    A feed of exactly one item is used for every index, and one without items is left out. ``into`` is the
    name of the node they enter. Raises WorkflowError if two feeds have different numbers of items, both above
    one.
    """
    carrying = [feed for feed in feeds if feed.items]
    count = max((len(feed.items) for feed in carrying), default=0)
    if odd := next((feed for feed in carrying if len(feed.items) not in (1, count)), None):
        longest = next(feed for feed in carrying if len(feed.items) == count)
        raise WorkflowError(
            f'"{into}" gets {count} items from "{longest.name}" and {len(odd.items)} from "{odd.name}": '
            "they cannot be laid over each other.",
            hint="Let both give the same number of items, or one of them a single item (used for all), or "
            f'wire only one of them and reach the other by {{{{ nodes["{odd.name}"] }}}}.',
        )
    return tuple(_overlay(carrying, index) for index in range(count))


def _overlay(feeds: Sequence[Feed], index: int) -> Item:
    json: dict[str, Any] = {}
    lineage: list[Origin] = []
    for feed in feeds:
        at = index if len(feed.items) > 1 else 0
        json |= feed.items[at].json
        lineage.append(Origin(feed.node, feed.port, at))
    return Item(json, tuple(lineage))


def with_lineage(
    outputs: Mapping[str, Sequence[Item]], inputs: Sequence[Item]
) -> dict[str, tuple[Item, ...]]:
    """Outputs whose items all say what they were made from, as far as anybody can tell.

    A node that knows passes the lineage of its input items on. Of one that says nothing we assume: one input
    is the origin of every output; one output was made from every input; equal numbers go index by index.
    """
    return {port: _traced(items, inputs) for port, items in outputs.items() if items}


def _traced(items: Sequence[Item], inputs: Sequence[Item]) -> tuple[Item, ...]:
    def assumed(index: int) -> tuple[Origin, ...]:
        if len(inputs) == 1:
            return inputs[0].lineage
        if len(items) == 1:
            return tuple(dict.fromkeys(origin for item in inputs for origin in item.lineage))
        return inputs[index].lineage if len(items) == len(inputs) else ()

    return tuple(
        item if item.lineage else replace(item, lineage=assumed(index)) for index, item in enumerate(items)
    )
