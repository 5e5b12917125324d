"""A note that says where in another process an error was raised."""

from __future__ import annotations

from collections.abc import Iterator
from traceback import StackSummary, extract_tb

from perceptrain_core.errors import PerceptrainError
from perceptrain_core.registry.messages import one_line, own_frames


def error_note(error: BaseException, rank: int) -> str:
    """Return the process of an error, the frames of the user's code, and its causes.

    The error itself is not repeated. An error of this library explains itself; any other without
    frames of the user has the frames of all code.
    """
    lines = "".join(_frames(error))
    for cause in _causes(error):
        own = own_frames(extract_tb(cause.__traceback__))
        lines += f"Caused by {one_line(cause)}\n{''.join(StackSummary.from_list(own).format())}"
    return f"In process {rank}:\n{lines}".rstrip() if lines else f"In process {rank}."


def _frames(error: BaseException) -> list[str]:
    frames = extract_tb(error.__traceback__)
    shown = own_frames(frames)
    if not isinstance(error, PerceptrainError):
        if not shown:
            shown = [*frames]
        elif shown[-1] is not frames[-1]:
            shown.append(frames[-1])  # where a library raised it
    return StackSummary.from_list(shown).format()


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    while True:
        context = None if error.__suppress_context__ else error.__context__
        cause = error.__cause__ or context
        if cause is None or id(cause) in seen:
            return
        seen.add(id(cause))
        yield cause
        error = cause
