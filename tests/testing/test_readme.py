"""The checks of a README."""

from __future__ import annotations

import os

import pytest

from perceptrain.errors import ConformanceError
from perceptrain.testing import check_readme

MODULE = """
def near(batch, model, *, scale=1.0, power=2): ...
class Far:
    def __init__(self, mode="mean"): ...
    def __call__(self, batch, model): ...
"""
PLUGIN = """
@hookimpl
def perceptrain_losses():
    return [
        Spec("near", "acme_losses:near", "Near."), Spec("far", "acme_losses:Far", "Far."),
    ]
"""
README = """
# Acme

![A picture](picture.png) and [a link](https://example.org), [a place](#names)

```python
import os
found = 1 + 1
print("found:", found, os.path.basename(os.getcwd()) != "acme")
```

```python
found += 1
```

```toml
[loss]
name = "far"
mode = "sum"
[data]
file = "data.csv"
```

| kind | name | class | options |
|---|---|---|---|
| loss | `near` | | `scale=1.0`, `power=2` |
| loss | `far` | `Far` | `mode="mean"` |
"""


@pytest.fixture
def readme(site):
    site.module("acme_losses", MODULE)
    site.plugin("acme", PLUGIN)
    (site.root / "picture.png").touch()
    path = site.root / "README.md"
    path.write_text(README)
    return path


def test_a_readme_that_is_true(readme):
    folder = os.getcwd()
    found = check_readme(readme, "acme", shared_options=())
    assert found.printed == "found: 2 True\n"
    assert found.namespace["found"] == 3
    assert found.run_files == (
        {"loss": {"name": "far", "mode": "sum"}, "data": {"file": "data.csv"}},
    )
    assert os.getcwd() == folder


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("`near`", "`neer`", "it lists the loss 'neer', which the plugin does not offer"),
        ("| loss | `near` | | `scale=1.0`, `power=2` |\n", "", "lists the loss 'near'"),
        ("`Far`", "`Near`", "it says that the loss 'far' is `Near`; it is `Far`"),
        ("`power=2`", "`power=3`", "the loss 'near' has power=2 by default, not 3"),
        ("`power=2`", "`powers=2`", "the loss 'near' has no option 'powers'"),
        (", `power=2`", "", "the row of the loss 'near' does not list the option 'power'"),
        ("picture.png", "gone.png", "it links to gone.png, which does not exist"),
        ('name = "far"', 'name = "fa"', "There is no loss 'fa'"),
        ('mode = "sum"', "modes = 1", "does not accept the option 'modes'"),
        ("found += 1", "found += x", "NameError: name 'x' is not defined (README.md, line 13)"),
    ],
)
def test_a_readme_that_is_wrong(readme, old, new, fault):
    readme.write_text(README.replace(old, new))
    with pytest.raises(ConformanceError) as caught:
        check_readme(readme, "acme", shared_options=())
    title, *lines = str(caught.value).splitlines()
    assert title == "The README of 'acme' is not correct."
    assert fault in "\n".join(lines)


def test_every_fault_is_listed(readme):
    readme.write_text(README.replace("`near`", "`neer`").replace("picture", "gone"))
    with pytest.raises(ConformanceError) as caught:
        check_readme(readme, "acme")
    assert len(str(caught.value).splitlines()) == 4


def test_code_may_run_shorter(readme):
    found = check_readme(readme, "acme", shorter={"found += 1": "found += 2"})
    assert found.namespace["found"] == 4
    with pytest.raises(ConformanceError, match="it has no code 'found -= 1', which is to run"):
        check_readme(readme, "acme", shorter={"found -= 1": "found -= 2"})


def test_options_may_be_left_out(readme):
    readme.write_text(README.replace(", `power=2`", ""))
    check_readme(readme, "acme")
    check_readme(readme, "acme", shared_options={"power"})
