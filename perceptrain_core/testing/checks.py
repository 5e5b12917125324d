"""The result of a check, and the error that lists all faults at once."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from perceptrain_core.checkpoints.random_state import kept_random_state
from perceptrain_core.errors import ConformanceError, LossContractError
from perceptrain_core.registry.messages import one_line

#: Files that are not the subject's: of this library, of torch, of Python itself.
_OTHERS = re.compile(
    r"^<|perceptrain_core|site-packages.(torch|numpy)\W|\Wlib\Wpython3[^/]*\W(?!site-packages)"
)


class Check(NamedTuple):
    """What one check found.

    Attributes:
        name: What the contract asks, ``"imports lightly"``.
        faults: What was seen instead, a line each; none if it passed.
        detail: What was seen, if it passed.
    """

    name: str
    faults: tuple[str, ...] = ()
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def run_check(name: str, find: Callable[[Any], Iterator[str]], subject: Any) -> Check:
    """Collect the faults that are found in a subject; an error is one, too."""
    faults: list[str] = []
    try:
        faults.extend(find(subject))
    except LossContractError as error:
        faults.append(str(error))
    except Exception as error:  # whatever the subject, or a copy of it, raises
        faults.append(f"it raised {one_line(error)}{_place(error)}")
    return Check(name, tuple(dict.fromkeys(faults)))


def _place(error: BaseException) -> str:
    """Where in the subject an error was raised, if it was there."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _OTHERS.search(frame.filename)]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def require_all(
    subject: Any,
    label: str,
    kind: tuple[str, Callable[[Any], Iterator[str]]],
    checks: Mapping[str, Callable[[Any], Iterator[str]]],
) -> None:
    """Run checks of a subject, those after the first only if it is of the right kind.

    Args:
        subject: What is checked.
        label: What to call it.
        kind: The first check, by its name.
        checks: The others, by their names.

    Raises:
        ConformanceError: One found a fault; the message lists every fault.
    """
    with kept_random_state(), own_folder():
        first = run_check(*kind, subject)
        others = {} if first.faults else checks
        found = [first, *(run_check(name, find, subject) for name, find in others.items())]
    require(label, found)


@contextlib.contextmanager
def own_folder() -> Iterator[None]:
    """Work in a folder that is removed, so that nothing is left in somebody else's."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def strays() -> Iterator[str]:
    """Say which files lie in the working directory, where none should be, and remove them."""
    for path in sorted(Path.cwd().rglob("*")):
        if path.is_file():
            yield elsewhere(path)
            path.unlink()


def elsewhere(path: Path) -> str:
    """Say that a file is where none should be."""
    return f"it wrote {path.name} outside of the folder of the run, config.log_folder"


def require(
    subject: str, checks: Iterable[Check], verdict: str = "does not keep the contract"
) -> None:
    """Raise ConformanceError with every fault, if there is one."""
    seen: set[str] = set()
    lines = []
    for check in checks:
        new = [fault for fault in check.faults if fault not in seen]
        lines += [f"- {check.name}: {fault}" for fault in new]
        seen.update(new)  # one fault may trip up several checks
    if lines:
        raise ConformanceError("\n".join([f"{subject} {verdict}.", *lines]))
