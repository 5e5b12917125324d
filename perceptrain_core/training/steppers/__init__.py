"""The ways to take a step, one file each; `make_stepper` chooses."""
