"""The names of the files in the folders of runs; importing them does not import torch."""

RUN_FILE, WEIGHTS, PREPARATION, RECORD = "run.toml", "model.pt", "preparation.json", "run.json"
VAL, FOLDS, PREDICTIONS = "val.json", "folds.json", "predictions.csv"
#: The most rows in ``predictions.csv``: a report shows no more, and the file should stay small.
MOST_PREDICTIONS = 10_000
#: What only the folder of a comparison has.
COMPARISON = "table.json"
#: What a comparison asked of a run, and its figures. Hidden, so that its folder counts as unused.
STATE = ".compare.json"
