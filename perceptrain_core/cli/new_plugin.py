"""``perceptrain new-plugin NAME``: create a plugin that installs and passes its tests."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer

_PREFIX = "perceptrain-"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

#: The files of a plugin and their templates; ``$module`` is replaced by the package name.
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "$module/__init__.py": "__init__.py",
    "$module/losses.py": "losses.py",
    "$module/py.typed": None,
    "tests/test_$module.py": "test_plugin.py",
}


def new_plugin(
    name: Annotated[str, typer.Argument(help="The name of the plugin, such as robust-losses.")],
    folder: Annotated[
        Path, typer.Option("--dir", help="The folder in which to create it.")
    ] = Path(),
) -> None:
    """Create a plugin with one loss and its tests, ready to install and extend."""
    distribution = _PREFIX + _checked(name)
    root = folder / distribution
    if root.exists() and any(root.iterdir() if root.is_dir() else [root]):
        from perceptrain_core.errors import ConfigError

        raise ConfigError(
            f"{root} already exists; nothing was written. Choose another name, or another folder "
            "with --dir."
        )
    write_plugin(root, distribution)
    print(f"Wrote {root}. To try it:\n")
    print(f'  pip install --editable "{root}[test]"')
    print(f"  pytest {root}")
    print(f"  perceptrain check-plugin {distribution}")


def write_plugin(root: Path, distribution: str) -> None:
    """Write the files of a plugin.

    Args:
        root: Its folder, created if missing.
        distribution: The name of the distribution, "perceptrain-robust-losses".
    """
    from importlib.resources import files  # slow to import, and listings do not need it

    module = distribution.replace("-", "_")
    values = {"distribution": distribution, "module": module, "name": _loss_name(distribution)}
    templates = files("perceptrain_core.cli") / "plugin_template"
    for target, source in _FILES.items():
        path = root / Template(target).substitute(values)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (templates / f"{source}.template").read_text(encoding="utf-8") if source else ""
        path.write_text(Template(text).substitute(values), encoding="utf-8")


def _checked(name: str) -> str:
    short = re.sub(r"[._-]+", "-", name.strip().lower()).removeprefix(_PREFIX)
    if _NAME.fullmatch(short) and short != "core":
        return short
    from perceptrain_core.errors import ConfigError

    raise ConfigError(
        f"{name!r} is not a valid plugin name; expected letters and digits separated by single "
        f"dashes, such as robust-losses, which becomes {_PREFIX}robust-losses."
    )


def _loss_name(distribution: str) -> str:
    """Return a name for the loss, after the plugin, so that it differs from built-in names."""
    from perceptrain_core.registry import registry

    name = distribution.removeprefix(_PREFIX).replace("-", "_")
    return f"{name}_loss" if name in registry().losses else name
