"""Tunes a scikit-learn model: the tuner alone, with values on the way, so that bad configurations end early.

    python3 tune_scikit.py
"""

import warnings

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

import finetune_tune

images, digits = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(images / 16, digits, random_state=0)
tuner = finetune_tune.Tuner(
    search={"alpha": {"low": 1e-6, "high": 1.0, "log": True}, "penalty": {"choices": ["l2", "l1", "elasticnet"]}},
    tune={"trials": 20, "steps": 9, "direction": "maximize", "sampler": "tpe", "scheduler": "asha"},
)


def run(trial):
    """Epochs of one trial, until the tuner stops it; a trial that reports its last step is complete."""
    model = SGDClassifier(random_state=0, **trial.params)
    for epoch in range(1, 10):
        model.partial_fit(train_x, train_y, classes=range(10))
        if tuner.report(trial.id, epoch, model.score(test_x, test_y)):
            return epoch
    return epoch


warnings.simplefilter("ignore")
epochs = sum(run(trial) for trial in tuner)
print("best", tuner.best(), "after", epochs, "epochs of", 20 * 9)
