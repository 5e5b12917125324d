"""Learning-rate schedules: any scheduler of torch by name, stepped and saved with a run."""
