"""Which elements an output of LimaCharlie sends, and in which shape: what all its outputs have in common.

Meanings are those of LimaCharlie's reference of destinations ("General Parameters") and of "Filtering and
Transforming Streams". A filter looks at the streams it is documented for, and lets the others pass:

============================================  ==========================================================
``inv_id``, ``tag``, ``tag_black_list``       events
``sid``                                       whatever has a sensor: events, detections, deployment
``cat``, ``cat_*_list``, ``rule_tag_*_list``  detections
``event_white_list``, ``event_black_list``    events, and audit by its ``etype``
``sample_rate``                               everything
============================================  ==========================================================

An element of the stream ``tailored`` is taken for the event or the detection it looks like.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from nina_smtp.errors import ParameterError
from nina_smtp.forms import Form

from .element import at, is_list, one_line
from .shape import as_json
from .streams import Stream, event_type_of, kind_of, other_stream, stream_of


def _an_entry(text: str) -> str:
    if not text or text != text.strip() or len(text.splitlines()) > 1:
        raise ParameterError(
            "It must be one line, without spaces around it, and not empty.",
            hint="Give each entry for itself; an empty one would match everything.",
        )
    return text


Entry = Annotated[str, AfterValidator(_an_entry)]
Entries = Annotated[tuple[Entry, ...], Field(strict=False)]  # JSON has lists; a strict tuple takes none


class Filters(Form):
    """The filters and the shaping options that every output of LimaCharlie has."""

    inv_id: Entry | None = Field(
        default=None,
        title="Investigation",
        description="Only events of this investigation id, or of it and a slash and more. Of other streams "
        "everything passes.",
        examples=["inv-2026-041"],
    )
    sid: Entry | None = Field(
        default=None,
        title="Sensor",
        description="Only elements of the sensor with this id.",
        examples=["bb4b30af-ff11-4ff4-836f-f014ada33345"],
    )
    tag: Entry | None = Field(
        default=None,
        title="Sensor tag",
        description="Only events from sensors with this tag. Of other streams everything passes.",
        examples=["production"],
    )
    tag_black_list: Entries = Field(
        default=(),
        title="Not these sensor tags",
        description="No events from sensors with any of these tags.",
        examples=[["dev", "staging"]],
    )
    cat: Entry | None = Field(
        default=None,
        title="Detection",
        description="Only detections with exactly this name.",
        examples=["00313-NIX-Execution_From_Tmp"],
    )
    cat_white_list: Entries = Field(
        default=(),
        title="Only these detections",
        description="Only detections whose name begins with one of these.",
        examples=[["00313-NIX", "critical"]],
    )
    cat_black_list: Entries = Field(
        default=(),
        title="Not these detections",
        description="No detections whose name begins with one of these.",
        examples=[["informational"]],
    )
    event_white_list: Entries = Field(
        default=(),
        title="Only these event types",
        description="Only events of these types; of the audit stream, only what has such an etype.",
        examples=[["NEW_PROCESS", "TERMINATE_PROCESS"]],
    )
    event_black_list: Entries = Field(
        default=(),
        title="Not these event types",
        description="No events of these types; of the audit stream, nothing that has such an etype.",
        examples=[["DNS_REQUEST"]],
    )
    rule_tag_white_list: Entries = Field(
        default=(),
        title="Only these rule tags",
        description="Only detections by rules with at least one of these tags.",
        examples=[["ransomware", "lateral-movement"]],
    )
    rule_tag_black_list: Entries = Field(
        default=(),
        title="Not these rule tags",
        description="No detections by rules with any of these tags.",
        examples=[["low-confidence"]],
    )
    sample_rate: int = Field(
        default=1,
        title="Sample rate",
        description="Send about one of so many elements; 1 sends all. The same element always gets the same "
        "answer, so a repeated run sends the same mails.",
        examples=[10],
        ge=1,
    )
    is_flat: bool = Field(
        default=False,
        title="Flat",
        description="One level only: {\"routing\": {\"sid\": 1}} becomes {\"routing/sid\": 1}.",
        examples=[True],
    )  # fmt: skip
    is_payload_as_string: bool = Field(
        default=False,
        title="Payload as text",
        description="`event` or `detect` as a text that holds JSON, instead of an object.",
        examples=[True],
    )
    is_prefix_data: bool = Field(
        default=False,
        title="Wrap in the event type",
        description="The element inside an object whose one key is its event type.",
        examples=[True],
    )
    is_no_routing: bool = Field(
        default=False,
        title="Without routing",
        description="Leave out `routing`: which sensor it was, where, when.",
        examples=[True],
    )
    custom_transform: str | None = Field(
        default=None,
        title="Transform",
        description="Applied last. A JSON object in the shape wanted, whose values are template strings or "
        "paths; anything else is a template string, and makes a text.",
        examples=['{"text": "{{ .cat }} on {{ .routing.hostname }}", "when": "routing.event_time"}'],
        max_length=64 * 1024,
    )


def why_not(element: Any, stream: str, filters: Filters) -> str | None:
    """Which filter keeps an element back, and why; None if it passes.

    The sample is no matter of chance: it is taken by the SHA-256 of the element's canonical JSON, so a
    repeated run sends the same mails, whatever came before.
    """
    kind = kind_of(element, stream)
    if other := other_stream(element, kind):
        return f"stream: it is an element of {other.value}"
    for name, (streams, kept_back) in _CHECKS.items():
        wanted = getattr(filters, name)
        if wanted and kind in streams and (reason := kept_back(element, wanted)):
            return f"{name}: {reason}"
    if filters.sample_rate > 1 and _drawn(element) % filters.sample_rate:
        return f"sample_rate: it is not the one of {filters.sample_rate} that is sent"
    return None


def without_effect(filters: Filters, stream: str) -> tuple[str, ...]:
    """The filters that are set and look at nothing of this stream. Raises ParameterError for the stream."""
    found = stream_of(stream)
    of = {Stream.EVENT, Stream.DETECT} if found is Stream.TAILORED else {found}
    return tuple(
        name for name, (streams, _) in _CHECKS.items() if getattr(filters, name) and not of & streams
    )


def _drawn(element: Any) -> int:
    digest = hashlib.sha256(as_json(element, in_order_of_keys=True).encode()).digest()
    return int.from_bytes(digest[:8])


def _texts(value: Any) -> Sequence[str]:
    return [text for text in value if isinstance(text, str)] if is_list(value) else ()


def _not_of_investigation(element: Any, wanted: str) -> str | None:
    """LimaCharlie's SDKs follow one request of many by what comes after a slash."""
    found = at(element, "routing", "investigation_id")
    of_it = isinstance(found, str) and (found == wanted or found.startswith(f"{wanted}/"))
    return None if of_it else f"it is not of {_shown(wanted)}"


