"""The Liquid library, set up with limits (:mod:`nina_smtp.parameters.bounds`)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from io import StringIO
from sys import getsizeof
from typing import Any, TextIO

from liquid import Environment, RenderContext, StrictDefaultUndefined
from liquid import Mode as Tolerance
from liquid.ast import BlockNode, Node
from liquid.builtin.expressions.filtered import FilteredExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.cycle_tag import CycleNode, CycleTag
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.exceptions import (
    ContextDepthError,
    LiquidError,
    LoopIterationLimitError,
    OutputStreamLimitError,
    UndefinedError,
)
from liquid.expression import Expression
from liquid.output import LimitedStringIO
from liquid.token import Token
from markupsafe import Markup

from nina_smtp.errors import TemplateError
from nina_smtp.forms import nearest
from nina_smtp.parameters.bounds import (
    MAX_ITERATIONS,
    MAX_NAMESPACE,
    MAX_OUTPUT,
    MAX_RANGE,
    Clock,
    check_arguments,
    check_code,
    check_result,
    too_much,
    weight,
)
from nina_smtp.parameters.insertion import Mode, Place, whole
from nina_smtp.parameters.template import unknown_path

_LIMITS = (ContextDepthError, LoopIterationLimitError, OutputStreamLimitError)


class LiquidTemplate:
    """A template that the library parsed."""

    def __init__(self, text: str, mode: Mode) -> None:
        check_code(text)
        try:
            self._template = _environment(mode is Mode.HTML).from_string(text)
        except LiquidError as error:
            raise TemplateError(
                f"The template cannot be read: {_said(error)}.",
                hint='Liquid is {{ path | filter }} and {% tag %}. For braces as text: {"literal": "…"}.',
            ) from None
        except Exception as error:  # the library raises whatever its parser does
            raise TemplateError(f"The template cannot be read ({type(error).__name__}).") from None
        nodes = self._template.nodes
        self._whole = nodes[0].expression if len(nodes) == 1 and isinstance(nodes[0], OutputNode) else None
        _bound(nodes, RenderContext(self._template))
        self._mode = mode

    def fill_in(self, item: Mapping[str, Any]) -> Any:
        """The text with the item's values in it, or the one value it asks for. Raises TemplateError."""
        context = _Context(self._template, globals=item)
        context.mode = self._mode
        try:
            if self._whole is None:
                page = _Page(MAX_OUTPUT, self._mode)
                self._template.render_with_context(context, page)
                return page.getvalue()
            value = _plain(self._whole.evaluate(context))
            return str(value) if isinstance(value, Markup) else whole(value, self._mode)
        except TemplateError:
            raise
        except UndefinedError as error:
            raise unknown_path(_said(error).removesuffix(" is undefined").strip("'"), item) from None
        except _LIMITS as error:
            raise too_much(_said(error)) from None
        except LiquidError as error:
            raise TemplateError(f"The template cannot be filled in: {_said(error)}.") from None
        except Exception as error:  # the library raises whatever Python does
            raise TemplateError(f"The template cannot be filled in ({type(error).__name__}).") from None


@lru_cache(maxsize=1024)
def parse(text: str, mode: Mode) -> LiquidTemplate:
    """The template in ``text``. Raises TemplateError."""
    return LiquidTemplate(text, mode)


class _Environment(Environment):
    loop_iteration_limit = MAX_ITERATIONS
    output_stream_limit = MAX_OUTPUT
    ternary_expressions = False


class _Page(LimitedStringIO):
    """What is written, and where it stands."""

    def __init__(self, limit: int, mode: Mode) -> None:
        super().__init__(limit, newline="")  # else every CR would become LF
        self.place = Place(mode)

    def write(self, text: str) -> int:
        self.place.wrote(text)
        return super().write(text)


