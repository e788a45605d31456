"""Plain scikit-learn models on encrypted rows."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from sklearn import linear_model as _linear
from sklearn import preprocessing as _preprocessing
from sklearn import svm as _svm
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from cipherblas._array import EncryptedArray
from cipherblas._plain import no_such
from cipherblas.linear_model._checks import encrypted, two_dimensions

__all__ = ["ScoringModel", "from_sklearn"]

_REGRESSORS: tuple[type, ...] = (
    _linear.LinearRegression,
    _linear.Ridge,
    _linear.RidgeCV,
    _linear.Lasso,
    _linear.LassoCV,
    _linear.ElasticNet,
    _linear.ElasticNetCV,
    _linear.SGDRegressor,
    _linear.HuberRegressor,
    _svm.LinearSVR,
)
_CLASSIFIERS: tuple[type, ...] = (
    _linear.LogisticRegression,
    _linear.LogisticRegressionCV,
    _linear.RidgeClassifier,
    _linear.SGDClassifier,
    _linear.Perceptron,
    _linear.PassiveAggressiveClassifier,
    _svm.LinearSVC,
)
_HINT = "fit a linear model in the scaled features, and pass that"


class ScoringModel:
    """A plain linear model that scores encrypted rows. Made by :func:`from_sklearn`.

    Attributes
    ----------
    coef_ : ndarray, shape (features,) or (classes, features)
        Weights in the units of the rows: a scaler in front is part of them.
    intercept_ : float or ndarray, shape (classes,)
    classes_ : ndarray or None
        None for a regression.
    n_features_in_ : int
    """

    def __init__(
        self,
        coef: npt.NDArray[Any],
        intercept: npt.NDArray[Any],
        classes: npt.NDArray[Any] | None,
        probabilities: str | None,
    ) -> None:
        self.coef_ = coef
        self.intercept_ = intercept
        self.classes_ = classes
        self.n_features_in_ = coef.shape[-1]
        self._probabilities = probabilities

    def decision_function(self, X: EncryptedArray) -> EncryptedArray:
        """Scores of encrypted rows, encrypted.

        Parameters
        ----------
        X : EncryptedArray, shape (n, features)
            Under CKKS or Paillier (which needs no evaluation keys). With ``packing=Packing.columns()`` no keys are needed under
            CKKS either, and one level.

        Returns
        -------
        EncryptedArray, shape (n,) or (n, classes)
            What scikit-learn's own ``decision_function`` (or ``predict`` of a regression) gives, to the scheme's ``error_bound``.
        """
        X = self._rows("decision function", X)
        if self.coef_.ndim == 1:
            return X @ self.coef_ + float(self.intercept_)
        return X @ self.coef_.T + self.intercept_

    def predict(self, X: EncryptedArray) -> EncryptedArray:
        """Predictions of a regression, encrypted. Classes are comparisons: see :meth:`labels`."""
        X = self._rows("predict", X)
        if self.classes_ is not None:
            hint = "decrypt the scores of `decision_function`, and hand them to `labels`"
            raise no_such(X.scheme, "predict of a classifier", hint)
        return self.decision_function(X)

    def predict_proba(self, X: EncryptedArray) -> NoReturn:
        """Refused: the link is no polynomial. See :meth:`probabilities`."""
        hint = "decrypt the scores of `decision_function`, and hand them to `probabilities`"
        raise no_such(self._rows("predict_proba", X).scheme, "predict_proba", hint)

    def _rows(self, operation: str, X: object) -> EncryptedArray:
        rows = encrypted(operation, "X", X, "encrypt it first: `sk.encrypt(X, packing=cb.Packing.columns())`")
        if rows.scheme == "bfv":
            raise no_such("bfv", "scoring with real weights", "encrypt the rows under CKKS or Paillier")
        two_dimensions(operation, rows.shape, self.n_features_in_)
        return rows

    def labels(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Classes from decrypted scores: the owner's side.

        Parameters
        ----------
        scores : ndarray, shape (n,) or (n, classes)

        Returns
        -------
        ndarray, shape (n,)
        """
        if self.classes_ is None:
            raise no_such("a regression", "labels", "the decrypted scores are its predictions")
        index = (scores > 0).astype(np.intp) if np.ndim(scores) == 1 else np.argmax(scores, axis=1)
        return np.asarray(self.classes_[index])

    def probabilities(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Probabilities of the classes from decrypted scores, where the model has some: the owner's side.

        Parameters
        ----------
        scores : ndarray, shape (n,) or (n, classes)

        Returns
        -------
        ndarray, shape (n, classes)
        """
        from scipy.special import expit, softmax

        if self._probabilities is None:
            raise no_such("this model", "probabilities", "they are there for logistic regression")
        if np.ndim(scores) == 1:
            # Two classes: softmax of (-s, s) would be another link.
            p = expit(scores)
            return np.column_stack([1 - p, p])
        if self._probabilities == "softmax":
            return np.asarray(softmax(scores, axis=1))
        p = expit(scores)
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def __repr__(self) -> str:
        kind = "regression" if self.classes_ is None else f"{self.classes_.size} classes"
        return f"ScoringModel({kind}, features={self.n_features_in_})"


def from_sklearn(model: Any) -> ScoringModel:
    """A fitted scikit-learn model for encrypted rows.

    Parameters
    ----------
    model : estimator
        Linear, ridge, lasso, elastic net and other linear regressions; logistic regression (two or more classes), linear support
        vector machines, perceptron, ridge and SGD classifiers; or a Pipeline with StandardScaler, MinMaxScaler, MaxAbsScaler or
        RobustScaler in front of one, which becomes part of the weights.

    Returns
    -------
    ScoringModel

    Raises
    ------
    UnsupportedError
        For a model that is not linear in its features.
    sklearn.exceptions.NotFittedError
        If the model was not fitted.

    Examples
    --------
    >>> import numpy as np, cipherblas as cb
    >>> from sklearn.linear_model import LinearRegression
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]])
    >>> model = cb.linear_model.from_sklearn(LinearRegression().fit(X, [1.0, 2.0, 5.0]))
    >>> sk = cb.SecretKey.generate(cb.CkksParams(depth=1))
    >>> rows = sk.encrypt(X, packing=cb.Packing.columns())   # no evaluation keys needed
    >>> np.round(sk.decrypt(model.decision_function(rows)), 3)
    array([1., 2., 5.])
    """
    if isinstance(model, Pipeline):
        steps = [step for _, step in model.steps if step is not None and step != "passthrough"]
        *front, last = steps
        weights = _model(last)
        for step in reversed(front):
            weights = _fold(step, weights)
        return weights
    return _model(model)


def _model(model: Any) -> ScoringModel:
    from cipherblas.linear_model import _estimators as ours

    regressors = (*_REGRESSORS, ours.LinearRegression, ours.Ridge)
    classifiers = (*_CLASSIFIERS, ours.LogisticRegression)
    is_classifier = isinstance(model, classifiers)
    if not is_classifier and not isinstance(model, regressors):
        name = type(model).__name__
        raise no_such("from_sklearn", name, "linear models only: their scores are sums of products")
    check_is_fitted(model)
    coef = np.asarray(model.coef_.toarray() if hasattr(model.coef_, "toarray") else model.coef_, dtype=np.float64)
    intercept = np.asarray(model.intercept_, dtype=np.float64)
    if not is_classifier:
        if coef.ndim == 2:
            # Several targets are the rows of the weights.
            return ScoringModel(coef, np.broadcast_to(intercept, (coef.shape[0],)), None, None)
        return ScoringModel(coef, intercept.reshape(-1)[0] if intercept.size == 1 else intercept, None, None)
    probabilities = None
    if isinstance(model, (_linear.LogisticRegression, _linear.LogisticRegressionCV, ours.LogisticRegression)):
        rest = isinstance(model, ours.LogisticRegression) or getattr(model, "multi_class", "") == "ovr"
        probabilities = "rest" if rest or getattr(model, "solver", "") == "liblinear" else "softmax"
    classes = np.asarray(model.classes_)
    coef = np.atleast_2d(coef)
    if coef.shape[0] == 1:
        return ScoringModel(coef[0], intercept.reshape(-1)[0], classes, probabilities)
    return ScoringModel(coef, np.broadcast_to(intercept, (coef.shape[0],)), classes, probabilities)


def _fold(step: Any, model: ScoringModel) -> ScoringModel:
    """The model of rows that are scaled first, `(x - shift) * factor`, as one of the rows themselves."""
    shift, factor = _affine(step, model.n_features_in_)
    coef = model.coef_ * factor
    return ScoringModel(coef, model.intercept_ - coef @ shift, model.classes_, model._probabilities)


def _affine(step: Any, features: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    zero, one = np.zeros(features), np.ones(features)
    check_is_fitted(step)
    if isinstance(step, _preprocessing.StandardScaler):
        return (step.mean_ if step.with_mean else zero), (1.0 / step.scale_ if step.with_std else one)
    if isinstance(step, _preprocessing.MaxAbsScaler):
        return zero, 1.0 / step.scale_
    if isinstance(step, _preprocessing.RobustScaler):
        return (
            step.center_ if step.with_centering else zero,
            1.0 / step.scale_ if step.with_scaling else one,
        )
    if isinstance(step, _preprocessing.MinMaxScaler):
        if step.clip:
            raise no_such("from_sklearn", "MinMaxScaler(clip=True)", "clipping compares: use clip=False")
        return -step.min_ / step.scale_, step.scale_
    raise no_such("from_sklearn", f"a pipeline with {type(step).__name__}", _HINT)
