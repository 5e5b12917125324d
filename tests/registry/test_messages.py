from __future__ import annotations

import importlib
import sysconfig

import pytest

from perceptrain_core.registry.messages import failure, one_line, raised_in


def test_one_line_names_the_type_and_stays_on_its_line():
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert one_line(SystemExit()) == "SystemExit"
    assert len(one_line(ValueError("x" * 10_000))) < 400


def test_a_failure_of_an_installed_package_names_its_line(site, monkeypatch):
    known = sysconfig.get_path  # as if pip had put it there
    monkeypatch.setattr(
        sysconfig, "get_path", lambda name: str(site.root) if name == "purelib" else known(name)
    )
    (site.root / "acme").mkdir()
    (site.root / "acme" / "__init__.py").write_text("")
    (site.root / "acme" / "losses.py").write_text("import json\n\njson.loads('{')\n")
    with pytest.raises(ValueError, match="Expecting") as caught:
        importlib.import_module("acme.losses")
    assert "losses.py" not in raised_in(caught.value)
    assert failure(caught.value, "acme.losses:good").endswith("(char 1) (losses.py, line 3)")