class _Context(RenderContext):
    """One filling in, with its clock."""

    __slots__ = ("clock", "held", "mode")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.clock = Clock()
        self.held = 0
        self.mode = Mode.TEXT

    def assign(self, key: str, val: Any) -> None:
        self.held += getsizeof(val, 1) - (getsizeof(self.locals[key], 1) if key in self.locals else 0)
        if self.held > MAX_NAMESPACE:
            raise too_much("what it assigns is too large")
        self.locals[key] = val

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        return _Page(MAX_OUTPUT - (buf.size if isinstance(buf, LimitedStringIO) else 0), self.mode)

    def get(self, *arguments: Any, **options: Any) -> object:
        self.clock.check()
        return super().get(*arguments, **options)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        self.clock.check()
        function = super().filter(name, token)

        def bounded(*arguments: Any, **options: Any) -> object:
            check_arguments(name, arguments)
            result = function(*arguments, **options)
            check_result(result)
            return result

        return bounded

    def insert(self, value: Any, buffer: TextIO) -> int:
        """Writes a value as the mode has it."""
        if isinstance(value, StrictDefaultUndefined):
            str(value)  # raises
        if isinstance(value, Markup) and self.mode is Mode.HTML:
            return buffer.write(str(value))
        if isinstance(value, (list, tuple, dict)) and weight(value, MAX_OUTPUT) > MAX_OUTPUT:  # pyright: ignore[reportUnknownArgumentType]
            raise too_much("a value that long")
        if isinstance(value, range):
            value = f"{value.start}..{value.stop - 1}"
        place = buffer.place if isinstance(buffer, _Page) else Place(self.mode)
        return buffer.write(place.insert(value))


class _OutputNode(OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        assert isinstance(context, _Context)
        return context.insert(self.expression.evaluate(context), buffer)


class _Output(Output):
    node_class = _OutputNode


class _EchoNode(EchoNode, _OutputNode):
    pass


class _Echo(EchoTag):
    node_class = _EchoNode


class _CycleNode(CycleNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        assert isinstance(context, _Context)
        group = self.group.evaluate(context) if self.group else None
        index = context.cycle(group if isinstance(group, (str, int)) else str(self), len(self.args))
        return context.insert(self.args[index].evaluate(context), buffer) if index < len(self.args) else 0


class _Cycle(CycleTag):
    node_class = _CycleNode


class _Look(Node):
    """Stands at the beginning of every block and looks at the clock."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        assert isinstance(context, _Context)
        context.clock.check()
        return 0


class _Range(RangeLiteral):
    """A range of bounded length: some things walk through all of it."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> range:
        found = super().evaluate(context)
        if found.stop - found.start > MAX_RANGE:
            raise too_much(f"a range of more than {MAX_RANGE:,}")
        return found


@lru_cache(maxsize=2)
def _environment(html: bool) -> Environment:
    environment = _Environment(
        tolerance=Tolerance.STRICT, undefined=StrictDefaultUndefined, strict_filters=True, autoescape=html
    )
    for tag in (_Output, _Echo, _Cycle):
        environment.add_tag(tag)
    for name in ("include", "render", "extends", "block"):  # other templates: there are none
        environment.tags.pop(name, None)
    environment.add_filter("raw", Markup)
    environment.add_filter("json", _json)
    return environment


def _bound(nodes: list[Node], context: RenderContext) -> None:
    """Puts a look at the clock into every block, bounds every range, and knows every filter."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        waiting.extend(node.children(context))
        if isinstance(node, BlockNode):
            node.nodes.insert(0, _Look(node.token))
        expressions: list[Expression] = list(node.expressions())
        while expressions:
            expression = expressions.pop()
            expressions.extend(expression.children())
            if isinstance(expression, FilteredExpression):
                _check_filters(expression, context)
            if isinstance(expression, RangeLiteral):
                expression.__class__ = (
                    _Range  # its place in the tree has a name of its own in each kind of node
                )


def _check_filters(expression: FilteredExpression, context: RenderContext) -> None:
    """Raises TemplateError for an unknown filter, which the library would notice only when it is called."""
    for one in expression.filters or ():
        if one.name not in context.env.filters:
            meant = nearest(one.name, tuple(context.env.filters))
            raise TemplateError(
                f"The template cannot be read: there is no filter {one.name[:80]!a}.",
                hint=f"Did you mean {meant}?" if meant else "Use one of Liquid's.",
            )


def _plain(value: Any) -> Any:
    """``value`` as JSON, whatever of its own the library has in it."""
    if isinstance(value, StrictDefaultUndefined):
        return str(value)  # raises
    if value is None or isinstance(value, (str, int, float, Mapping)):
        return value  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, (list, tuple, range)):
        return [_plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    return str(value) if isinstance(value, date) else str(value) or None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _said(error: LiquidError) -> str:
    return re.sub(r"\s+", " ", str(error.message or type(error).__name__))[:200].rstrip(".")
