from __future__ import annotations

import sys

import pytest

from perceptrain_core.engine.uncaught import report_uncaught


def test_a_process_that_joins_several_groups_reports_once(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, place: printed.append(error))
    report_uncaught()
    hook = sys.excepthook
    report_uncaught()
    assert sys.excepthook is hook
    error = ValueError("bad data")
    sys.excepthook(ValueError, error, None)
    assert printed == [error]
