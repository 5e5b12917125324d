"""What docs/command_line.md says beside the options: an example of each command, and links.

The tests run the examples in the order of the page. A command without one is an error.
"""

from __future__ import annotations

SETUP = """
# Command line

```bash
perceptrain --help
perceptrain train --help
```

Every name in a listing works in `get_loss`, `get_model` and so on, and in run files. Results go to
stdout and diagnostics to stderr. In a pipe, each row of a table is one line.

`perceptrain --install-completion` sets up completion in bash, zsh and fish: commands, options, and
the kinds and names of `perceptrain show`.

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 stopped by Ctrl-C, 143 stopped by SIGTERM. An
error is reported in one or two lines; `perceptrain --debug ...` shows the traceback.

The examples below run one after the other, with this table of flats:

```csv
# flats.csv
area,rooms,floor,rent
30,1,2,510
38,1,0,590
45,2,1,690
52,2,4,820
60,2,3,880
67,3,1,930
75,3,5,1120
82,3,2,1150
90,4,0,1170
98,4,3,1340
105,4,1,1380
120,5,2,1620
```
"""

EXAMPLES = {
    "list-losses": """
perceptrain list-losses
perceptrain list-losses "*nll*"
perceptrain list-optimizers adam --json
perceptrain list-models --from perceptrain-core
""",
    "show": "perceptrain show loss huber\nperceptrain show relobralo",
    "init": """
perceptrain init flats.csv
perceptrain init flats.csv --label rent -o flats.toml
""",
    "schema": "perceptrain schema --out schema.json",
    "train": """
perceptrain train flats.toml --dry-run
perceptrain train flats.toml --set train.max_iter=4 --set train.checkpoint_every=2
""",
    "compare": "perceptrain compare flats.toml --loss mse --loss huber --seeds 3 --dry-run",
    "runs": "perceptrain runs\nperceptrain runs --sort val_loss --json",
    "summary": "perceptrain summary flats.toml",
    "profile": "perceptrain profile flats.toml --steps 5",
    "plot": "perceptrain plot runs/flats",
    "report": "perceptrain report runs/flats",
    "demo": "perceptrain demo",
    "predict": "perceptrain predict runs/flats flats.csv --out predicted.csv --keep rooms",
    "test": "perceptrain test runs/flats flats.csv",
    "export": "perceptrain export runs/flats --format torch-export",
    "checkpoint info": "perceptrain checkpoint info runs/flats",
    "checkpoint convert": "perceptrain checkpoint convert --weights runs/flats weights.pt",
    "plugins": """
perceptrain plugins
perceptrain plugins perceptrain-core
perceptrain plugins --available
""",
    "check-plugin": "perceptrain check-plugin perceptrain-distributions",
    "new-plugin": "perceptrain new-plugin robust-losses",
}

#: The page that says more about a command, with its title.
SEE = {
    "list-losses": ("Which loss for which task", "choose_loss.md"),
    "init": ("From a table to a model", "run_files.md#from-a-table-to-a-model"),
    "schema": ("In an editor", "run_files.md#in-an-editor"),
    "train": ("Run files", "run_files.md"),
    "compare": ("Compare losses", "compare.md"),
    "summary": ("Look at the model", "models.md#look-at-the-model"),
    "profile": ("Profile a few steps", "trainer.md#profile-a-few-steps"),
    "report": ("Reports", "run_files.md#reports"),
    "predict": ("Predict", "trained_runs.md#predict"),
    "test": ("Test", "trained_runs.md#test"),
    "export": ("Export", "trained_runs.md#export"),
    "checkpoint info": ("Checkpoints", "checkpoints.md"),
    "checkpoint convert": ("Sharded checkpoints", "checkpoints.md#sharded-checkpoints"),
    "plugins": ("Plugins", "plugins.md"),
    "check-plugin": ("Write a plugin", "authors.md"),
    "new-plugin": ("Write a plugin", "authors.md"),
}
