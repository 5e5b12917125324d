"""The generated pages are up to date, and complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pages import choose_loss, configuration, curves, everything, plugin_pages
from pages.curve_families import families
from pages.first_party import FirstParty
from pages.markdown import from_docstring, table


def test_what_is_generated_is_up_to_date() -> None:
    assert everything.outdated() == []


def test_every_name_of_this_repository_has_a_line() -> None:
    assert choose_loss.unlisted() == []


def test_a_task_begins_with_a_loss_and_shows_a_picture_of_its_own() -> None:
    names = {name for task in choose_loss.tasks() for name in task.names}
    for task in choose_loss.tasks():
        assert task.first in names
        assert not task.picture or task.picture in families()


def test_a_page_that_differs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everything, "texts", lambda: {"docs/new.md": "new", "LICENSE": "other"})
    found = everything.outdated()
    assert {"docs/new.md", "LICENSE"} <= set(found)
    assert "docs/configuration.md" in found  # a page that is not generated any more
    assert "docs/training.md" not in found


def test_a_curve_has_the_values_of_its_loss() -> None:
    """Against closed forms."""
    assert curves.value(("huber", {"delta": 0.5}), (curves.row(2), curves.row(0))) == 0.875
    (panel,) = families()["regression"]
    batch: Any = panel.batch
    assert [curves.value(panel.lines[n], batch(-1.5)) for n in ("mse", "l1")] == [2.25, 1.5]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer", "minimum": 1}, "integer, at least 1"),
        ({"anyOf": [{"type": "boolean"}, {"const": "strict"}]}, 'true or false or `"strict"`'),
        ({"type": "array", "items": {"type": "string"}}, "list of texts"),
        ({"enum": ["min", "max"]}, '`"min"`, `"max"`'),
    ],
)
def test_types_in_words(schema: dict[str, Any], text: str) -> None:
    assert configuration.type_text(schema) == text


def test_markdown() -> None:
    assert table(("a", "b"), [("x|y", "1\n2")]).splitlines()[2] == r"| x\|y | 1 2 |"
    assert from_docstring("Set ``a`` or `b`,\n  not c.") == "Set `a` or `b`, not c."


def test_links_of_a_readme_are_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = plugin_pages.ROOT / "plugins" / "perceptrain-physics"
    readme = (
        "[License](LICENSE), [training](../../docs/training.md#training), [web](https://a.b), "
        "[other](../perceptrain-quantum/README.md#use), [here](#use)"
    )
    plugin = FirstParty("perceptrain-physics", Path(folder), "", [], [], {}, readme)
    monkeypatch.setattr(plugin_pages, "first_party", lambda: (plugin,))
    assert plugin_pages.build()["docs/plugins/perceptrain-physics.md"] == (
        "License, [training](../training.md#training), [web](https://a.b), "
        "[other](perceptrain-quantum.md#use), [here](#use)"
    )
