"""The house rules on words (front pages, docstrings, marks, names), and on sets taken in order."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.support.tidy import Module, Package, below_host

BACKTICKED = re.compile(r"`([A-Za-z_][\w.]*)`")
MARKS = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b|type:\s*ignore|pragma:\s*no cover")
# Somebody's home, or a temporary name that two runs would share.
MACHINE_PATHS = re.compile(r"(?<![\w.~}])/(home|root|Users|work|tmp)/\w")
ORDERS = frozenset("assign assigned assignment assigner elect elected election elector".split())

SET_NAMES = ("set", "frozenset")
SET_TYPES = ("set", "frozenset", "Set", "AbstractSet", "MutableSet")
SET_METHODS = ("union", "intersection", "difference", "symmetric_difference")
# Calls that hand on the order in which they take: with a set inside, the result differs from run to run.
ORDER_KEEPERS = (
    "list",
    "tuple",
    "iter",
    "enumerate",
    "map",
    "filter",
    "zip",
    "reversed",
    "dict",
    "next",
    "join",
    "fromkeys",
    "extend",
)
# With a key, items that tie stand in the order in which the set gave them.
KEYED_SORTERS = ("sorted", "min", "max")
FRONT_PAGE_NAMES_MIN = 3


def thin_front_pages(package: Package) -> list[str]:
    """Folders without a front page that names, in backticks, three things which do stand in the folder."""
    found = []
    folders = sorted({module.folder for module in package.values()})
    for folder in folders:
        page = package.get(folder)
        if page is None or not page.is_front_page:
            found.append(f"{folder} has no front page (__init__.py)")
            continue
        known = _names_in_folder(folder, package)
        named = {name for name in BACKTICKED.findall(ast.get_docstring(page.tree) or "")}
        there = {name for name in named if name.rpartition(".")[2] in known}
        if len(there) < FRONT_PAGE_NAMES_MIN:
            found.append(
                f"{folder}: its front page names {sorted(there)}, {FRONT_PAGE_NAMES_MIN} needed"
                + (f"; not found: {sorted(named - there)}" if named - there else "")
            )
    return found


def _names_in_folder(folder: str, package: Package) -> set[str]:
    known = set()
    for module in package.values():
        if module.name == folder or module.name.startswith(folder + "."):
            known.add(module.name.rpartition(".")[2])
            known |= set(module.name.removeprefix(folder).strip(".").split("."))
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    known.add(node.name)
    return known


def undocumented(package: Package) -> list[str]:
    """Public modules, classes, functions and methods without a docstring."""
    found = []
    for module in package.values():
        if not ast.get_docstring(module.tree):
            found.append(f"{module.name} has no docstring")
        for name, node in _public(module.tree.body, ""):
            if not ast.get_docstring(node):
                found.append(f"{module.name}:{node.lineno} {name} has no docstring")
    return found


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _public(body: list[ast.stmt], owner: str) -> Iterator[tuple[str, Definition]]:
    for node in body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
        # The text of an overload, an override or a setter stands at the definition that it belongs to.
        if any(d.endswith((".setter", ".deleter", "overload", "override")) for d in decorators):
            continue
        yield owner + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from _public(node.body, f"{node.name}.")


def marks_left(package: Package) -> list[str]:
    """Marks of unfinished work, and comments that silence a checker."""
    return [
        f"{module.name}:{number} {match.group()}"
        for module in package.values()
        for number, line in enumerate(module.text.splitlines(), 1)
        if (match := MARKS.search(line))
    ]


def machine_paths(texts: dict[str, str]) -> list[str]:
    """Absolute paths of somebody's machine in any text, given as {name: text}."""
    return [
        f"{name}:{number} {match.group()}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if (match := MACHINE_PATHS.search(line))
    ]


