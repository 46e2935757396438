"""The streams of LimaCharlie: what an element is called, where and when it happened, how bad it is.

Shapes: "Output Stream Structures" and "Platform Events" of LimaCharlie's documentation. Nothing here raises
for an element, whatever it is: a strange one is told of, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nina_smtp.errors import ParameterError
from nina_smtp.forms import nearest

from .element import NAME_LENGTH, at, first, is_object, iso_time, one_line, text_of

WHERE_LENGTH = 80

_LEVELS = {"informational": "info", "moderate": "medium", "med": "medium", "crit": "critical"}
_ARTIFACT_EVENTS = frozenset({"ingest", "export_complete"})
_DEPLOYMENT_EVENTS = frozenset(
    """
    enrollment deleted_sensor disconnected quota_changed cloud_adapter_disabled output_drop sensor_installed
    sensor_uninstalled sensor_upgraded sensor_checkin sensor_clone sensor_crash sensor_over_quota
    """.split()  # noqa: SIM905 - a text of names reads better than a list of quotes
)
PLATFORMS: Mapping[int, str] = {
    0x10000000: "Windows", 0x20000000: "Linux", 0x30000000: "macOS", 0x40000000: "iOS", 0x50000000: "Android",
    0x60000000: "ChromeOS", 0x70000000: "VPN", 0x80000000: "text adapter", 0x90000000: "JSON adapter",
}  # fmt: skip
"""What ``routing.plat`` stands for, as far as machines go ("ID Schema")."""


class Stream(StrEnum):
    """A stream of LimaCharlie, by the name an output has for it."""

    EVENT = "event"
    DETECT = "detect"
    AUDIT = "audit"
    DEPLOYMENT = "deployment"
    ARTIFACT = "artifact"
    TAILORED = "tailored"
    BILLING = "billing"


_TITLES = {
    Stream.EVENT: "Event",
    Stream.DETECT: "Detection",
    Stream.AUDIT: "Audit",
    Stream.DEPLOYMENT: "Deployment",
    Stream.ARTIFACT: "Artifact",
    Stream.TAILORED: "Event",
    Stream.BILLING: "Billing",
}
_OTHER_NAMES = {"log": "artifact", "detection": "detect", "detections": "detect", "events": "event"}


class Severity(StrEnum):
    """How bad it is, in the words LimaCharlie has for its cases."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a person wants to know first. Each text is one line; empty is unknown.

    ``when`` is ISO 8601 in UTC. ``link`` is as the element has it: whoever shows it has to judge it.
    """

    title: str
    name: str
    severity: Severity | None = None
    priority: str = ""
    where: str = ""
    when: str = ""
    user: str = ""
    what: str = ""
    rule: str = ""
    link: str = ""
    more: tuple[tuple[str, str], ...] = ()


def stream_of(name: str) -> Stream:
    """The stream called ``name``; ``log`` is what artifact was called before. Raises ParameterError."""
    known = [stream.value for stream in Stream]
    folded = name.strip().lower()
    folded = _OTHER_NAMES.get(folded, folded)
    if folded in known:
        return Stream(folded)
    meant = nearest(folded, known)
    raise ParameterError(
        f"There is no stream {name[:40]!a}.",
        hint=f"Did you mean {meant}?" if meant else f"There are: {', '.join(known)}.",
        parameter="stream",
    )


def guess(element: Any) -> Stream:
    """The stream an element probably belongs to; event if nothing tells."""
    event_type = at(element, "routing", "event_type")
    if at(element, "cat") is not None and (
        at(element, "detect") is not None or at(element, "detect_id") is not None
    ):
        return Stream.DETECT
    if event_type == "billing_record" or (is_object(at(element, "record")) and event_type is None):
        return Stream.BILLING
    if at(element, "etype") is not None or (at(element, "msg") is not None and event_type is None):
        return Stream.AUDIT
    if at(element, "routing", "log_id") is not None or event_type in _ARTIFACT_EVENTS:
        return Stream.ARTIFACT
    if isinstance(event_type, str) and event_type in _DEPLOYMENT_EVENTS:
        return Stream.DEPLOYMENT
    return Stream.EVENT


def other_stream(element: Any, kind: Stream) -> Stream | None:
    """The stream that an element plainly is of, if it cannot be of ``kind``.

    Events, deployment and artifact elements have one shape, so no such one is told from another.
    """
    found = guess(element)
    plain = found is not Stream.EVENT or (
        is_object(at(element, "routing")) and at(element, "event") is not None
    )
    return found if plain and (found not in _ALIKE or kind not in _ALIKE) and found is not kind else None


_ALIKE = frozenset({Stream.EVENT, Stream.DEPLOYMENT, Stream.ARTIFACT})


def kind_of(element: Any, stream: str) -> Stream:
    """The shape an element of ``stream`` has: tailored ones are events or detections, as they look."""
    try:
        found = stream_of(stream)
    except ParameterError:
        return guess(element)
    return guess(element) if found is Stream.TAILORED else found


def event_type_of(element: Any) -> str:
    """``routing.event_type``, or ``etype`` of an audit element; empty if there is neither."""
    for found in (at(element, "routing", "event_type"), at(element, "etype")):
        if isinstance(found, str) and found:
            return found
    return ""


def name_of(element: Any, stream: str) -> str:
    """What ``<Name>`` in a subject stands for: of a detection its name, of anything else what it is about."""
    kind = kind_of(element, stream)
    return _name(element, kind) or _name(element, guess(element)) or _TITLES[kind]


def headline(element: Any, stream: str) -> str:
    """The subject when none is given: ``[LimaCharlie] 00313-NIX-Execution_From_Tmp on web-1``."""
    known = facts(element, stream)
    if kind_of(element, stream) is Stream.AUDIT:
        return f"[LimaCharlie] {known.name}" + (f" by {known.user}" if known.user else "")
    return f"[LimaCharlie] {known.name}" + (f" on {known.where}" if known.where else "")


def facts(element: Any, stream: str) -> Facts:
    """Everything a person wants to know first."""
    kind = kind_of(element, stream)
    payload = _payload(element)
    priority = at(element, "priority")
    return Facts(
        title=_TITLES[kind],
        name=name_of(element, stream),
        severity=_severity(element, priority),
        priority=text_of(priority, 20) if isinstance(priority, int | float | str) else "",
        where=_where(element),
        when=_when(element),
        user=first(
            (element, "ident"),
            (payload, "USER_NAME"),
            (payload, "EVENT", "EventData", "TargetUserName"),
            (payload, "UserId"),
            (payload, "PARENT", "USER_NAME"),
            limit=WHERE_LENGTH,
        ),
        what=first(
            (payload, "COMMAND_LINE"),
            (payload, "DOMAIN_NAME"),
            (payload, "URL"),
            (payload, "FILE_PATH"),
            (payload, "original_path"),
            limit=160,
        ),
        rule=first((element, "source_rule"), (element, "detect_mtd", "rule_name"), limit=NAME_LENGTH),
        link=first((element, "link"), limit=2000),
        more=_more(element, kind),
    )


def _name(element: Any, kind: Stream) -> str:
    match kind:
        case Stream.DETECT:
            return first((element, "cat"))
        case Stream.AUDIT:
            parts = (first((element, "etype")), first((element, "msg")))
            return one_line(": ".join(part for part in parts if part), NAME_LENGTH)
        case Stream.ARTIFACT:
            parts = (one_line(event_type_of(element), NAME_LENGTH), first((element, "routing", "log_type")))
            return one_line(": ".join(part for part in parts if part), NAME_LENGTH)
        case Stream.BILLING:
            return first((element, "record", "k"), (element, "event", "record", "k"), (element, "cat"))
        case _:
            return one_line(event_type_of(element), NAME_LENGTH)


def _where(element: Any) -> str:
    return first(
        (element, "routing", "hostname"),
        (element, "event", "host_name"),
        (element, "event", "new_hostname"),
        (element, "entity", "hostname"),
        (element, "detect", "routing", "hostname"),
        (element, "routing", "sid"),
        (element, "event", "source"),
        limit=WHERE_LENGTH,
    )


def _when(element: Any) -> str:
    """When it happened, else when it was told."""
    places = (
        ("routing", "event_time"), ("detect", "routing", "event_time"), ("ts",), ("time",), ("gen_time",),
        ("record", "ts"), ("event", "record", "ts"),
    )  # fmt: skip
    return next((found for place in places if (found := iso_time(at(element, *place)))), "")


def _severity(element: Any, priority: Any) -> Severity | None:
    """By the priority, as LimaCharlie's cases do by default ("Severity"); else by the level of the rule."""
    if isinstance(priority, int | float) and not isinstance(priority, bool):
        if priority >= 3:
            return Severity.CRITICAL if priority >= 8 else Severity.HIGH if priority >= 5 else Severity.MEDIUM
        return Severity.LOW
    level = first((element, "detect_mtd", "level"), (element, "detect_mtd", "severity")).lower()
    level = _LEVELS.get(level, level)
    return Severity(level) if level in set(Severity) else None


def _more(element: Any, kind: Stream) -> tuple[tuple[str, str], ...]:
    """What only some streams have."""
    entity = (first((element, "entity", "type")), first((element, "entity", "name")))
    rows = [
        ("Error", first((element, "error"))),
        ("Object", " ".join(part for part in entity if part)),
        ("Origin", first((element, "origin"))),
        ("From address", first((element, "mtd", "source_ip"))),
        ("External IP", first((element, "routing", "ext_ip"))),
        ("Internal IP", first((element, "routing", "int_ip"))),
        ("Author", first((element, "author"))),
        ("Detection id", first((element, "detect_id"))),
    ]
    if kind is Stream.BILLING:
        rows.append(("Amount", first((element, "record", "v"), (element, "event", "record", "v"))))
    if kind is Stream.ARTIFACT:
        rows.append(("Bytes", first((element, "event", "size"))))
    return tuple((label, value) for label, value in rows if value)


def _payload(element: Any) -> Any:
    """What the sensor saw: documentation shows it both as ``detect`` and as ``detect.event``."""
    for place in (("detect", "event"), ("detect",), ("event",)):
        if is_object(found := at(element, *place)):
            return found
    return None
