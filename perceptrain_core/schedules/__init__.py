"""Learning rates: schedulers of torch by name, and the rules of the ``lr_scheduler_*`` callbacks.

`schedule` runs a scheduler of torch, `rules` has the formulas of the callbacks, and `rates` reads
and sets the rates of an optimizer. Nothing else in the package changes a learning rate.
"""
