"""Estimators for scikit-learn, which is imported here and nowhere else in training."""

from importlib.util import find_spec

from perceptrain_core.errors import MissingDependencyError

if find_spec("sklearn") is None:
    raise MissingDependencyError(
        "PerceptrainClassifier and PerceptrainRegressor need scikit-learn: "
        'pip install "perceptrain-core[sklearn]".'
    )
