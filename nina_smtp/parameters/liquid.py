"""The Liquid library, set up with limits."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TextIO

from liquid import Environment, Mode, RenderContext, StrictDefaultUndefined
from liquid.builtin.output import Output, OutputNode
from liquid.exceptions import (
    ContextDepthError,
    LiquidError,
    LocalNamespaceLimitError,
    LoopIterationLimitError,
    OutputStreamLimitError,
    UndefinedError,
)
from markupsafe import Markup, escape

from nina_smtp.errors import TemplateError
from nina_smtp.parameters.template import shown, unknown_path

MAX_ITERATIONS = 100_000
MAX_OUTPUT = 4_000_000  # octets
MAX_NAMESPACE = 4_000_000
MAX_RANGE = 10_000
_LIMITS = (ContextDepthError, LocalNamespaceLimitError, LoopIterationLimitError, OutputStreamLimitError)


class LiquidTemplate:
    """A template that the library parsed."""

    def __init__(self, text: str, html: bool) -> None:
        _check_braces(text)
        try:
            self._template = _environment(html).from_string(text)
        except LiquidError as error:
            raise TemplateError(
                f"The template cannot be read: {_said(error)}.",
                hint='Liquid is {{ path | filter }} and {% tag %}. Text with braces goes in as {"literal": "…"}.',
            ) from None
        except RecursionError:
            raise TemplateError("The template is nested too deeply.") from None
        self._html = html
        nodes = self._template.nodes
        self._whole = nodes[0].expression if len(nodes) == 1 and isinstance(nodes[0], OutputNode) else None

    def fill_in(self, item: Mapping[str, Any]) -> Any:
        """The text with the item's values in it, or the one value it asks for. Raises TemplateError."""
        try:
            if self._whole is None:
                return self._template.render(**item)
            value = self._whole.evaluate(RenderContext(self._template, globals=item))
            if isinstance(value, StrictDefaultUndefined):
                str(value)  # raises
        except TemplateError:
            raise
        except UndefinedError as error:
            raise unknown_path(_said(error).removesuffix(" is undefined").strip("'"), item) from None
        except _LIMITS as error:
            raise TemplateError(
                f"The template does too much: {_said(error)}.", hint="Loop over less, or write less."
            ) from None
        except LiquidError as error:
            raise TemplateError(f"The template cannot be filled in: {_said(error)}.") from None
        except (RecursionError, MemoryError, ArithmeticError, TypeError, ValueError) as error:
            raise TemplateError(f"The template cannot be filled in ({type(error).__name__}).") from None
        if self._html and isinstance(value, str):
            return str(escape(value))
        if isinstance(value, Markup):
            return str(value)
        return list(value) if isinstance(value, range) else value


@lru_cache(maxsize=1024)
def parse(text: str, html: bool) -> LiquidTemplate:
    """The template in ``text``. Raises TemplateError."""
    return LiquidTemplate(text, html)


class _Environment(Environment):
    loop_iteration_limit = MAX_ITERATIONS
    output_stream_limit = MAX_OUTPUT
    local_namespace_limit = MAX_NAMESPACE
    ternary_expressions = False


class _OutputNode(OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        value = self.expression.evaluate(context)
        if isinstance(value, StrictDefaultUndefined):
            str(value)  # raises
        if isinstance(value, Markup):
            return buffer.write(str(value))
        if isinstance(value, range):
            value = f"{value.start}..{value.stop - 1}"
        return buffer.write(shown(value, html=context.autoescape))


class _Output(Output):
    node_class = _OutputNode


@lru_cache(maxsize=2)
def _environment(html: bool) -> Environment:
    environment = _Environment(
        tolerance=Mode.STRICT, undefined=StrictDefaultUndefined, strict_filters=True, autoescape=html
    )
    environment.add_tag(_Output)
    for tag in ("include", "render", "extends", "block"):  # other templates: there are none
        environment.tags.pop(tag, None)
    environment.add_filter("raw", Markup)
    environment.add_filter("json", _json)
    for name, function in environment.filters.items():
        environment.filters[name] = _bounded(function)
    return environment


def _check_braces(text: str) -> None:
    """Finds braces that do not close in one pass; the library would try again from each of them."""
    if "{% raw" in text or "{%- raw" in text or "{% comment" in text or "{%- comment" in text:
        return
    position = 0
    while (start := text.find("{{", position)) >= 0:
        end = text.find("}}", start)
        if end < 0 or text.find("{{", start + 2, end) >= 0:
            raise TemplateError(
                f"The template cannot be read: the braces at position {start} do not close.",
                hint='Close them with }}. Text with braces goes in as {"literal": "…"}.',
            )
        position = end + 2


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that refuses what would take for ever or all memory before it begins."""

    @functools.wraps(function)
    def bounded(*arguments: Any, **options: Any) -> Any:
        product = 1
        for argument in arguments:
            kind = type(argument)  # isinstance would ask an undefined value for its class, and it would raise
            if kind is range and len(argument) > MAX_RANGE:
                raise TemplateError(f"The template does too much: a range of more than {MAX_RANGE:,}.")
            if kind is str or kind is Markup:
                product *= max(len(argument), 1)
        if product > 20 * MAX_OUTPUT:
            raise TemplateError("The template does too much: a filter on texts that long.")
        return function(*arguments, **options)

    return bounded


def _said(error: LiquidError) -> str:
    return re.sub(r"\s+", " ", str(error.message or type(error).__name__))[:200].rstrip(".")
