"""The house rules as functions: each takes the modules of a package and returns what breaks the rule.

`tests/test_tidy.py` applies them to `edge_runtime` and, on small bad snippets, shows that each can fail.
There is no list of exceptions: a rule that hurts is changed for all, here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FLOORS = ("base", "objects", "judge", "program", "node", "host")
HOST = FLOORS.index("host")

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
LINE_COLUMNS_MAX = 120

# What brings time, chance, the machine or a second thread below host/, where each must be an argument.
FORBIDDEN = frozenset(
    """asyncio concurrent logging multiprocessing os queue sched secrets select selectors shutil signal socket
    socketserver ssl subprocess tempfile threading time uuid _thread""".split()
)
# program/ and testing.py take types and tasks of asyncio, but never run a loop or reach the machine by it.
ASYNCIO_PLACES = ("program", "testing")
ASYNCIO_MACHINE = frozenset(
    """run Runner new_event_loop get_event_loop set_event_loop open_connection open_unix_connection
    start_server start_unix_server create_subprocess_exec create_subprocess_shell to_thread""".split()
)
CLOCK_CALLS = {"datetime": ("now", "utcnow", "today"), "date": ("today",)}
CHANCE_CALLS = ("urandom", "randombytes", "token_bytes", "SystemRandom")
KEY_CLASSES = ("SigningKey", "PrivateKey")

BOUND = re.compile(r"[A-Z][A-Z0-9_]*_MAX")


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name under the package, and whether it is a folder's front page."""

    name: str
    text: str
    tree: ast.Module
    is_front_page: bool

    @property
    def parts(self) -> tuple[str, ...]:
        """The name without the package: `("objects", "codec")`."""
        return tuple(self.name.split(".")[1:])

    @property
    def folder(self) -> str:
        """Dotted name of the folder that holds the file."""
        return self.name if self.is_front_page else self.name.rpartition(".")[0]


Package = dict[str, Module]


@dataclass(frozen=True)
class Import:
    """One import of ours: the module meant, and when it happens."""

    target: str
    line: int
    is_for_types: bool
    is_at_load: bool


def read_package(root: Path) -> Package:
    """Return every module under the folder `root`, whose name is the package's."""
    sources = {path.relative_to(root.parent).as_posix(): path.read_text() for path in root.rglob("*.py")}
    return parse_package(sources)


def parse_package(sources: dict[str, str]) -> Package:
    """Return modules from {path with package folder: text}; the same door for files and for snippets."""
    package = {}
    for path, text in sorted(sources.items()):
        parts = path.removesuffix(".py").split("/")
        is_front_page = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_front_page else parts)
        package[name] = Module(name, text, ast.parse(text, path), is_front_page)
    return package


def imports_of(module: Module, package: Package) -> Iterator[Import]:
    """Yield every import of one of the package's own modules, relative or absolute, wherever it stands."""
    top = module.name.partition(".")[0]
    for node, is_for_types, is_at_load in _import_statements(module.tree, False, True):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            base = node.module or ""
            if node.level:
                above = module.folder.split(".")
                above = above[: len(above) - (node.level - 1)]
                base = ".".join(above + ([node.module] if node.module else []))
            # `from folder import name` means the module folder.name if there is one, else the folder's page.
            inner = [f"{base}.{alias.name}" for alias in node.names]
            targets = [name if name in package else base for name in inner]
        for target in targets:
            if target.partition(".")[0] == top:
                yield Import(target, node.lineno, is_for_types, is_at_load)


