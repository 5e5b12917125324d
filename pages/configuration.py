"""docs/configuration.md: every setting of `TrainConfig`, and every key of the run file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from pages.files import Files
from pages.markdown import code, from_docstring
from perceptrain_core.config import TrainConfig
from perceptrain_core.registry import kind_of
from perceptrain_core.runs.schema import attribute_texts, run_file_schema
from perceptrain_core.runs.tables import DataTable, RunFile

#: The settings of `TrainConfig` by what they are for. The order on the page is this one.
GROUPS = {
    "Length of a run": "max_iter max_steps max_time trainstop_criterion",
    "Data": "batch_size shuffle drop_last seed",
    "Validation": "val_every val_every_steps",
    "Step": "accumulate grad_clip grad_clip_value log_grad_norm ema on_nonfinite lr_scheduler",
    "Precision, memory and speed": (
        "precision dtype activation_checkpointing compile deterministic compute_setup"
    ),
    "Output": "verbose progress print_every live_plot_every",
    "Tracking": (
        "tracking_tool write_every plot_every plotting_functions hyperparams log_model log_setup"
    ),
    "Folders": "root_folder log_folder create_subfolder_per_run",
    "Checkpoints": (
        "checkpoint_every keep_checkpoints checkpoint_best_only checkpoint_monitor checkpoint_mode "
        "validation_criterion val_epsilon async_checkpoints checkpoint_format resume"
    ),
    "Callbacks": "callbacks",
    "Several processes": (
        "nprocs strategy shard_modules reshard_after_forward backend process_timeout "
        "all_reduce_metrics"
    ),
}
#: Types that the schema of a run file describes by long lists, or not at all.
TYPES = {
    "tracking_tool": "name of a tracker, or list of names",
    "lr_scheduler": "name, table with a name and options, or list",
    "shard_modules": "integer, or list of texts",
    "hyperparams": "table",
    "callbacks": "list of callbacks, names or tables",
    "plotting_functions": "tuple of functions",
    "validation_criterion": "function",
    "trainstop_criterion": "function",
}
#: Settings whose place in a run file is not `[train]`, or that it does not have.
PLACES = {
    "callbacks": "`[[callbacks]]`",
    "plotting_functions": "only in Python",
    "validation_criterion": "only in Python",
    "trainstop_criterion": "only in Python",
}
#: The tables of a run file that name something: the kind of the name, and an example.
NAMED = {
    "model": ("model", '[model]\nname = "ffnn"\nlayers = [4, 32, 1]'),
    "loss": ("loss", '[loss]\nname = "huber"\ndelta = 0.5'),
    "weighting": ("weighting", '[weighting]\nname = "relobralo"'),
    "optimizer": ("optimizer", '[optimizer]\nname = "adamw"\nlr = 1e-3'),
    "metrics": ("metric", '[metrics]\nf1 = {average = "macro"}'),
    "callbacks": ("callback", '[[callbacks]]\nname = "early_stopping"\npatience = 5'),
}
INTRO = """
# Configuration

A [`TrainConfig`][perceptrain.TrainConfig] has all settings of a training run. In Python, pass them
by name; in a [run file](run_files.md), write them under `[train]`; on the command line, change
them with `--set train.NAME=VALUE`. The names are the same everywhere.

```python
from perceptrain import TrainConfig

config = TrainConfig(max_iter=100, batch_size=32, val_every=10, seed=0)
```

```toml
# settings.toml
[train]
max_iter = 100
batch_size = 32
val_every = 10
seed = 0
```

Intervals are in epochs unless they say steps; 0 disables the action. An epoch is one pass over the
training data. A wrong value is an error that lists all faults at once. TOML has no `None`: leave
out the key instead. For what a run file says besides, see [the tables of a run
file](#tables-of-a-run-file).
"""


def build() -> Files:
    """Return the page."""
    schema = run_file_schema()["properties"]
    parts = [INTRO.strip(), *_settings(schema["train"]), *_tables(schema["data"])]
    return {"docs/configuration.md": "\n\n".join(parts)}


def _settings(schema: Mapping[str, Any]) -> Iterator[str]:
    texts = attribute_texts(TrainConfig)
    known = {field.name: field for field in fields(TrainConfig)}
    grouped = [name for names in GROUPS.values() for name in names.split()]
    if sorted(grouped) != sorted(known):
        raise LookupError(f"GROUPS must have each once: {sorted(set(grouped) ^ set(known))}")
    for title, names in GROUPS.items():
        yield f"## {title}"
        for name in names.split():
            kind = TYPES.get(name) or type_text(schema["properties"][name])
            place = PLACES.get(name, f"`train.{name}`")
            yield _entry(name, kind, _default(known[name].default), place, texts[name])


def _tables(schema: Mapping[str, Any]) -> Iterator[str]:
    texts = attribute_texts(RunFile)
    yield "## Tables of a run file"
    yield (
        "Beside `[train]`, a [run file](run_files.md) has these tables. Only `[model]` and "
        "`[data]` are needed."
    )
    for table, (kind, example) in NAMED.items():
        header = f"[[{table}]]" if example.startswith("[[") else f"[{table}]"
        yield f"### `{header}`"
        yield (
            f"{from_docstring(texts[table])} `perceptrain list-{kind_of(kind).plural}` lists the "
            f"names, and `perceptrain show {kind} NAME` the options, which are further keys."
        )
        yield f"```toml\n# {table}.toml\n{example}\n```"
    yield "## Data of a run file"
    yield (
        "The keys of `[data]`. Those of columns need a `file`; other keys are options of the data "
        "set."
    )
    keys = attribute_texts(DataTable)
    properties = schema["anyOf"][1]["properties"]
    for name, field in DataTable.model_fields.items():
        kind = "name of a data set, or reference" if name == "name" else type_text(properties[name])
        yield _entry(f"data.{name}", kind, _default(field.default), f"`data.{name}`", keys[name])
    yield "## Provenance"
    yield f"`[provenance]`: {from_docstring(texts['provenance'])}"


def _entry(name: str, kind: str, default: str, place: str, text: str) -> str:
    facts = f"*{kind}* · default {default} · in a run file: {place}"
    return f"### `{name}`\n\n{facts}\n\n{from_docstring(text)}"


def _default(value: Any) -> str:
    if hasattr(value, "default"):  # pydantic's Field
        made = value.default_factory
        value = made() if made else value.default
    if value is MISSING:
        raise LookupError("every setting has a default")
    if hasattr(value, "as_posix"):
        return code(f'"{value.as_posix()}"')
    return code(f'"{value}"' if isinstance(value, str) else value)


def type_text(schema: Mapping[str, Any]) -> str:
    """Return a JSON schema in words, ``integer, at least 1``."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_text(choice) for choice in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(code(f'"{value}"') for value in schema["enum"])
    if "const" in schema:
        return code(f'"{schema["const"]}"')
    if schema.get("type") == "array":
        return f"list of {type_text(schema['items'])}s"
    if schema.get("format") == "path":
        return "path"
    words = {"string": "text", "boolean": "true or false"}
    bounds = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    limits = [f"{word} {schema[key]:,}" for key, word in bounds.items() if key in schema]
    return ", ".join([words.get(schema["type"], schema["type"]), *limits])
