"""The built-in plugin: the name, target and summary of everything that comes with Perceptrain.

It is loaded like any other plugin. It imports no torch: targets are imported on demand.
"""

from __future__ import annotations

from collections.abc import Mapping

from perceptrain_core.registry import Spec, hookimpl

_PAIR = "Batch: (inputs, labels)."
_EXTRA = "(extra: metrics)"
_PAIR_OR_POINTS = "Batch: (inputs, labels), or points for a PINN."


def _loss(name: str, summary: str, batch: str = _PAIR) -> Spec:
    return Spec(name, f"perceptrain_core.losses.{name}:{name}_loss", f"{summary} {batch}")


@hookimpl
def perceptrain_losses() -> list[Spec]:
    """Offer the built-in losses."""
    return [
        _loss("mse", "Mean squared error.", _PAIR_OR_POINTS),
        _loss("cross_entropy", "Cross entropy of logits.", "Batch: (inputs, class indices)."),
        Spec(
            "grad_weighted",
            "perceptrain_core.losses.grad_weighted:GradWeightedLoss",
            "Terms balanced by their gradients (arXiv 2001.04536). Batch: as for the base loss.",
        ),
        _loss("l1", "Mean absolute error.", _PAIR_OR_POINTS),
        _loss("smooth_l1", "Smooth L1 loss: squared below beta, linear above.", _PAIR_OR_POINTS),
        _loss("huber", "Huber loss: squared below delta, linear above.", _PAIR_OR_POINTS),
        _loss(
            "bce_with_logits",
            "Binary cross entropy of logits.",
            "Batch: (inputs, labels in [0, 1]).",
        ),
        _loss(
            "nll",
            "Negative log likelihood of log-probabilities.",
            "Batch: (inputs, class indices).",
        ),
        _loss(
            "kl_div",
            "Kullback-Leibler divergence of log-probabilities.",
            "Batch: (inputs, probabilities).",
        ),
        _loss("poisson_nll", "Poisson negative log likelihood.", "Batch: (inputs, counts)."),
        _loss(
            "gaussian_nll",
            "Gaussian negative log likelihood; the model predicts mean and log variance.",
        ),
        _loss(
            "cosine_embedding",
            "Cosine distance of two embeddings, similar (1) or dissimilar (-1).",
            "Batch: ((first, second), labels).",
        ),
        _loss(
            "multi_margin",
            "Multi-class hinge loss of scores.",
            "Batch: (inputs, class indices).",
        ),
        _loss(
            "soft_margin",
            "Two-class logistic loss of scores.",
            "Batch: (inputs, labels -1 or 1).",
        ),
        _loss("quantile", "Quantile (pinball) loss, for prediction intervals."),
        _loss(
            "relative_l2", "L2 error relative to the norm of the labels: one ratio for the batch."
        ),
    ]


def _specs(folder: str, summaries: Mapping[str, str]) -> list[Spec]:
    """Make a spec for each ``"name:Class"``, the class in the file NAME.py of the folder."""
    module = f"perceptrain_core.{folder}"
    return [
        Spec(target.partition(":")[0], f"{module}.{target}", summary)
        for target, summary in summaries.items()
    ]


@hookimpl
def perceptrain_models() -> list[Spec]:
    """Offer the built-in models."""
    return _specs(
        "models",
        {
            "embedding_ffnn:EmbeddingFFNN": (
                "Feed-forward network with embeddings of categories, for tables."
            ),
            "ffnn:FFNN": "Feed-forward network: dense layers with an activation between them.",
            "pinn:PINN": "Physics-informed network: a dict of points in, a dict of residuals out.",
        },
    )


def _search(name: str, summary: str) -> Spec:
    target = f"perceptrain_core.optimizers.nevergrad.algorithms:{name}"
    return Spec(name, target, f"{summary}, gradient-free (extra: nevergrad).")


def _searches() -> list[Spec]:
    return [
        _search("cma", "Covariance matrix adaptation"),
        _search("de", "Differential evolution"),
        Spec(
            "nevergrad",
            "perceptrain_core.optimizers.nevergrad.optimizer:NevergradOptimizer",
            "Any nevergrad algorithm, gradient-free (extra: nevergrad).",
        ),
        _search("ngopt", "Nevergrad's automatic choice"),
        _search("one_plus_one", "(1+1) evolution strategy"),
        _search("pso", "Particle swarm optimization"),
        _search("tbpsa", "Test-based population-size adaptation for noisy losses"),
    ]


