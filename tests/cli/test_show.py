from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from perceptrain_core.losses.huber import huber_loss

from .conftest import HEAD, invoke, losses

OBJECTS = (
    HEAD
    + '''
import functools

def scaled(batch, model, *, scale, power: "int" = 2, **others):
    """Scale it."""

class Thing:
    """A thing."""
    def __call__(self, batch, model): ...

@hookimpl
def perceptrain_losses():
    return [
        Spec("part", functools.partial(scaled, power=3)),
        Spec("thing", Thing()),
        Spec("compiled", max),
    ]
'''
)


def test_a_function():
    result = invoke("show", "loss", "huber")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    file, line = inspect.getsourcefile(huber_loss), inspect.getsourcelines(huber_loss)[1]
    assert lines[0] == "loss huber"
    assert lines[1].startswith("Huber loss")
    assert lines[3] == "Qualified name  perceptrain-core/huber"
    assert lines[4].startswith("From            perceptrain-core ")
    assert lines[5] == "Target          perceptrain_core.losses.huber:huber_loss"
    assert lines[6] == f"Source          {file}:{line}"
    assert lines[8].split() == ["OPTION", "TYPE", "DEFAULT"]
    assert lines[9].split() == ["delta", "float", "1.0"]
    assert inspect.getdoc(huber_loss).replace("`", "") in result.stdout


def test_the_allowed_values_are_shown_instead_of_type_aliases():
    lines = invoke("show", "metric", "f1").stdout.splitlines()
    assert any("'micro' | 'macro' | 'weighted' | 'none'" in line for line in lines)
    assert any("'binary' | 'multiclass' | 'multilabel' | None" in line for line in lines)
    assert not any("`" in line for line in lines)


def test_the_kind_may_be_left_out_if_one_kind_has_the_name():
    assert invoke("show", "huber").stdout == invoke("show", "loss", "huber").stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["grad_weighted"], "'perceptrain show loss grad_weighted' or "),
        (["hubr"], "No kind has the name 'hubr'. Did you mean 'huber'?"),
        (["loss"], "'show loss' lacks a name"),
        (["./my.py:fancy"], "lacks the kind"),
    ],
)
def test_a_name_alone_that_is_not_enough(args, message):
    result = invoke("show", *args)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_class_as_json_by_the_plural_and_the_qualified_name():
    result = invoke("show", "optimizers", "perceptrain-core/sgd", "--json")
    facts = json.loads(result.stdout)
    assert (facts["kind"], facts["qualified_name"]) == ("optimizer", "perceptrain-core/sgd")
    assert facts["target"] == "torch.optim:SGD"
    assert Path(facts["file"]).name == "sgd.py"
    assert facts["options"][0]["name"] == "lr"
    assert facts["options"][1] == {
        "name": "momentum",
        "type": "float",
        "default": "0",
        "required": False,
    }
    assert facts["doc"]


@pytest.mark.slow
def test_objects_partials_and_what_is_compiled(site):
    site.plugin("odd", OBJECTS)
    part = json.loads(site.run("show", "loss", "part", "--json").stdout)
    assert [(o["name"], o["type"], o["default"], o["required"]) for o in part["options"]] == [
        ("scale", None, None, True),
        ("power", "int", "3", False),
        ("**others", None, None, False),
    ]
    assert (part["doc"], Path(part["file"]).name, part["line"]) == ("Scale it.", "odd.py", 5)
    assert "scale           (required)" in site.run("show", "loss", "part").stdout
    thing = site.run("show", "loss", "thing").stdout
    assert "No options.\n\nA thing.\n" in thing
    compiled = site.run("show", "loss", "compiled").stdout
    assert "Source          not available" in compiled
    assert "The options cannot be read." in compiled


def test_a_reference_to_a_file(site):
    (site.root / "my.py").write_text("print('hi')\ndef fancy(batch, model, *, a: int): 'Fancy.'\n")
    done = site.run("show", "loss", "./my.py:fancy")
    assert done.returncode == 0
    assert done.stdout.startswith("loss ./my.py:fancy\n\nQualified name  ./my.py:fancy\n")
    assert "From            a reference, not a plugin\n" in done.stdout
    assert done.stderr == "hi\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("los", "mse"), "There is no kind 'los'. Did you mean 'loss'"),
        (("loss", "hubert"), "There is no loss 'hubert'. Did you mean 'huber'?"),
    ],
)
def test_a_wrong_name_is_a_wrong_call(args, message):
    result = invoke("show", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {message}")
    assert "Traceback" not in result.stderr


def test_an_ambiguous_name_is_a_wrong_call(site):
    for name in ("one", "two"):
        site.plugin(name, losses("Spec('dice', 'x:y')"))
    done = site.run("show", "loss", "dice")
    assert done.returncode == 2
    assert (
        done.stderr
        == "Error: Several plugins offer a loss 'dice': write 'one/dice' or 'two/dice'.\n"
    )


def test_a_target_that_cannot_be_imported_is_a_failure_and_debug_shows_where(site):
    site.plugin("good", losses("Spec('dice', 'missing_module:dice')"))
    done = site.run("show", "loss", "dice")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: The loss 'dice' of good 1.0 cannot be loaded: ")
    assert done.stderr.count("\n") == 1
    done = site.run("--debug", "show", "loss", "dice")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" in done.stderr
    assert "ModuleNotFoundError" in done.stderr


def test_a_broken_plugin_is_told_of_only_where_it_may_matter(site):
    site.plugin("broken", "import no_such_module\n")
    assert site.run("show", "tracker", "none").stderr == ""
    stderr = site.run("show", "tracker", "nine").stderr
    assert stderr.startswith("Error: There is no tracker 'nine'. Did you mean 'none'?")
    assert stderr.count("The plugin broken 1.0 failed") == 1
