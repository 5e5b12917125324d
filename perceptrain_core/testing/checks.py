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

from perceptrain_core.errors import ConformanceError, LossContractError
from perceptrain_core.random_state import kept_random_state
from perceptrain_core.registry.messages import one_line

#: Files of this library, of torch and NumPy, and of Python itself, not of the subject.
_OTHERS = re.compile(
    r"^<|perceptrain_core|site-packages.(torch|numpy)\W|\Wlib\Wpython3[^/]*\W(?!site-packages)"
)


class Check(NamedTuple):
    """The result of one check.

    Attributes:
        name: What the contract requires, ``"imports lightly"``.
        faults: What was observed instead, one line each; empty if the check passed.
        detail: What was observed, if it passed.
    """

    name: str
    faults: tuple[str, ...] = ()
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether there are no faults."""
        return not self.faults


def run_check(name: str, find: Callable[[Any], Iterator[str]], subject: Any) -> Check:
    """Run one check of a subject and collect its faults; an exception is a fault too."""
    faults: list[str] = []
    try:
        faults.extend(find(subject))
    except LossContractError as error:
        faults.append(str(error))
    except Exception as error:  # anything that the subject, or a copy of it, raises
        faults.append(f"it raised {one_line(error)}{_place(error)}")
    return Check(name, tuple(dict.fromkeys(faults)))


def _place(error: BaseException) -> str:
    """Return the place in the subject's code where an error was raised, if it was there."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _OTHERS.search(frame.filename)]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def require_all(
    subject: Any,
    label: str,
    kind: tuple[str, Callable[[Any], Iterator[str]]],
    checks: Mapping[str, Callable[[Any], Iterator[str]]],
) -> None:
    """Run the checks of a subject and raise if any failed; stop if it is of the wrong kind.

    Args:
        subject: The object to check.
        label: Its name in messages.
        kind: The name and the function of the first check.
        checks: The other checks by name.

    Raises:
        ConformanceError: A check failed; the message lists every fault.
    """
    with kept_random_state(), temporary_folder():
        first = run_check(*kind, subject)
        others = {} if first.faults else checks
        results = [first, *(run_check(name, find, subject) for name, find in others.items())]
    require(label, results)


@contextlib.contextmanager
def temporary_folder() -> Iterator[None]:
    """Change to a temporary working directory, which is removed on exit."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def stray_files() -> Iterator[str]:
    """Report and remove files in the working directory, which should be empty."""
    for path in sorted(Path.cwd().rglob("*")):
        if path.is_file():
            yield describe_stray(path)
            path.unlink()


def describe_stray(path: Path) -> str:
    """Describe a file outside the run folder."""
    return f"it wrote {path.name} outside the run folder, config.log_folder"


def require(
    subject: str, checks: Iterable[Check], verdict: str = "does not keep the contract"
) -> None:
    """Raise ConformanceError with every fault, if there are any."""
    seen: set[str] = set()
    lines = []
    for check in checks:
        new = [fault for fault in check.faults if fault not in seen]
        lines += [f"- {check.name}: {fault}" for fault in new]
        seen.update(new)  # one fault may fail several checks
    if lines:
        raise ConformanceError("\n".join([f"{subject} {verdict}.", *lines]))
