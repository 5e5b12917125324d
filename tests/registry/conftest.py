"""Fake installations: folders with modules and dist-info, as pip would leave them."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from perceptrain_core.registry import Registry

HEAD = "from perceptrain_core.registry import Spec, hookimpl\n"


def losses(*names: str, target: str = "math:sqrt") -> str:
    """The source of a plugin module that offers losses."""
    specs = ", ".join(f"Spec({name!r}, {target!r}, 'The {name} loss.')" for name in names)
    return f"{HEAD}@hookimpl\ndef perceptrain_losses():\n    return [{specs}]\n"


class Site:
    """A folder on ``sys.path`` into which a test installs what it needs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(exist_ok=True)

    def module(self, name: str, source: str) -> Path:
        path = self.root / f"{name}.py"
        path.write_text(textwrap.dedent(source))
        importlib.invalidate_caches()
        return path

    def distribution(
        self,
        name: str,
        version: str = "1.0",
        *,
        entry_points: str | bytes | None = None,
        metadata: str | None = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    ) -> Path:
        folder = self.root / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        if metadata is not None:
            (folder / "METADATA").write_text(metadata.format(name=name, version=version))
        if isinstance(entry_points, bytes):
            (folder / "entry_points.txt").write_bytes(entry_points)
        elif entry_points is not None:
            (folder / "entry_points.txt").write_text(entry_points)
        importlib.invalidate_caches()
        return folder

    def plugin(self, name: str, source: str, version: str = "1.0") -> None:
        module = name.replace("-", "_").lower()
        self.module(module, source)
        self.distribution(name, version, entry_points=f"[perceptrain]\nmain = {module}\n")

    def registry(self, **environ: str) -> Registry:
        return Registry(path=[self.root], environ=environ)


@pytest.fixture(autouse=True)
def _forget_modules() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if "pytest-" in file:
            del sys.modules[name]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(site.root)
    return site
