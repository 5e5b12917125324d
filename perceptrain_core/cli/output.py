"""Output of the commands: results to stdout, everything else to stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from perceptrain_core.errors import (
    AmbiguousNameError,
    ConfigError,
    OptionError,
    PerceptrainError,
    PluginSelectionError,
    UnknownNameError,
)
from perceptrain_core.registry.messages import raised_in

#: Exit codes.
GOOD, FAILED, WRONG_CALL = 0, 1, 2

#: Errors that exit with WRONG_CALL: the command line or the run file must be corrected.
_WRONG_CALLS = (
    AmbiguousNameError,
    ConfigError,
    OptionError,
    PluginSelectionError,
    UnknownNameError,
)
#: A space at which no line is broken; written as a plain one.
TIE = "\u00a0"
_GAP = "  "
_NARROWEST = 24


def write_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write aligned columns.

    In a terminal, the last column is wrapped to fit the width, or comes below the others if there
    is too little room beside them; otherwise each row is one line.

    Args:
        headers: The names of the columns.
        rows: The cells, as many in each row as there are columns.
    """
    lines = [tuple(headers), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)][:-1]
    indent = sum(widths) + len(_GAP) * len(widths)
    longest, room = max(len(line[-1]) for line in lines), _terminal_width() - indent
    below = room < min(longest, _NARROWEST) and _terminal_width() > _NARROWEST
    for line in lines:
        first = "".join(
            f"{cell:{width}}{_GAP}" for cell, width in zip(line[:-1], widths, strict=True)
        )
        if below:
            print("\n".join([first.rstrip(), *(f"    {text}" for text in _wrapped(line[-1], 4))]))
        else:
            print((first + f"\n{' ' * indent}".join(_wrapped(line[-1], indent))).rstrip())


def fits(lines: Iterable[Sequence[str]]) -> bool:
    """Whether a table fits the width of the terminal without wrapping; true without one."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    width = _terminal_width()
    return not width or sum(widths) + len(_GAP) * (len(widths) - 1) <= width


def write_text(text: str) -> None:
    """Write a paragraph; in a terminal, its lines fit the width."""
    print("\n".join(_wrapped(text, 0)))


def _wrapped(text: str, indent: int) -> list[str]:
    width = _terminal_width() - indent
    if width < 1:
        return [text.replace(TIE, " ")]
    import textwrap  # needed only in a terminal

    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace(TIE, " ") for line in lines] or [""]


def _terminal_width() -> int:
    """Return the width of the terminal, which the user may set as COLUMNS; 0 without one."""
    try:
        if sys.stdout.isatty() and os.environ.get("COLUMNS", "").isdecimal():
            return int(os.environ["COLUMNS"])
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):  # a pipe, a file, or a stream without a file number
        return 0


def write_json(value: Any) -> None:
    """Write JSON, and nothing else, to stdout."""
    import json

    print(json.dumps(value, indent=2))


def note(text: str) -> None:
    """Write a diagnostic to stderr."""
    print(text, file=sys.stderr)


@contextlib.contextmanager
def foreign_code() -> Iterator[None]:
    """Redirect what plugins print to stderr; stdout is for the results of the command."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def one_line_warnings() -> Iterator[None]:
    """Show each warning as one line, without the source line that issued it."""
    import warnings

    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: note(
            f"Warning: {' '.join(str(message).split())}"
        )
        yield


def report(error: Exception, *, debug: bool) -> int:
    """Report an error to the user.

    Args:
        error: The exception that a command raised.
        debug: Show the traceback too.

    Returns:
        The exit code.
    """
    if debug:
        import traceback

        traceback.print_exception(error)
        return _code(error)
    hints = [hint for hint in getattr(error, "__notes__", ()) if "Traceback" not in hint]
    if isinstance(error, PerceptrainError):
        note("\n".join([f"Error: {error}", *hints]))
    else:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        lines = [f"Unexpected error{raised_in(error)}: {reason}", *hints]
        note("\n".join([*lines, "Run 'perceptrain --debug ...' to see the traceback."]))
    return _code(error)


def _code(error: Exception) -> int:
    return WRONG_CALL if isinstance(error, _WRONG_CALLS) else FAILED


def report_usage(error: Any) -> int:
    """Report a usage error found by typer, and return the exit code."""
    note(f"Error: {error.format_message()}")
    if "extra argument" in error.format_message() and "=" in error.format_message():
        note("To override a value of the run file, write --set TABLE.KEY=VALUE.")
    if error.ctx is not None:
        note(f"Run '{error.ctx.command_path} --help' for usage.")
    return int(error.exit_code)