@hookimpl
def perceptrain_weightings() -> list[Spec]:
    """Offer the built-in weightings of loss terms."""
    return _specs(
        "weightings",
        {
            "fixed:Fixed": "Constant weights.",
            "grad_weighted:GradWeighted": (
                "Learning-rate annealing: gradients balanced with a fixed term (arXiv 2001.04536)."
            ),
            "grad_norm_balance:GradNormBalance": (
                "Weights inversely proportional to gradient norms (arXiv 2308.08468)."
            ),
            "gradnorm:GradNorm": (
                "GradNorm: weights trained to balance the terms' training rates (arXiv 1711.02257)."
            ),
            "ntk:NTK": "Weights from the traces of neural tangent kernels (arXiv 2007.14527).",
            "relobralo:ReLoBRaLo": (
                "Relative loss balancing: slow terms get more weight (arXiv 2110.09813)."
            ),
            "softadapt:SoftAdapt": (
                "Softmax of the change of each term since the last update (arXiv 1912.12355)."
            ),
            "dwa:DWA": "Dynamic weight average: softmax of ratios of averages (arXiv 1803.10704).",
            "uncertainty:Uncertainty": (
                "Weights from a learned variance of each term (arXiv 1705.07115)."
            ),
            "random:RandomWeighting": "Random weights, redrawn at each update (arXiv 2111.10603).",
        },
    )


@hookimpl
def perceptrain_optimizers() -> list[Spec]:
    """Offer the optimizers of torch.optim and nevergrad, and those that torch lacks."""
    return [
        *_searches(),
        Spec(
            "adadelta",
            "torch.optim:Adadelta",
            "Steps scaled by running averages of squared gradients and steps.",
        ),
        Spec("adafactor", "torch.optim:Adafactor", "Adam with factored second moments."),
        Spec(
            "adagrad", "torch.optim:Adagrad", "Steps scaled by the sum of squared past gradients."
        ),
        Spec("adam", "perceptrain_core.optimizers.fused:Adam", "Adaptive moment estimation."),
        Spec(
            "adam_lbfgs",
            "perceptrain_core.optimizers.adam_lbfgs:AdamLBFGS",
            "Adam for the first epochs, then L-BFGS.",
        ),
        Spec("adamax", "torch.optim:Adamax", "Adam with the infinity norm."),
        Spec(
            "adamw",
            "perceptrain_core.optimizers.fused:AdamW",
            "Adam with decoupled weight decay.",
        ),
        Spec("asgd", "torch.optim:ASGD", "Averaged stochastic gradient descent."),
        Spec(
            "gauss_newton",
            "perceptrain_core.optimizers.gauss_newton:GaussNewton",
            "Levenberg-Marquardt and relatives, for losses that are sums of squares.",
        ),
        Spec("lbfgs", "torch.optim:LBFGS", "Limited-memory quasi-Newton method, for full batches."),
        Spec(
            "muon",
            "torch.optim:Muon",
            "Orthogonalized momentum, for a group of 2D weights (torch 2.9 or later).",
        ),
        Spec("nadam", "torch.optim:NAdam", "Adam with Nesterov momentum."),
        Spec("radam", "torch.optim:RAdam", "Adam with a rectified adaptive learning rate."),
        Spec(
            "rmsprop",
            "torch.optim:RMSprop",
            "Steps scaled by a running average of squared gradients.",
        ),
        Spec("rprop", "torch.optim:Rprop", "Steps by the sign of the gradient, for full batches."),
        Spec(
            "sequential",
            "perceptrain_core.optimizers.sequential:SequentialOptimizer",
            "Several optimizers, one after the other: after an epoch, or at a plateau of the loss.",
        ),
        Spec("sgd", "torch.optim:SGD", "Stochastic gradient descent, optionally with momentum."),
        Spec("sparse_adam", "torch.optim:SparseAdam", "Adam for sparse gradients."),
        Spec(
            "ssbroyden",
            "perceptrain_core.optimizers.ssbroyden:SSBroyden",
            "Self-scaled Broyden method, for full batches of small models in float64.",
        ),
    ]


