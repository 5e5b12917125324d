"""The line of the user's code that changes a value."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any


def changed_line(path: str, owner: Any) -> str:
    """Return where code changes a value, to put behind its path.

    Args:
        path: The path of the value, as messages show it: ``loss.calls``, ``loss.log[0]``, or
            ``the global variable 'calls' of module``.
        owner: The object or function that has it.

    Returns:
        ``" (losses.py, line 3)"``; empty if the line is not known, as with C code.
    """
    name = _name(path)
    code = owner if inspect.isroutine(owner) else type(owner)
    code = inspect.unwrap(code) if inspect.isroutine(code) else code
    try:
        lines, start = inspect.getsourcelines(code)
        tree = ast.parse(dedent("".join(lines)))
        file = inspect.getsourcefile(code)
    except (OSError, TypeError, SyntaxError):
        return ""
    found = [node.lineno for node in _statements(tree) if _changes(node, name)]
    return f" ({Path(str(file)).name}, line {start + found[0] - 1})" if found else ""


def _name(path: str) -> str:
    quoted = re.match(r"the [a-z ]*variable '(\w+)'", path)
    return quoted[1] if quoted else path.partition("[")[0].rpartition(".")[2]


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield all statements, except those of constructors."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef) and node.name in ("__init__", "__post_init__"):
            continue
        if isinstance(node, ast.stmt):
            yield node
        yield from _statements(node)


def _changes(node: ast.stmt, name: str) -> bool:
    """Whether a statement assigns to a name, an attribute or an item of it, or calls its method."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = node.value.func
        return isinstance(called, ast.Attribute) and _is_named(called.value, name)
    if isinstance(node, ast.Assign):
        return any(_is_named(target, name) for target in node.targets)
    return isinstance(node, ast.AugAssign) and _is_named(node.target, name)


def _is_named(node: ast.AST, name: str) -> bool:
    while isinstance(node, ast.Subscript):
        node = node.value
    label = node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)
    return label == name