def _not_of_sensor(element: Any, wanted: str) -> str | None:
    return None if at(element, "routing", "sid") == wanted else f"it is not of {_shown(wanted)}"


def _not_tagged(element: Any, wanted: str) -> str | None:
    tagged = wanted in _texts(at(element, "routing", "tags"))
    return None if tagged else f"the sensor is not tagged {_shown(wanted)}"


def _tagged(element: Any, unwanted: Sequence[str]) -> str | None:
    found = next((tag for tag in _texts(at(element, "routing", "tags")) if tag in unwanted), None)
    return None if found is None else f"the sensor is tagged {_shown(found)}"


def _not_called(element: Any, wanted: str) -> str | None:
    name = at(element, "cat")
    return None if name == wanted else f"{_shown(name)} is not {_shown(wanted)}"


def _not_begun(element: Any, wanted: Sequence[str]) -> str | None:
    """Not by whole names: a mail too many is better than one that is missed."""
    name = at(element, "cat")
    begins = isinstance(name, str) and name.startswith(tuple(wanted))
    return None if begins else f"{_shown(name)} begins with nothing in it"


def _begun(element: Any, unwanted: Sequence[str]) -> str | None:
    name = at(element, "cat")
    found = next((begin for begin in unwanted if isinstance(name, str) and name.startswith(begin)), None)
    return None if found is None else f"{_shown(name)} begins with {_shown(found)}"


def _type_not_in(element: Any, wanted: Sequence[str]) -> str | None:
    found = event_type_of(element)
    return None if found in wanted else f"{_shown(found)} is not in it"


def _type_in(element: Any, unwanted: Sequence[str]) -> str | None:
    found = event_type_of(element)
    return f"{_shown(found)} is in it" if found in unwanted else None


def _no_rule_tag(element: Any, wanted: Sequence[str]) -> str | None:
    tagged = any(tag in wanted for tag in _texts(at(element, "rule_tags")))
    return None if tagged else "the rule has no tag that is in it"


def _rule_tag(element: Any, unwanted: Sequence[str]) -> str | None:
    found = next((tag for tag in _texts(at(element, "rule_tags")) if tag in unwanted), None)
    return None if found is None else f"the rule is tagged {_shown(found)}"


def _shown(value: Any) -> str:
    return (one_line(value, 80) if isinstance(value, str) else "") or "what has no name"


_EVENTS, _DETECTIONS = frozenset({Stream.EVENT}), frozenset({Stream.DETECT})
_TYPED = _EVENTS | {Stream.AUDIT}
_OF_SENSORS = _EVENTS | _DETECTIONS | {Stream.DEPLOYMENT}
_CHECKS: Mapping[str, tuple[frozenset[Stream], Callable[[Any, Any], str | None]]] = {
    "inv_id": (_EVENTS, _not_of_investigation),
    "sid": (_OF_SENSORS, _not_of_sensor),
    "tag": (_EVENTS, _not_tagged),
    "tag_black_list": (_EVENTS, _tagged),
    "cat": (_DETECTIONS, _not_called),
    "cat_white_list": (_DETECTIONS, _not_begun),
    "cat_black_list": (_DETECTIONS, _begun),
    "event_white_list": (_TYPED, _type_not_in),
    "event_black_list": (_TYPED, _type_in),
    "rule_tag_white_list": (_DETECTIONS, _no_rule_tag),
    "rule_tag_black_list": (_DETECTIONS, _rule_tag),
}
