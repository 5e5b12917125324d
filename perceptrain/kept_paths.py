"""Module paths kept for users of the package perceptrain 0.1.0, since 2026-11-28.

Scripts written for that package import from these modules. New code imports from the path on the
right. To remove a path, delete its module and its row here and in ``__init__.pyi``.
"""

KEPT_PATHS = {
    "perceptrain.callbacks.callback": "perceptrain.callbacks",
    "perceptrain.callbacks.saveload": "perceptrain",
    "perceptrain.callbacks.writer_registry": "perceptrain.callbacks",
    "perceptrain.config": "perceptrain",
    "perceptrain.information": "perceptrain",
    "perceptrain.information.information_content": "perceptrain",
    "perceptrain.loss": "perceptrain.losses",
    "perceptrain.loss.loss": "perceptrain.losses",
    "perceptrain.optimize_step": "perceptrain",
    "perceptrain.optimizers.adam_lbfgs": "perceptrain.optimizers",
    "perceptrain.parameters": "perceptrain",
    "perceptrain.stages": "perceptrain",
    "perceptrain.train_utils": "perceptrain",
    "perceptrain.train_utils.accelerator": "perceptrain",
    "perceptrain.trainer": "perceptrain",
}
