"""The names of the files in a run folder; importing them does not import torch."""

RUN_FILE, WEIGHTS, PREPARATION, RECORD = "run.toml", "model.pt", "preparation.json", "run.json"
VAL, FOLDS, PREDICTIONS = "val.json", "folds.json", "predictions.csv"