def _import_statements(
    node: ast.AST, is_for_types: bool, is_at_load: bool
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, is_for_types, is_at_load
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for part in child.body:
                yield from _import_statements(ast.Module([part], []), True, is_at_load)
            for part in child.orelse:
                yield from _import_statements(ast.Module([part], []), is_for_types, is_at_load)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _import_statements(child, is_for_types, is_at_load and not inside)


def floor_of(name: str) -> int | None:
    """Return the number of the floor; None beside the floors (front page, `client`, `testing`).

    Raises:
        LookupError: the module stands neither on a floor nor at a known place beside them.
    """
    parts = name.split(".")[1:]
    if not parts or parts[0] in ("client", "testing"):
        return None
    if parts == ["__main__"]:
        return HOST  # the same door as the installed command
    if parts[0] not in FLOORS:
        raise LookupError(name)
    return FLOORS.index(parts[0])


def upward_imports(package: Package) -> list[str]:
    """Imports that go up a floor; imports for types count, for a type is knowledge too."""
    found = []
    for module in package.values():
        try:
            own = floor_of(module.name)
        except LookupError:
            found.append(f"{module.name} stands on no floor")
            continue
        for link in imports_of(module, package):
            try:
                other = floor_of(link.target)
            except LookupError:
                found.append(f"{module.name}:{link.line} imports {link.target}, which stands on no floor")
                continue
            if own is None:
                is_wrong = other == HOST
            elif other is None:
                is_wrong = own != HOST
            else:
                is_wrong = other > own
            if is_wrong:
                found.append(f"{module.name}:{link.line} imports {link.target}, which is above it")
    return found


def import_cycles(package: Package) -> list[str]:
    """Rings of modules that import each other while they load (not for types, not inside functions)."""
    graph = {
        module.name: sorted(
            {
                link.target
                for link in imports_of(module, package)
                if link.is_at_load and not link.is_for_types and link.target in package
            }
            - {module.name}
        )
        for module in package.values()
    }
    found: list[str] = []
    done: dict[str, bool] = {}  # absent: not seen; False: on the path; True: finished

    def visit(name: str, path: list[str]) -> None:
        done[name] = False
        for target in graph[name]:
            if target not in done:
                visit(target, [*path, target])
            elif not done[target]:
                found.append(" -> ".join([*path[path.index(target) :], target]))
        done[name] = True

    for name in graph:
        if name not in done:
            visit(name, [name])
    return found


def oversizes(package: Package) -> list[str]:
    """Modules, functions and lines beyond the house's sizes."""
    found = []
    for module in package.values():
        lines = module.text.splitlines()
        if len(lines) > MODULE_LINES_MAX:
            found.append(f"{module.name} has {len(lines)} lines, {MODULE_LINES_MAX} at most")
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_COLUMNS_MAX:
                found.append(
                    f"{module.name}:{number} is {len(line)} columns wide, {LINE_COLUMNS_MAX} at most"
                )
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    found.append(
                        f"{module.name}.{node.name} has {length} lines, {FUNCTION_LINES_MAX} at most"
                    )
    return found


def below_host(package: Package) -> Iterator[Module]:
    """Yield the modules that get time, chance and the machine only as arguments.

    `client` is a program's side of the control socket: it stands outside a device, as `host` stands around it.
    """
    for module in package.values():
        if module.parts[:1] not in (("host",), ("client",), ("__main__",)):
            yield module


def machine_reached(package: Package) -> list[str]:
    """Below host/: modules of the machine, clocks, and chance without a seed."""
    found = []
    for module in below_host(package):
        place = module.parts[0] if module.parts else ""
        for node in ast.walk(module.tree):
            what = _forbidden_import(node, place) or _clock_or_chance(node)
            if what:
                found.append(f"{module.name}:{getattr(node, 'lineno', '?')} {what}")
    return found


def _forbidden_import(node: ast.AST, place: str) -> str | None:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        names = [node.module or ""]
        inner = {alias.name for alias in node.names}
        if node.module == "random" and inner != {"Random"}:
            return "imports chance without a seed: take a random.Random as an argument"
        if node.module == "asyncio" and inner & ASYNCIO_MACHINE:
            return "runs a loop of the machine"
    else:
        return None
    for name in names:
        top = name.partition(".")[0]
        if top in FORBIDDEN and not (top == "asyncio" and place in ASYNCIO_PLACES):
            return f"imports {name}"
    return None


def _clock_or_chance(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call) and not node.args and not node.keywords:
        if ast.unparse(node.func) in ("Random", "random.Random"):
            return "makes chance without a seed"
    if not isinstance(node, ast.Attribute):
        return None
    owner = ast.unparse(node.value).rpartition(".")[2]
    if node.attr in CLOCK_CALLS.get(owner, ()):
        return f"reads the clock: {owner}.{node.attr}"
    if owner == "random" and node.attr != "Random":
        return f"takes chance without a seed: random.{node.attr}"
    if owner == "asyncio" and node.attr in ASYNCIO_MACHINE:
        return f"runs a loop of the machine: asyncio.{node.attr}"
    if node.attr in CHANCE_CALLS or ast.unparse(node) == "nacl.utils.random":
        return f"takes chance without a seed: {ast.unparse(node)}"
    if node.attr == "generate" and owner in KEY_CLASSES:
        return f"makes a key out of unseeded chance: {owner}.generate"
    return None


def broad_handlers(package: Package) -> list[str]:
    """Places that catch everything; the house has room for one."""
    found = []
    for module in package.values():
        for node in ast.walk(module.tree):
            caught: list[ast.expr] = []
            if isinstance(node, ast.ExceptHandler):
                if node.type is None:
                    found.append(f"{module.name}:{node.lineno} bare except")
                    continue
                caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
                caught = node.args
            for kind in caught:
                if ast.unparse(kind) in ("Exception", "BaseException"):
                    found.append(f"{module.name}:{kind.lineno} catches {ast.unparse(kind)}")
    return found


def values_of_another_kind(package: Package) -> list[str]:
    """Modules that import `dataclasses`: values are msgspec Structs here (`docs/decisions.md` says what that saves)."""
    found = []
    for module in package.values():
        for node in ast.walk(module.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if "dataclasses" in names or (isinstance(node, ast.ImportFrom) and node.module == "dataclasses"):
                found.append(f"{module.name} imports dataclasses: `class Thing(Struct, frozen=True)` is the way here")
    return found


def undefined_bounds(package: Package) -> list[str]:
    """Names ending in `_MAX` that base/limits.py does not define: a bound of its own somewhere else."""
    top = next(iter(package)).partition(".")[0]
    limits = package.get(f"{top}.base.limits")
    defined = set()
    for statement in limits.tree.body if limits else []:
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        else:
            targets = [statement.target] if isinstance(statement, ast.AnnAssign) else []
        defined |= {target.id for target in targets if isinstance(target, ast.Name)}
    found = []
    for module in package.values():
        for node in ast.walk(module.tree):
            name = _name_in(node)
            if name and BOUND.fullmatch(name) and name not in defined:
                found.append(f"{module.name}:{getattr(node, 'lineno', '?')} {name} is not in base/limits.py")
    return found


def _name_in(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
            return name
    return ""
