"""The built-in plugin: one line for each thing that comes with Perceptrain.

It is loaded as any plugin is and imports no torch: each target is imported when it is asked for.
"""

from __future__ import annotations

from perceptrain_core.registry import Spec, hookimpl

_PAIR = "Batch: (inputs, labels)."
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
            "Terms weighted by their gradients (arXiv 2001.04536). Batch: that of its base loss.",
        ),
        _loss("l1", "Mean absolute error.", _PAIR_OR_POINTS),
        _loss("smooth_l1", "Squared below beta, absolute above.", _PAIR_OR_POINTS),
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
            "Gaussian negative log likelihood; the model gives mean and variance.",
        ),
        _loss(
            "cosine_embedding",
            "Angle between two embeddings, alike (1) or not (-1).",
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
        _loss("relative_l2", "L2 error of each sample relative to the norm of its label."),
    ]


@hookimpl
def perceptrain_models() -> list[Spec]:
    """Offer the built-in models."""
    return [
        Spec(
            "ffnn",
            "perceptrain_core.models.ffnn:FFNN",
            "Feed-forward network: dense layers with an activation between them.",
        ),
        Spec(
            "pinn",
            "perceptrain_core.models.pinn:PINN",
            "Physics-informed network: a dict of points in, a dict of residuals out.",
        ),
    ]


def _search(name: str, summary: str) -> Spec:
    target = f"perceptrain_core.optimizers.nevergrad.algorithms:{name}"
    return Spec(name, target, f"{summary}, without gradients (an extra).")


def _searches() -> list[Spec]:
    return [
        _search("cma", "Covariance matrix adaptation"),
        _search("de", "Differential evolution"),
        Spec(
            "nevergrad",
            "perceptrain_core.optimizers.nevergrad.optimizer:NevergradOptimizer",
            "Any algorithm of nevergrad, without gradients (an extra).",
        ),
        _search("ngopt", "What nevergrad chooses by itself"),
        _search("one_plus_one", "One parent, one child"),
        _search("pso", "Particle swarm"),
        _search("tbpsa", "Population control for losses with noise"),
    ]


def _weighting(name: str, target: str, summary: str) -> Spec:
    return Spec(name, f"perceptrain_core.weightings.{name}:{target}", summary)


@hookimpl
def perceptrain_weightings() -> list[Spec]:
    """Offer the built-in weightings of a loss's terms."""
    return [
        _weighting("fixed", "Fixed", "Weights that stay as they are given."),
        _weighting(
            "grad_weighted",
            "GradWeighted",
            "Learning-rate annealing: largest gradient over mean gradient (arXiv 2001.04536).",
        ),
        _weighting(
            "grad_norm_balance",
            "GradNormBalance",
            "Sum of all gradients' norms over one's own (arXiv 2308.08468).",
        ),
        _weighting("gradnorm", "GradNorm", "Trained for balanced rates (Chen, arXiv 1711.02257)."),
        _weighting(
            "ntk", "NTK", "Traces of the tangent kernel, point by point (arXiv 2007.14527)."
        ),
        _weighting(
            "relobralo",
            "ReLoBRaLo",
            "Relative progress, with a random look back (arXiv 2110.09813).",
        ),
        _weighting("softadapt", "SoftAdapt", "Softmax of the changes of terms (arXiv 1912.12355)."),
        _weighting("dwa", "DWA", "Progress of averages over windows (arXiv 1803.10704)."),
        _weighting(
            "uncertainty", "Uncertainty", "A learned variance for each term (arXiv 1705.07115)."
        ),
        _weighting("random", "RandomWeighting", "Drawn anew at each step (arXiv 2111.10603)."),
    ]


@hookimpl
def perceptrain_optimizers() -> list[Spec]:
    """Offer the optimizers of torch.optim, Adam followed by L-BFGS, and those of nevergrad."""
    return [
        *_searches(),
        Spec("adadelta", "torch.optim:Adadelta", "Steps scaled by a window of past gradients."),
        Spec("adafactor", "torch.optim:Adafactor", "Adam with factored second moments."),
        Spec("adagrad", "torch.optim:Adagrad", "Steps scaled by the sum of past gradients."),
        Spec("adam", "torch.optim:Adam", "Adaptive moment estimation."),
        Spec(
            "adam_lbfgs",
            "perceptrain_core.optimizers.adam_lbfgs:AdamLBFGS",
            "Adam for the first epochs, L-BFGS after.",
        ),
        Spec("adamax", "torch.optim:Adamax", "Adam with the infinity norm."),
        Spec("adamw", "torch.optim:AdamW", "Adam with decoupled weight decay."),
        Spec("asgd", "torch.optim:ASGD", "Averaged stochastic gradient descent."),
        Spec("lbfgs", "torch.optim:LBFGS", "Limited-memory quasi-Newton, for full batches."),
        Spec("muon", "torch.optim:Muon", "Orthogonalised momentum, for 2D weights (new torch)."),
        Spec("nadam", "torch.optim:NAdam", "Adam with Nesterov momentum."),
        Spec("radam", "torch.optim:RAdam", "Adam with a rectified warm-up."),
        Spec("rmsprop", "torch.optim:RMSprop", "Steps scaled by the root mean square gradient."),
        Spec("rprop", "torch.optim:Rprop", "Steps by the sign of gradients, for full batches."),
        Spec("sgd", "torch.optim:SGD", "Stochastic gradient descent, with momentum if asked."),
        Spec("sparse_adam", "torch.optim:SparseAdam", "Adam for sparse gradients."),
    ]


