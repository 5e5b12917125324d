"""Building blocks of error messages: lists of names, one-line reasons, places."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from perceptrain_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from traceback import FrameSummary

_LONGEST = 300
_PLACE = "_perceptrain_place"
_SHOWN = 40


def listed(names: Collection[str]) -> str:
    """Join names with commas; a long list is cut, as in ``"a, b and 7 more"``."""
    if not names:
        return "none"
    more = len(names) - _SHOWN
    return ", ".join(islice(names, _SHOWN)) + (f" and {more} more" if more > 0 else "")


def not_installed(distributions: Sequence[str], installed: Collection[str]) -> str:
    """Return a message that no plugin has one of these names, with the installed plugins."""
    return (
        f"no plugin {' or '.join(map(repr, distributions))} is installed."
        f"{did_you_mean(distributions[0], installed)} "
        f"Installed plugins: {listed(sorted(set(installed)))}."
    )


def sentence(text: str) -> str:
    """Capitalize the first letter of a text."""
    return text[:1].upper() + text[1:]


def raised_in(error: BaseException) -> str:
    """Return the place in the user's own code that an error came from.

    Returns:
        The innermost place outside this package, Python and the installed packages, as
        ``" (losses.py, line 3)"``; empty if there is none.
    """
    if (kept := getattr(error, _PLACE, None)) is not None:
        return str(kept)
    from pathlib import Path
    from traceback import extract_tb  # slow, and only needed for an error

    for place in reversed(own_frames(extract_tb(error.__traceback__))):
        path = Path(place.filename)
        if path.is_file():
            return f" ({path.name}, line {place.lineno})"
    return ""


def failure(error: BaseException, module: str) -> str:
    """Return what went wrong in a module, where, and which package is missing.

    Args:
        error: What the module raised.
        module: Its name. The place is the innermost one in its package, even if it is an installed
            one; or else in the user's own code.

    Returns:
        One line, as ``"ModuleNotFoundError: No module named 'umap' (losses.py, line 3): ..."``.
    """
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    advice = ""
    if missing is not None:
        advice = f": install the package that contains {missing.partition('.')[0]!r}"
    return f"{one_line(error)}{_raised_in_package(error, module)}{advice}"


def _raised_in_package(error: BaseException, module: str) -> str:
    from pathlib import Path
    from traceback import walk_tb  # slow, and only needed for an error

    if isinstance(error, SyntaxError):  # its message has the place
        return ""
    package = module.partition(":")[0].partition(".")[0]
    for frame, line in reversed(list(walk_tb(error.__traceback__))):
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package:
            return f" ({Path(frame.f_code.co_filename).name}, line {line})"
    return raised_in(error)


def own_frames(frames: Iterable[FrameSummary]) -> list[FrameSummary]:
    """Return the frames in the user's own code: outside this package, Python and installed ones."""
    import sysconfig
    from pathlib import Path

    others = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    others += [sysconfig.get_path("scripts"), str(Path(__file__).parents[1])]
    return [
        frame
        for frame in frames
        if not frame.filename.startswith("<frozen ")
        and not any(Path(frame.filename).is_relative_to(folder) for folder in others)
    ]


def keep_place(error: BaseException) -> None:
    """Keep the place that `raised_in` finds in an error that goes to another process.

    The traceback stays here.
    """
    vars(error)[_PLACE] = raised_in(error)


def one_line(error: BaseException) -> str:
    """Return the type and message of an error as one line."""
    text = " ".join(str(error).split())
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} ..."
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind
