"""LimaCharlie's template strings, which are Go's ``text/template`` over an element, in bounds.

They know what Go's do: ``{{ .routing.hostname }}``, pipelines, variables, ``if``, ``with``, ``range``,
``break``, ``{{- -}}``, comments, Go's functions but ``call``, and LimaCharlie's own
(:mod:`nina_smtp.dialects.limacharlie.gotemplate.helpers`). One template is all there is: ``define``,
``template`` and ``block`` are refused. Where this differs from Go, it is for people who read mail:

- A missing key and null are *nothing*: an empty text, where Go prints ``<no value>`` (LimaCharlie's pages
  do not say). Nothing has length 0, no entries, and nothing in its fields; it equals nothing else, and has
  no order.
- A field of a text, number or list is an error, as in Go, and so is a comparison of values of two kinds; but
  all numbers are of one kind.
- A path of Windows has its own ``base`` and ``dir``.
- What Go finds only while it runs, such as too few values for a function, shows when it is compiled.

As in Go, texts are measured in octets of UTF-8, a list prints as ``[a b]`` and an object as ``map[k:v]``;
``json`` and ``prettyjson`` are there where it matters. In HTML every value is escaped for the text of an
element and for an attribute in quotes; that does not make the target of a link safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from nina_smtp.dialects.limacharlie.gotemplate.budget import MAX_TEMPLATE, Fault
from nina_smtp.dialects.limacharlie.gotemplate.nodes import Node
from nina_smtp.dialects.limacharlie.gotemplate.parser import parse
from nina_smtp.dialects.limacharlie.gotemplate.run import Run
from nina_smtp.errors import TemplateError

__all__ = ["MAX_TEMPLATE", "Template", "compile_template"]


@dataclass(frozen=True, slots=True)
class Template:
    """A template that can be read; ``slots`` is how many variables it has room for."""

    text: str
    nodes: tuple[Node, ...] = field(repr=False, compare=False)
    slots: int = field(repr=False, compare=False)

    def fill_in(self, element: Mapping[str, Any], *, html: bool = False, seed: str | None = None) -> str:
        """The text with the element's values in it. Raises TemplateError.

        ``html``: values are escaped, unless ``html`` did it in the template. ``seed`` is the secret of
        ``anon``, which is refused without one.
        """
        run = Run(element, self.slots, is_html=html, seed=seed)
        try:
            return run.output(self.nodes)
        except Fault as fault:
            raise _error(self.text, fault, run.at) from None
        except RecursionError:
            raise _error(self.text, _TOO_DEEP, run.at) from None


@lru_cache(maxsize=256)
def compile_template(text: str) -> Template:
    """The template in ``text``; any text without braces is one. Raises TemplateError if it cannot be read."""
    if len(text) > MAX_TEMPLATE:
        raise TemplateError(
            f"A template is at most {MAX_TEMPLATE:,} characters, not {len(text):,}.",
            hint="Write a shorter one.",
        )
    try:
        return Template(text, *parse(text))
    except Fault as fault:
        raise _error(text, fault, 0) from None
    except RecursionError:
        raise _error(text, _TOO_DEEP, 0) from None


_TOO_DEEP = Fault("The template or the element is nested too deep here.", "Nest less.")


def _error(text: str, fault: Fault, at: int) -> TemplateError:
    """The fault, with its line and column in the template, which count from 1."""
    place = at if fault.at is None else fault.at
    line = text.count("\n", 0, place) + 1
    column = place - text.rfind("\n", 0, place)
    return TemplateError(f"Line {line}, column {column}: {fault.message}", hint=fault.hint)