def words_of(name: str) -> set[str]:
    """Return the lower-case words of a name in any of the usual spellings."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def orders_given(package: Package) -> list[str]:
    """Classes, members and constants named after assigning or electing: no device is told what to do.

    Behaviour: 13.5.
    """
    found = []
    for module in package.values():
        for node in ast.walk(module.tree):
            for name in _record_names(node):
                if words_of(name) & ORDERS:
                    found.append(f"{module.name}:{getattr(node, 'lineno', '?')} {name}")
    return found


def _record_names(node: ast.AST) -> Iterator[str]:
    """Yield what could name a record or a message: classes, fields, constants, and their texts."""
    if isinstance(node, ast.ClassDef):
        yield node.name
        yield from (
            str(keyword.value.value) for keyword in node.keywords if isinstance(keyword.value, ast.Constant)
        )
    if isinstance(node, ast.ClassDef | ast.Module):
        for statement in node.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name), *_], value=value):
                    yield name
                case ast.AnnAssign(target=ast.Name(id=name), value=value):
                    yield name
                case _:
                    continue
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value


def sets_iterated(package: Package) -> list[str]:
    """Below host/: loops, comprehensions and calls that take the items of a set one after another."""
    return [line for module in below_host(package) for line in _sets_iterated_in(module)]


def _sets_iterated_in(module: Module) -> Iterator[str]:
    attributes = {
        node.target.id
        for owner in ast.walk(module.tree)
        if isinstance(owner, ast.ClassDef)
        for node in owner.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and _is_set_type(node.annotation)
    }
    everywhere: set[str] = set()  # the module's own names; its scope comes first
    for scope, nodes in _scopes(module.tree):
        names = everywhere | _set_names(scope, nodes)
        everywhere = names if scope is module.tree else everywhere
        for node in nodes:
            for taken in _taken_in_order(node):
                if _is_set(taken, names, attributes):
                    what = ast.unparse(taken)[:60]
                    yield f"{module.name}:{taken.lineno} takes a set's items in order: {what}"


def _scopes(tree: ast.Module) -> Iterator[tuple[ast.AST, list[ast.AST]]]:
    """Yield each function (and the module) with the nodes that are its own."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for scope in [tree, *(node for node in ast.walk(tree) if isinstance(node, functions))]:
        own: list[ast.AST] = []
        waiting = list(ast.iter_child_nodes(scope))
        while waiting:
            node = waiting.pop()
            own.append(node)
            if not isinstance(node, functions):
                waiting.extend(ast.iter_child_nodes(node))
        yield scope, own


def _set_names(scope: ast.AST, nodes: list[ast.AST]) -> set[str]:
    names = set()
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = scope.args.posonlyargs + scope.args.args + scope.args.kwonlyargs
        names |= {a.arg for a in arguments if a.annotation and _is_set_type(a.annotation)}
    for node in nodes:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if _is_set_type(annotation):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_set(value, set(), set()):
                names.add(name)
    return names


def _is_set_type(annotation: ast.expr) -> bool:
    return re.split(r"[\[.]", ast.unparse(annotation).strip("'\""))[0] in SET_TYPES


def _is_set(node: ast.expr, names: set[str], attributes: set[str]) -> bool:
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Name(id=name):
            return name in names
        case ast.Attribute(value=ast.Name(id="self"), attr=attr):
            return attr in attributes
        case ast.Call(func=ast.Name(id=name)) if name in SET_NAMES:
            return True
        case ast.Call(func=ast.Attribute(value=owner, attr=attr)):
            return attr in SET_METHODS + ("copy",) and _is_set(owner, names, attributes)
        case ast.BinOp(left=left, right=right, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
            return _is_set(left, names, attributes) or _is_set(right, names, attributes)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_set(body, names, attributes) or _is_set(orelse, names, attributes)
    return False


def _taken_in_order(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.For(iter=taken) | ast.AsyncFor(iter=taken) | ast.comprehension(iter=taken):
            yield taken
        case ast.Starred(value=taken) | ast.YieldFrom(value=taken):
            yield taken
        case ast.Assign(targets=[ast.Tuple() | ast.List()], value=taken):
            yield taken
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in ORDER_KEEPERS:
            yield from args
        case ast.Call(func=ast.Name(id=name), args=[taken], keywords=[_, *_]) if name in KEYED_SORTERS:
            yield taken
        case ast.Call(func=ast.Attribute(value=owner, attr="pop"), args=[]):
            yield owner
