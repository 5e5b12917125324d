"""Exports that are imported when they are first used; ``typed_exports.py`` checks their types."""

from __future__ import annotations

import builtins
import importlib
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = """
from perceptrain import Spec, hookimpl, lazy_exports

with lazy_exports(__name__):
    from lazy_package.parts import Part as Part
    from lazy_package.parts import helper as helper
    from .more import Other as Other
    from .more import value as renamed

VERSION = 1


def specs():
    return [Spec("part", Part), Spec("made", Part.make), Spec("other", Other)]
"""
PARTS = """
class Part:
    @classmethod
    def make(cls): return cls()
def helper(): ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    package = tmp_path / "lazy_package"
    package.mkdir()
    (package / "__init__.py").write_text(PACKAGE)
    (package / "py.typed").touch()
    (package / "parts.py").write_text(PARTS)
    (package / "more.py").write_text("class Other: ...\nvalue = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("lazy_package")]:
        del sys.modules[name]


def test_a_name_is_imported_when_it_is_used(folder: Path) -> None:
    original = builtins.__import__
    package = importlib.import_module("lazy_package")
    assert builtins.__import__ is original
    assert "lazy_package.parts" not in sys.modules
    assert {"Part", "helper", "Other", "renamed", "VERSION"} <= set(dir(package))
    assert package.__all__ == ["Other", "Part", "helper", "renamed"]
    assert "lazy_package.parts" not in sys.modules
    part = package.Part
    assert part.__module__ == "lazy_package.parts"
    assert package.Part is part
    assert package.renamed == 3
    assert package.VERSION == 1


def test_inside_the_package_a_name_is_a_target(folder: Path) -> None:
    package = importlib.import_module("lazy_package")
    targets = [spec.target for spec in package.specs()]
    assert targets == [
        "lazy_package.parts:Part",
        "lazy_package.parts:Part.make",
        "lazy_package.more:Other",
    ]
    assert "lazy_package.parts" not in sys.modules


def test_star_imports_and_pickles(folder: Path) -> None:
    names: dict[str, object] = {}
    exec("from lazy_package import *", names)
    assert set(names) - {"__builtins__"} == {"Other", "Part", "helper", "renamed"}
    part = names["Part"]
    assert pickle.loads(pickle.dumps(part)) is part
    assert type(pickle.loads(pickle.dumps(part()))) is part  # type: ignore[operator]


def test_a_wrong_name_is_an_attribute_error_with_a_hint(folder: Path) -> None:
    package = importlib.import_module("lazy_package")
    with pytest.raises(AttributeError, match="module 'lazy_package' has no attribute 'Prat'"):
        _ = package.Prat
    with pytest.raises(ImportError, match="cannot import name 'Prat' from 'lazy_package'"):
        exec("from lazy_package import Prat")
    code = "import lazy_package; lazy_package.Parts"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stderr.rstrip().endswith("has no attribute 'Parts'. Did you mean: 'Part'?")


def test_an_error_of_the_module_is_that_of_the_import(folder: Path) -> None:
    (folder / "lazy_package" / "more.py").write_text("import no_such_library\n")
    package = importlib.import_module("lazy_package")
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        _ = package.Other


@pytest.mark.parametrize("line", ["import math", "from math import *"])
def test_other_imports_are_refused(folder: Path, line: str) -> None:
    original = builtins.__import__
    (folder / "lazy_package" / "__init__.py").write_text(
        f"from perceptrain import lazy_exports\nwith lazy_exports(__name__):\n    {line}\n"
    )
    with pytest.raises(ImportError, match="only 'from module import name' can be lazy"):
        importlib.import_module("lazy_package")
    assert builtins.__import__ is original


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ("VERSION = 1", ["Part", "helper", "value"]),
        ("__all__ += ['VERSION']; VERSION = 1", ["Part", "VERSION", "helper", "value"]),
        ("__all__ = ['VERSION']; VERSION = 1", ["VERSION"]),
    ],
)
def test_a_second_block_exports_its_names_too(
    folder: Path, between: str, expected: list[str]
) -> None:
    (folder / "lazy_package" / "__init__.py").write_text(
        "from perceptrain import lazy_exports\n"
        "with lazy_exports(__name__):\n    from .parts import Part, helper\n"
        f"{between}\n"
        "with lazy_exports(__name__):\n    from .more import value\n"
    )
    package = importlib.import_module("lazy_package")
    assert package.__all__ == expected
    assert package.value == 3
