"""The pytest plugin: ``pytest --perceptrain-plugin NAME`` checks a plugin without a test file.

Pytest loads this module in every run, so it imports the conformance kit only if the option is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

_OPTION = "--perceptrain-plugin"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("perceptrain").addoption(
        _OPTION,
        action="append",
        default=[],
        metavar="DISTRIBUTION",
        help="Check an installed plugin of Perceptrain: a test for every check and every name. "
        "Can be repeated. Batches, models and options come from perceptrain_cases.py.",
    )


# First, so that -k, -m and --last-failed select among these tests too.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the tests of each plugin to those that pytest collected."""
    for distribution in config.getoption(_OPTION):
        node = _Node.from_parent(session, name=distribution, nodeid=distribution)
        items.extend(_tests(node, distribution))


def _tests(node: pytest.Collector, distribution: str) -> Iterator[pytest.Item]:
    from perceptrain_core.errors import UnknownNameError
    from perceptrain_core.registry import kind_of
    from perceptrain_core.testing import names
    from perceptrain_core.testing.checks import require
    from perceptrain_core.testing.plugin import InstalledPlugin

    try:
        plugin = InstalledPlugin(distribution)
        cases = names.load_cases(node.config.invocation_params.dir)
    except UnknownNameError as error:
        raise pytest.UsageError(str(error)) from None
    for name, run in plugin.checks().items():

        def check(run: Callable[[], Any] = run) -> None:
            require(f"The plugin {distribution!r}", [run()])

        yield _Test.from_parent(node, name=name.replace(" ", "_"), run=check)
    for entry in plugin.entries:
        own = _Node.from_parent(node, name=f"{kind_of(entry.kind).plural}/{entry.name}")
        check_name = partial(names.check_name, entry, cases)
        yield _Test.from_parent(own, name=names.name_of_check(entry), run=check_name)


class _Node(pytest.Collector):
    """A plugin, or one of its names."""

    def collect(self) -> list[pytest.Item]:
        return []  # pytest_collection_modifyitems adds the tests


class _Test(pytest.Item):
    """One check."""

    def __init__(self, *, run: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._run = run

    def runtest(self) -> None:
        from perceptrain_core.testing.names import MissingCaseError

        try:
            self._run()
        except MissingCaseError as error:
            pytest.skip(str(error))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from perceptrain_core.errors import PerceptrainError

        if isinstance(excinfo.value, PerceptrainError):  # says everything; a traceback would not
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, None, str]:
        distribution, _, test = self.nodeid.partition("::")
        return distribution, None, test
