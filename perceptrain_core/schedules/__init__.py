"""Learning rates: schedulers of torch by name.

`schedule` runs a scheduler of torch, and `rates` reads and sets the rates of an optimizer. The
``lr_scheduler_*`` callbacks set them too, each by its own rule.
"""