@hookimpl
def perceptrain_callbacks() -> list[Spec]:
    """Offer the built-in callbacks."""
    return _specs(
        "callbacks",
        {
            "print_metrics:PrintMetrics": "Print the loss and the metrics.",
            "r3_sampling:R3Sampling": (
                "Resample the points of an R3Dataset with small residuals (arXiv 2207.02338)."
            ),
            "write_metrics:WriteMetrics": "Log the loss and the metrics to the tracker.",
            "save_checkpoint:SaveCheckpoint": "Save a checkpoint of the run.",
            "save_best_checkpoint:SaveBestCheckpoint": (
                "Save a checkpoint whenever validation improves."
            ),
            "write_plots:WritePlots": (
                "Log the figures of config.plotting_functions to the tracker."
            ),
            "live_plot_metrics:LivePlotMetrics": (
                "Plot metrics during training, in a notebook or to live.png."
            ),
            "early_stopping:EarlyStopping": "Stop training when a metric stops improving.",
            "keep_best:KeepBest": "Restore the weights of the best epoch at the end.",
            "lr_scheduler_step_decay:LRSchedulerStepDecay": (
                "Multiply the learning rate by a factor at regular intervals."
            ),
            "lr_scheduler_cyclic:LRSchedulerCyclic": "Cycle the learning rate between two values.",
            "lr_scheduler_cosine_annealing:LRSchedulerCosineAnnealing": (
                "Decrease the learning rate along half a cosine."
            ),
            "lr_scheduler_reduce_on_plateau:LRSchedulerReduceOnPlateau": (
                "Reduce the learning rate when a metric stops improving."
            ),
            "gradient_monitoring:GradientMonitoring": (
                "Log gradient statistics of every parameter to the tracker."
            ),
            "log_hyperparameters:LogHyperparameters": "Log hyperparameters to the tracker.",
            "log_model_tracker:LogModelTracker": "Log the model to the tracker.",
            "load_checkpoint:LoadCheckpoint": (
                "Load the model and the optimizer from a checkpoint before training."
            ),
        },
    )


@hookimpl
def perceptrain_trackers() -> list[Spec]:
    """Offer the built-in trackers."""
    return _specs(
        "trackers",
        {
            "csv:CSVTracker": "Write metrics to a CSV file.",
            "mlflow:MLflowTracker": (
                "Log to MLflow, in a local SQLite store or on a server (extra: mlflow)."
            ),
            "none:NoTracker": "No tracking.",
            "tensorboard:TensorBoardTracker": (
                "Write event files for TensorBoard (extra: tensorboard)."
            ),
        },
    )


def _metric(name: str, target: str, summary: str) -> Spec:
    return Spec(name, f"perceptrain_core.metrics.{target}", summary)


@hookimpl
def perceptrain_metrics() -> list[Spec]:
    """Offer the built-in metrics over a whole data set."""
    return [
        _metric("mae", "regression:MAE", "Mean absolute error."),
        _metric("mse", "regression:MSE", "Mean squared error."),
        _metric("rmse", "regression:RMSE", "Root of the mean squared error."),
        _metric("r2", "regression:R2", "Coefficient of determination."),
        _metric(
            "explained_variance",
            "regression:ExplainedVariance",
            "Share of the variance of the labels that the outputs explain.",
        ),
        _metric("accuracy", "classification:Accuracy", f"Share classified correctly {_EXTRA}."),
        _metric(
            "precision",
            "classification:Precision",
            f"Share of the rows classified as a class that belong to it {_EXTRA}.",
        ),
        _metric(
            "recall",
            "classification:Recall",
            f"Share of the rows of a class that are classified as it {_EXTRA}.",
        ),
        _metric("f1", "classification:F1", f"F1 score, the mean of precision and recall {_EXTRA}."),
        _metric("auroc", "classification:AUROC", f"Area under the ROC curve {_EXTRA}."),
        _metric(
            "average_precision",
            "classification:AveragePrecision",
            f"Area under the precision-recall curve {_EXTRA}.",
        ),
        _metric(
            "calibration_error",
            "classification:CalibrationError",
            f"How far confidence and accuracy differ {_EXTRA}.",
        ),
        _metric(
            "confusion_matrix",
            "classification:ConfusionMatrix",
            f"Counts by true and predicted class, drawn by trackers {_EXTRA}.",
        ),
    ]


@hookimpl
def perceptrain_datasets() -> list[Spec]:
    """Offer the built-in data sets."""
    module = "perceptrain_core.data.sklearn_datasets"
    return [
        Spec("digits", f"{module}:digits", "Handwritten digits, 8x8 pixels, 10 classes."),
        Spec("breast_cancer", f"{module}:breast_cancer", "Breast tumours, 30 features, 2 classes."),
        Spec("wine", f"{module}:wine", "Wines, 13 chemical features, 3 classes."),
        Spec("diabetes", f"{module}:diabetes", "Diabetes progression, 10 features, regression."),
    ]