@hookimpl
def perceptrain_callbacks() -> list[Spec]:
    """Offer the built-in callbacks."""
    return [
        Spec(
            "print_metrics",
            "perceptrain_core.callbacks.print_metrics:PrintMetrics",
            "Print the loss and the metrics.",
        ),
        Spec(
            "r3_sampling",
            "perceptrain_core.callbacks.r3_sampling:R3Sampling",
            "Keep the points of an R3Dataset where the model is worst (arXiv 2207.02338).",
        ),
        Spec(
            "write_metrics",
            "perceptrain_core.callbacks.write_metrics:WriteMetrics",
            "Send the loss and the metrics to the tracker.",
        ),
        Spec(
            "save_checkpoint",
            "perceptrain_core.callbacks.save_checkpoint:SaveCheckpoint",
            "Save a checkpoint of the run.",
        ),
        Spec(
            "save_best_checkpoint",
            "perceptrain_core.callbacks.save_best_checkpoint:SaveBestCheckpoint",
            "Save a checkpoint at each validation that is the best so far.",
        ),
        Spec(
            "write_plots",
            "perceptrain_core.callbacks.write_plots:WritePlots",
            "Send the pictures of config.plotting_functions to the tracker.",
        ),
        Spec(
            "live_plot_metrics",
            "perceptrain_core.callbacks.live_plot_metrics:LivePlotMetrics",
            "Draw the curves so far, in a notebook or to live.png.",
        ),
        Spec(
            "early_stopping",
            "perceptrain_core.callbacks.early_stopping:EarlyStopping",
            "Stop when a metric has stopped getting better.",
        ),
        Spec(
            "lr_scheduler_step_decay",
            "perceptrain_core.callbacks.lr_scheduler_step_decay:LRSchedulerStepDecay",
            "Multiply the learning rate by a factor every so often.",
        ),
        Spec(
            "lr_scheduler_cyclic",
            "perceptrain_core.callbacks.lr_scheduler_cyclic:LRSchedulerCyclic",
            "Let the learning rate go up and down between two values.",
        ),
        Spec(
            "lr_scheduler_cosine_annealing",
            "perceptrain_core.callbacks.lr_scheduler_cosine_annealing:LRSchedulerCosineAnnealing",
            "Let the learning rate fall along half a cosine.",
        ),
        Spec(
            "lr_scheduler_reduce_on_plateau",
            "perceptrain_core.callbacks.lr_scheduler_reduce_on_plateau:LRSchedulerReduceOnPlateau",
            "Reduce the learning rate when a metric has stopped getting better.",
        ),
        Spec(
            "gradient_monitoring",
            "perceptrain_core.callbacks.gradient_monitoring:GradientMonitoring",
            "Send statistics of every parameter's gradient to the tracker.",
        ),
        Spec(
            "log_hyperparameters",
            "perceptrain_core.callbacks.log_hyperparameters:LogHyperparameters",
            "Send hyperparameters to the tracker.",
        ),
        Spec(
            "log_model_tracker",
            "perceptrain_core.callbacks.log_model_tracker:LogModelTracker",
            "Send the model to the tracker.",
        ),
        Spec(
            "load_checkpoint",
            "perceptrain_core.callbacks.load_checkpoint:LoadCheckpoint",
            "Start from the weights of a checkpoint.",
        ),
    ]


@hookimpl
def perceptrain_trackers() -> list[Spec]:
    """Offer the built-in trackers."""
    return [
        Spec("csv", "perceptrain_core.trackers.csv:CSVTracker", "Metrics in a CSV file."),
        Spec(
            "mlflow",
            "perceptrain_core.trackers.mlflow:MLflowTracker",
            "Runs of MLflow, in a local SQLite store or on a server (an extra).",
        ),
        Spec("none", "perceptrain_core.trackers.none:NoTracker", "No tracking at all."),
        Spec(
            "tensorboard",
            "perceptrain_core.trackers.tensorboard:TensorBoardTracker",
            "Event files for TensorBoard (an extra).",
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
