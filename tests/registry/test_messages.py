from __future__ import annotations

from perceptrain_core.registry.messages import one_line


def test_one_line_names_the_type_and_stays_on_its_line():
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert one_line(SystemExit()) == "SystemExit"
    assert len(one_line(ValueError("x" * 10_000))) < 400
