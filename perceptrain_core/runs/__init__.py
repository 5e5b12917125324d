"""Run files: from the file to the run folder."""
