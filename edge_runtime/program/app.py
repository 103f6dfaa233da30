"""`App`: the intents that one module offers, and how a submitted value becomes a handler's arguments.

How arguments are passed. A submission carries one value. The handler's *parameters* are those after the context
(all of them, where it takes none). The rules, in this order:

1. A map whose keys are all names of parameters is passed as keywords: `{"name": "Ada"}`.
2. Null, when every parameter has a default or there is none: called without arguments. So is an empty map.
3. Anything else is passed as the value of the only parameter; with several parameters it is refused.

Each argument is converted to its annotation (msgspec's strict conversion), and what is missing, unknown or ill-typed
is refused where the object is submitted. A handler whose one parameter is itself a map with the parameter's name as
its only key is therefore given `{"name": {"name": …}}`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar, overload

from msgspec import Struct
from msgspec.structs import replace

from ..base.errors import UsageError
from ..base.limits import ADVICE_TOPIC_BYTES_MAX, ARGUMENTS_BYTES_MAX, INTEGER_MAX, LIST_ITEMS_MAX, NAME_BYTES_MAX
from ..objects.codec import encode_value
from ..objects.narrowing import Way
from .advising import Advisor
from .arguments import checked_name, checked_needs
from .context import Context
from .payloads import decode_payload, encode_payload, resolve_hints
from .swarming import Work

F = TypeVar("F", bound=Callable[..., Any])

REFUSED_KINDS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)


class Parameter(Struct, frozen=True):
    """One argument that a submission may give: its name, type, and whether it must be given."""

    name: str
    wanted: Any
    is_required: bool


class Intent(Struct, frozen=True):
    """One handler under its name.

    Attributes:
        name, version: of the intent, and of its app.
        function: the user's.
        parameters: those after the context, in order.
        needs: capabilities that every step inherits, sorted.
        is_one_step: the function takes no context: it is the object's only step, and idempotent.
        degrades: fields that `ctx.refine` may ask less of, as dotted paths that begin with a parameter, and how.
    """

    name: str
    version: int
    function: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    needs: tuple[str, ...]
    is_one_step: bool
    degrades: tuple[tuple[str, Way], ...] = ()

    def degradations(self, arguments: bytes) -> tuple[tuple[str, int], ...]:
        """Return the declared degradations as `created` holds them: paths into a submission's canonical CBOR."""
        given = decode_payload(arguments, Any, f"the argument of {self.name}")
        names = self._names()
        is_by_name = isinstance(given, dict) and set(given) <= set(names)
        skipped = 0 if is_by_name or not names else len(names[0])
        return tuple((path[skipped:].removeprefix("."), int(way)) for path, way in self.degrades)

    def check(self, arguments: bytes) -> None:
        """Check a submission's canonical CBOR against the handler's parameters.

        Raises:
            UsageError: an argument is missing, unknown or ill-typed; the text names it.
        """
        self._bind(arguments)

    def begin(self, context: Context, arguments: bytes) -> Coroutine[Any, Any, Any]:
        """Return the body's coroutine, not yet started.

        Raises:
            UsageError: as `check`.
        """
        bound = self._bind(arguments)
        if self.is_one_step:
            call = partial(self.function, **bound) if bound else self.function
            return context.run(self.name, call)
        return _called(self.name, self.function(context, **bound))

    def rebind(self, arguments: bytes, value: object) -> bytes:
        """Return the canonical CBOR of arguments with another value in them, in the form in which they were given.

        Args:
            value: of the one parameter, or a map of those parameters that change.

        Raises:
            UsageError: it cannot be recorded, or does not fit the parameters; the text names what.
        """
        what = f"the refined argument of {self.name}"
        had = decode_payload(arguments, Any, what)
        plain = decode_payload(encode_payload(value, what, ARGUMENTS_BYTES_MAX), Any, what)
        names = self._names()
        if len(names) == 1 and isinstance(had, dict) and set(had) == set(names):
            plain = {names[0]: plain}
        elif len(names) > 1 and isinstance(plain, dict):
            plain = {**(had if isinstance(had, dict) else {}), **plain}
        data = encode_payload(plain, what, ARGUMENTS_BYTES_MAX)
        self._bind(data)
        return data

    def _bind(self, arguments: bytes) -> dict[str, Any]:
        value = decode_payload(arguments, Any, f"the argument of {self.name}")
        required = [parameter.name for parameter in self.parameters if parameter.is_required]
        named = {parameter.name for parameter in self.parameters}
        is_single = len(self.parameters) == 1
        if isinstance(value, dict) and named.issuperset(value) and (value or not (required and is_single)):
            given = value
        elif value is None and not required:
            given = {}
        elif is_single:
            given = {self.parameters[0].name: value}
        else:
            raise UsageError(f"{self.name} {self._takes()}, not {_shape(value, named)}")
        missing = [name for name in required if name not in given]
        if missing:
            raise UsageError(f"{self.name} {self._takes()}: {', '.join(missing)} is missing")
        return {
            parameter.name: self._convert(parameter, given[parameter.name])
            for parameter in self.parameters
            if parameter.name in given
        }

    def _convert(self, parameter: Parameter, value: Any) -> Any:
        if parameter.wanted is Any:
            return value
        what = f"argument {parameter.name!r} of {self.name}"
        if isinstance(value, dict):
            what += f" (a map is its value, unless all its keys are among: {', '.join(self._names())})"
        return decode_payload(encode_value(value), parameter.wanted, what)

    def _names(self) -> list[str]:
        return [parameter.name for parameter in self.parameters]

    def _takes(self) -> str:
        if not self.parameters:
            return "takes no arguments"
        names = [name.name if name.is_required else f"{name.name} (optional)" for name in self.parameters]
        return f"takes a map with {', '.join(names)}"


