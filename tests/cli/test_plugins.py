from __future__ import annotations

import json

import pytest

from .conftest import HEAD, invoke, losses

TWO = losses("Spec('a', 'x:y')", "Spec('b', 'x:y')") + (
    "@hookimpl\ndef perceptrain_models(): return [Spec('m', 'x:y')]\n"
)
HALF = losses("Spec('c', 'x:y')") + "@hookimpl\ndef perceptrain_modles(): return []\n"


def test_the_built_ins_are_well():
    result = invoke("plugins")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith("perceptrain-core  ")


def test_each_plugin_is_a_row_with_its_state(site):
    site.plugin("good", TWO, "3.1")
    site.plugin("half", HALF)
    site.plugin("broken", "1 / 0\n")
    site.plugin("blocked", HEAD)
    done = site.run("plugins", PERCEPTRAIN_PLUGINS="-blocked")
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert done.returncode == 1
    assert done.stderr == ""
    assert rows["DISTRIBUTION"][1:] == ["VERSION", "STATUS", "IMPORT", "PROVIDES"]
    assert rows["good"][1:3] == ["3.1", "ok"]
    assert rows["good"][4:] == ["ms", "2", "losses,", "1", "model"]
    assert rows["half"][2] == "failed"
    assert " ".join(rows["half"][5:]).startswith(
        "1 loss; perceptrain_modles: this hook does not exist"
    )
    assert rows["broken"][2] == "failed"
    assert "ZeroDivisionError: division by zero" in " ".join(rows["broken"])
    assert rows["blocked"][2:4] == ["blocked", "-"]


def test_one_plugin_shows_where_each_of_its_names_is(site):
    site.plugin("good", TWO, "3.1")
    site.plugin("other", losses("Spec('a', 'other:a', 'Another.')"))
    done = site.run("plugins", "Good")
    table, names = done.stdout.split("\n\n")
    assert done.returncode == 0
    assert [line.split()[0] for line in table.splitlines()] == ["DISTRIBUTION", "good"]
    assert [line.split() for line in names.splitlines()] == [
        ["KIND", "NAME", "TARGET", "SUMMARY"],
        ["loss", "b", "x:y"],
        ["loss", "good/a", "x:y"],  # the short name is contested
        ["model", "m", "x:y"],
    ]
    assert [
        plugin["version"] for plugin in json.loads(site.run("plugins", "good", "--json").stdout)
    ]
    unknown = site.run("plugins", "god")
    assert unknown.returncode == 2
    assert "No plugin 'god' is installed. Did you mean 'good'?" in unknown.stderr


def test_json(site):
    site.plugin("good", TWO, "3.1")
    site.plugin("broken", "print('hello')\n1 / 0\n")
    done = site.run("plugins", "--json")
    plugins = {plugin["distribution"]: plugin for plugin in json.loads(done.stdout)}
    core, broken, good = (plugins[name] for name in ("perceptrain-core", "broken", "good"))
    assert done.returncode == 1
    assert done.stderr == "hello\n"
    assert (core["distribution"], core["status"], core["error"]) == ("perceptrain-core", "ok", None)
    assert broken["error"] == "ZeroDivisionError: division by zero (broken.py, line 2)"
    assert good.pop("import_ms") > 0
    assert good == {
        "distribution": "good",
        "version": "3.1",
        "module": "good",
        "status": "ok",
        "error": None,
        "heavy": [],
        "provides": {"losses": ["a", "b"], "models": ["m"]},
    }


@pytest.mark.slow
def test_one_that_makes_every_listing_wait_is_flagged(site):
    """The first that brings a library along pays for it; a hook may do so, too."""
    site.plugin("eager", "import numpy\n" + losses("Spec('a', 'x:y')"))
    late = losses("Spec('b', 'x:y')").replace("    return", "    import torch\n    return")
    site.plugin("late", late)
    site.plugin("light", losses("Spec('c', 'x:y')"))
    lines = {line.split()[0]: line for line in site.run_fresh("plugins").stdout.splitlines()}
    assert lines["eager"].endswith("1 loss; imports numpy")
    assert lines["late"].endswith("1 loss; imports torch")
    assert lines["light"].endswith("1 loss")


def test_known_plugins_that_are_not_installed(tmp_path, monkeypatch):
    known = tmp_path / "available.json"
    plugin = {"distribution": "far", "description": "Far things.", "provides": {"losses": ["a"]}}
    core = {**plugin, "distribution": "perceptrain-core"}
    known.write_text(json.dumps([plugin, core]))
    monkeypatch.setattr("perceptrain_core.registry.available._FILE", known)
    result = invoke("plugins", "--available")
    command = "    pip install far, or from a clone: pip install ./plugins/far"
    lines = ["far", "    Far things.", "    losses: a", command, "", ""]
    assert (result.exit_code, result.stdout.split("\n")) == (0, lines)
    assert json.loads(invoke("plugins", "Far", "--available", "--json").stdout) == [plugin]
    assert (
        "No known plugin 'nearby' is missing." in invoke("plugins", "nearby", "--available").stderr
    )
