"""Times in the layouts of Go's package time: how Mon Jan 2 15:04:05 MST 2006 is written. No clock is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from nina_smtp.dialects.limacharlie.gotemplate.budget import Fault

_MAX = 200  # characters of a layout or a time
_CHUNK = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST"
    r"|Z07:00:00|Z070000|Z07:00|Z0700|Z07|-07:00:00|-070000|-07:00|-0700|-07"
    r"|2006|__2|_2(?!006)|002|0[1-6]|15|PM|pm|[.,](?:0+|9+)(?!\d)|[1-5]"
)
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
# What stands for a part of a time: the pattern it is read by, and the part.
_READ = {
    "2006": (r"(\d{4})", "year"),
    "06": (r"(\d{2})", "short_year"),
    "01": (r"(\d{2})", "month"),
    "1": (r"(\d{1,2})", "month"),
    "02": (r"(\d{2})", "day"),
    "2": (r"(\d{1,2})", "day"),
    "_2": (r" ?(\d{1,2})", "day"),
    "002": (r"(\d{3})", "year_day"),
    "__2": (r" {0,2}(\d{1,3})", "year_day"),
    "15": (r"(\d{1,2})", "hour"),
    "03": (r"(\d{2})", "half_day_hour"),
    "3": (r"(\d{1,2})", "half_day_hour"),
    "04": (r"(\d{2})", "minute"),
    "4": (r"(\d{1,2})", "minute"),
    "05": (r"(\d{2})", "second"),
    "5": (r"(\d{1,2})", "second"),
    "PM": (r"(AM|PM)", "half_day"),
    "pm": (r"(am|pm)", "half_day"),
    "MST": (r"([A-Z]{3,5}|[+-]\d{2}(?:\d{2})?)", "zone"),
}
_HINT = "A layout shows how Mon Jan 2 15:04:05 MST 2006 is written; from may also be epoch_s or epoch_ms."


@dataclass(frozen=True, slots=True)
class Moment:
    """A time where it was written: ``offset`` in seconds from UTC, ``zone`` its name if it has one."""

    year: int = 0
    month: int = 1
    day: int = 1
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    offset: int = 0
    zone: str = "UTC"

    def date(self) -> date:
        """The day, as far as its weekday and number go: the calendar repeats after 400 years."""
        return date(self.year or 400, self.month, self.day)


def epoch(value: object, per_second: int) -> Moment:
    """The time so many seconds, or parts of seconds, after 1970; a number or its text. Raises Fault."""
    text = value if isinstance(value, str) else repr(value)
    if not re.fullmatch(r"-?\d{1,20}(?:\.\d{1,20})?(?:e[+-]?\d{1,3})?", text, re.ASCII):
        raise Fault("A time is no number of seconds.", _HINT)
    try:
        seconds, rest = divmod(Fraction(text) / per_second, 1)
        at = datetime(1970, 1, 1) + timedelta(seconds=int(seconds))
    except OverflowError:
        raise Fault("A time is outside the years 1 to 9999.", _HINT) from None
    return Moment(at.year, at.month, at.day, at.hour, at.minute, at.second, int(rest * 10**9))


def parse_time(layout: str, text: str) -> Moment:
    """The time that ``text`` is in that layout. Raises Fault."""
    if len(layout) > _MAX or len(text) > _MAX:
        raise Fault(f"A time or layout has more than {_MAX} characters.", _HINT)
    found: dict[str, str] = {}
    position = 0
    end = 0
    chunks = list(_CHUNK.finditer(layout))
    for number, chunk in enumerate(chunks):
        position = _past(layout[end : chunk.start()], text, position)
        end = chunk.end()
        pattern, part = _pattern(chunk[0])
        match = re.compile(pattern, re.ASCII | re.IGNORECASE if part == "name" else re.ASCII).match(
            text, position
        )
        if match is None:
            raise _unreadable()
        position = match.end()
        if part in ("month_name", "name"):
            part = "month_name" if chunk[0].startswith("Jan") else "weekday"
        found[part] = match[1] or ""
        following = chunks[number + 1][0] if number + 1 < len(chunks) else ""
        if part == "second" and following[:1] not in (".", ","):
            extra = re.compile(r"[.,](\d+)", re.ASCII).match(text, position)  # Go takes it unasked
            if extra:
                found["fraction"], position = extra[1], extra.end()
    if _past(layout[end:], text, position) != len(text):
        raise _unreadable()
    return _moment(found)


def _unreadable() -> Fault:
    return Fault("A time is not in the layout it is said to have.", _HINT)


def _past(literal: str, text: str, position: int) -> int:
    """Where the text goes on after a literal of the layout; a space in it stands for any number."""
    for number, char in enumerate(literal):
        found = text[position : position + 1]
        if char == " " and (found in ("", " ") or literal[number - 1 : number] == " "):
            position += len(text[position:]) - len(text[position:].lstrip(" "))
        elif found == char:
            position += 1
        else:
            raise _unreadable()
    return position


def _pattern(chunk: str) -> tuple[str, str]:
    if chunk in _READ:
        return _READ[chunk]
    if chunk[0] in "JM":
        names = _MONTHS if chunk.startswith("Jan") else _DAYS
        return (
            f"({'|'.join(names if chunk in ('January', 'Monday') else [name[:3] for name in names])})",
            "name",
        )
    if chunk[0] in ".,":
        return (
            (f"[.,]([0-9]{{{len(chunk) - 1}}})", "fraction")
            if chunk[1] == "0"
            else (
                r"(?:[.,]([0-9]+))?",
                "fraction",
            )
        )
    digits = r"[+-]" + re.sub(r"0\d|00", r"\\d\\d", chunk.lstrip("Z-"))
    return (f"(Z|{digits})" if chunk[0] == "Z" else f"({digits})"), "offset"


def _moment(found: dict[str, str]) -> Moment:
    def number(part: str, default: int) -> int:
        return int(found[part]) if part in found else default

    year = number("year", 0)
    if "short_year" in found:
        year = number("short_year", 0)
        year += 1900 if year >= 69 else 2000
    names = [name[:3].lower() for name in _MONTHS]
    month = names.index(found["month_name"][:3].lower()) + 1 if "month_name" in found else number("month", 1)
    day, hour = number("day", 1), number("hour", 0)
    if "half_day_hour" in found:
        hour = number("half_day_hour", 0)
        if hour > 12:
            raise _unreadable()
    if "half_day" in found:
        hour = hour % 12 + 12 * (found["half_day"].lower() == "pm") if hour <= 12 else hour
    minute, second = number("minute", 0), number("second", 0)
    fraction = found.get("fraction", "")[:9].ljust(9, "0")
    try:
        if "year_day" in found:
            at = date(year or 400, 1, 1) + timedelta(days=number("year_day", 1) - 1)
            if at.year != (year or 400) or ("month" in found and (at.month, at.day) != (month, day)):
                raise ValueError
            month, day = at.month, at.day
        datetime(year or 400, month, day, hour, minute, second)
    except (ValueError, OverflowError):
        raise _unreadable() from None
    offset, zone = _zone(found)
    return Moment(year, month, day, hour, minute, second, int(fraction), offset, zone)


def _zone(found: dict[str, str]) -> tuple[int, str]:
    written, name = found.get("offset", ""), found.get("zone", "UTC")
    if re.match(r"[+-]\d", name):
        written, name = written or name, ""
    digits = re.sub(r"\D", "", written).ljust(6, "0")
    if int(digits[:2]) > 24 or int(digits[2:4]) > 60 or int(digits[4:6]) > 60:
        raise _unreadable()
    offset = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:6])
    offset = -offset if written.startswith("-") else offset
    if "zone" not in found:
        name = "" if offset else "UTC"
    return offset, name


def format_time(layout: str, moment: Moment) -> str:
    """The time in that layout."""
    if len(layout) > _MAX:
        raise Fault(f"A layout has more than {_MAX} characters.", _HINT)
    return _CHUNK.sub(lambda chunk: _written(chunk[0], moment), layout)


def _written(chunk: str, moment: Moment) -> str:
    half = moment.hour % 12 or 12
    day = moment.date()
    simple = {
        "2006": f"{moment.year:04}",
        "06": f"{moment.year % 100:02}",
        "January": _MONTHS[moment.month - 1],
        "Jan": _MONTHS[moment.month - 1][:3],
        "01": f"{moment.month:02}",
        "1": str(moment.month),
        "Monday": _DAYS[day.weekday()],
        "Mon": _DAYS[day.weekday()][:3],
        "02": f"{moment.day:02}",
        "2": str(moment.day),
        "_2": f"{moment.day:2}",
        "002": f"{day.timetuple().tm_yday:03}",
        "__2": f"{day.timetuple().tm_yday:3}",
        "15": f"{moment.hour:02}",
        "03": f"{half:02}",
        "3": str(half),
        "04": f"{moment.minute:02}",
        "4": str(moment.minute),
        "05": f"{moment.second:02}",
        "5": str(moment.second),
        "PM": "PM" if moment.hour >= 12 else "AM",
        "pm": "pm" if moment.hour >= 12 else "am",
    }
    if chunk in simple:
        return simple[chunk]
    if chunk[0] in ".,":
        digits = f"{moment.nanosecond:09}"[: len(chunk) - 1].ljust(len(chunk) - 1, "0")
        digits = digits.rstrip("0") if chunk[1] == "9" else digits
        return chunk[0] + digits if digits else ""
    return _zone_written(chunk, moment)


def _zone_written(chunk: str, moment: Moment) -> str:
    if chunk == "MST" and moment.zone:
        return moment.zone
    if chunk[0] == "Z" and not moment.offset:
        return "Z"
    sign, size = "-" if moment.offset < 0 else "+", abs(moment.offset)
    hours, minutes, seconds = f"{size // 3600:02}", f"{size // 60 % 60:02}", f"{size % 60:02}"
    if chunk == "MST":
        return sign + hours + minutes
    count = sum(char.isdigit() for char in chunk) // 2
    return sign + (":" if ":" in chunk else "").join((hours, minutes, seconds)[:count])