def _shape(value: object, named: Collection[str]) -> str:
    if isinstance(value, dict):
        unknown = sorted(str(key) for key in value if key not in named)
        return f"one with {', '.join(unknown)[:200]}"
    return f"a value of type {type(value).__name__}" if value is not None else "nothing"


def _called(name: str, made: Any) -> Coroutine[Any, Any, Any]:
    assert inspect.iscoroutine(made), f"{name} was checked to be async where it was registered"
    return made


class App:
    """A named, versioned set of intents. One module-level `App` per module is usual.

    Args:
        name: of the app, 1 .. NAME_BYTES_MAX bytes.
        version: a whole number from 1; raise it when a handler changes what it calls.

    Raises:
        UsageError: a name or a version that is none.
    """

    def __init__(self, name: str, version: int = 1) -> None:
        if type(version) is not int or not 1 <= version <= INTEGER_MAX:
            raise UsageError(f"App({name!r}, version={version!r}): a version is a whole number from 1")
        self.name = _named(name)
        self.version = version
        self._intents: dict[str, Intent] = {}
        self._advisors: dict[str, Advisor] = {}
        self._works: dict[str, Work] = {}

    @property
    def intents(self) -> Mapping[str, Intent]:
        """The intents by name, in the order in which they were added; read-only."""
        return MappingProxyType(self._intents)

    @overload
    def intent(self, name: F) -> F: ...

    @overload
    def intent(
        self, name: str | None = None, *, needs: Collection[str] = (), degrades: Mapping[str, str] = {}
    ) -> Callable[[F], F]: ...

    def intent(
        self, name: F | str | None = None, *, needs: Collection[str] = (), degrades: Mapping[str, str] = {}
    ) -> F | Callable[[F], F]:
        """Add the decorated function as an intent, under its own name if none is given.

        The function is `async` with a `Context` first, or any function without one: then it is one idempotent step.

        Args:
            needs: capabilities that its steps need, unless a step names its own.
            degrades: fields of the arguments that `ctx.refine` may ask less of without leave: a dotted path that
                begins with a parameter (`area.cells`) to `subset`, `lower` or `higher`; at most LIST_ITEMS_MAX.

        Raises:
            UsageError: the name is taken, or the function cannot be an intent; the text says why.
        """
        if callable(name):
            self._add(name, name.__name__, (), {})
            return name

        def add(function: F) -> F:
            self._add(function, name or function.__name__, needs, degrades)
            return function

        return add

    @property
    def works(self) -> Mapping[str, Work]:
        """What does units of shared work, by the work's name; read-only."""
        return MappingProxyType(self._works)

    def unit(self, name: str, *, needs: Collection[str] = ()) -> Callable[[F], F]:
        """Add the decorated function as what does one unit of `ctx.swarm(name, …)` on this device.

        It takes the unit's name and returns a recordable value; async, or plain and then run in a worker thread. It
        may be done by several devices: `current_attempt().id` is the same for all of them.

        Raises:
            UsageError: the name is taken, or it is no name.
        """
        if _named(name) in self._works:
            raise UsageError(f"app {self.name!r} does units of {name!r} already: give one of them another name")
        checked = checked_needs(needs)

        def add(function: F) -> F:
            self._works[name] = Work(name, function, checked)
            return function

        return add

    @property
    def advisors(self) -> Mapping[str, Advisor]:
        """The advisors by topic; read-only."""
        return MappingProxyType(self._advisors)

    def advisor(self, topic: str) -> Callable[[F], F]:
        """Add the decorated function as this device's advisor on a topic.

        It is a plain function of one `AdvisorView` and returns an `Advice` or None. It runs in a thread of its own,
        one call at a time, within the budget of the configuration's `[advisor]`.

        Raises:
            UsageError: the topic is taken, or the function is async.
        """
        checked_name(topic, "a topic", ADVICE_TOPIC_BYTES_MAX)

        def add(function: F) -> F:
            if topic in self._advisors:
                raise UsageError(f"app {self.name!r} has an advisor on {topic!r} already")
            if inspect.iscoroutinefunction(function):
                raise UsageError(f"the advisor on {topic!r} is async: write a plain function, it has its own thread")
            self._advisors[topic] = function
            return function

        return add

    @classmethod
    def of(cls, thing: object) -> App:
        """Return the app that an object from `--app module:object` means: an App, or a function as its one intent.

        Raises:
            UsageError: it is neither.
        """
        if isinstance(thing, App):
            return thing
        if not inspect.isfunction(thing):
            raise UsageError(f"an app is an App or a function, not {type(thing).__name__}: write --app module:app")
        app = cls(thing.__name__)
        app._add(thing, thing.__name__, (), {})
        return app

    def _add(
        self, function: Callable[..., Any], name: str, needs: Collection[str], degrades: Mapping[str, str]
    ) -> None:
        if _named(name) in self._intents:
            raise UsageError(f"app {self.name!r} has an intent {name!r} already: give one of them another name")
        intent = _intent_of(function, name, self.version, checked_needs(needs))
        self._intents[name] = replace(intent, degrades=_checked_degrades(intent, degrades))


def _checked_degrades(intent: Intent, degrades: Mapping[str, str]) -> tuple[tuple[str, Way], ...]:
    names = {parameter.name for parameter in intent.parameters}
    ways = {way.name.lower(): way for way in Way}
    if len(degrades) > LIST_ITEMS_MAX:
        raise UsageError(f"{intent.name} declares {len(degrades)} degradations: at most {LIST_ITEMS_MAX}")
    for path, way in degrades.items():
        if path.partition(".")[0] not in names or len(path.encode()) > NAME_BYTES_MAX:
            raise UsageError(f"degrades of {intent.name}: {path!r} begins with none of its parameters: {sorted(names)}")
        if way not in ways:
            raise UsageError(f"degrades of {intent.name}: {path!r}: {way!r} is none of {', '.join(ways)}")
    return tuple((path, ways[way]) for path, way in sorted(degrades.items()))


def _named(name: object) -> str:
    if not isinstance(name, str) or not 1 <= len(name.encode("utf-8", "replace")) <= NAME_BYTES_MAX:
        raise UsageError(f"{name!r} is no name: a text of 1 to {NAME_BYTES_MAX} bytes")
    return name


def _intent_of(function: Callable[..., Any], name: str, version: int, needs: tuple[str, ...]) -> Intent:
    signature = inspect.signature(function)
    listed = list(signature.parameters.values())
    has_context = bool(listed) and _is_context(listed[0])
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise UsageError(f"{name} yields: a handler returns its result; use ctx.publish for progress")
    if has_context and not inspect.iscoroutinefunction(function):
        raise UsageError(f"{name} takes a context and so must be async: write `async def`")
    hints = resolve_hints(function, skip=listed[0].name if has_context else None)
    parameters = []
    for parameter in listed[1:] if has_context else listed:
        if parameter.kind in REFUSED_KINDS:
            raise UsageError(f"parameter {parameter} of {name} has no name to give it by: use plain parameters")
        is_required = parameter.default is inspect.Parameter.empty
        parameters.append(Parameter(parameter.name, hints.get(parameter.name, Any), is_required))
    return Intent(name, version, function, tuple(parameters), needs, not has_context)


def _is_context(parameter: inspect.Parameter) -> bool:
    """Say whether a first parameter is the context: by its annotation, or unannotated by the name `ctx`."""
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        return parameter.name == "ctx"
    if isinstance(annotation, str):
        return annotation.strip("'\"").rpartition(".")[2] == Context.__name__
    return annotation is Context
