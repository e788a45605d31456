"""What passes between owner and server: plans, encrypted models, encrypted normal equations."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy.typing as npt

from cipherblas import _core as _native
from cipherblas._array import EncryptedArray, Packing
from cipherblas._bytes import Buffer, as_bytes
from cipherblas._keys import EvaluationKeys, SecretKey
from cipherblas._params import CkksParams
from cipherblas._plain import no_such, plain_array
from cipherblas.progress import Reporter

__all__ = ["EncryptedModel", "EncryptedNormalEquations", "FitPlan", "Iteration"]


@dataclass(frozen=True)
class Iteration:
    """Where training is, after a step. Public data only: a server sees no loss.

    Attributes
    ----------
    number : int
        Steps done, from 1.
    total : int
        Steps in all.
    depth_left : int
        Multiplications that the weights still afford.
    """

    number: int
    total: int
    depth_left: int


class FitPlan:
    """What a fit needs: parameters, keys, packings. ``print(plan)`` shows it.

    Made by the ``plan`` method of an estimator. ``sk.evaluation_keys(plan=plan)`` makes the keys.

    Attributes
    ----------
    params : CkksParams
        Parameters that afford the fit, and scoring with its result.
    bound : float
        The public bound on the absolute values of features and targets that they were made for.
    """

    __slots__ = ("_core", "bound", "params")

    def __init__(self, core: _native.FitPlan, params: CkksParams, bound: float) -> None:
        self._core = core
        self.params = params
        self.bound = bound

    @property
    def depth(self) -> int:
        """Levels that the fit takes."""
        return self._core.depth

    @property
    def relinearization(self) -> bool:
        """Whether the key for products is needed."""
        return self._core.relinearization

    @property
    def rotations(self) -> set[int]:
        """The rotation steps that need a key."""
        return self._core.rotations

    @property
    def X_packing(self) -> Packing:  # noqa: N802
        """The packing of the rows."""
        return Packing(self._core.rows_packing, "rows of a fit")

    @property
    def y_packing(self) -> Packing:
        """The packing of the targets."""
        return Packing(self._core.targets_packing, "targets of a fit")

    @property
    def batch_rows(self) -> int:
        """Rows that a step looks at: the batch size, rounded up to whole ciphertexts."""
        return self._core.batch_rows

    def __str__(self) -> str:
        return f"{self._core.describe()}\n{self.params}"

    def __repr__(self) -> str:
        return f"FitPlan(depth={self.depth}, {len(self.rotations) + self.relinearization} keys, {self.params!r})"


class EncryptedModel:
    """A model with encrypted weights, as a server has it after training.

    Attributes
    ----------
    n_iter_ : int
        Steps that were made.
    history_ : list of Iteration
        One entry for each step.
    """

    def __init__(self, core: _native.EncryptedModel, template: Any, history: list[Iteration]) -> None:
        self._core = core
        self._template = template
        self.history_ = history
        self.n_iter_ = len(history)

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self._core.features

    @property
    def coef_(self) -> EncryptedArray:
        """The encrypted weights, one for each feature. One level, where there is a constant term to cut off."""
        weights = EncryptedArray._wrap(self._core.weights)
        return weights[: self.n_features_in_] if self._core.fit_intercept else weights

    @property
    def intercept_(self) -> EncryptedArray | float:
        """The encrypted constant term; 0.0 if none was fitted."""
        if not self._core.fit_intercept:
            return 0.0
        return EncryptedArray._wrap(self._core.weights)[-1]

    @property
    def depth_left(self) -> int:
        """Multiplications that the weights still afford; scoring takes two."""
        return EncryptedArray._wrap(self._core.weights).depth_left

    def decision_function(self, X: EncryptedArray | npt.ArrayLike) -> EncryptedArray:
        """Scores of encrypted rows (packed as for training) or plain rows; what comes out is encrypted.

        Parameters
        ----------
        X : EncryptedArray or array_like, shape (n, features)
            Encrypted rows take two levels, plain rows one.

        Returns
        -------
        EncryptedArray, shape (n,)
        """
        with Reporter("scoring", "operations") as reporter:
            if isinstance(X, EncryptedArray):
                return EncryptedArray._wrap(self._core.decision_function(X._core, reporter.callback))
            return EncryptedArray._wrap(self._core.decision_function_plain(plain_array(X, "ckks", "scoring")))

    def predict(self, X: object) -> NoReturn:
        """Refused: classes are comparisons, which only the owner can make."""
        raise no_such("ckks", "predict", "decrypt the scores of `decision_function`, or `decrypt(sk)` the model")

    def bind(self, keys: EvaluationKeys) -> EncryptedModel:
        """The same model with evaluation keys."""
        return EncryptedModel(self._core.bind(keys._core), self._template, self.history_)

    def decrypt(self, sk: SecretKey) -> Any:
        """The fitted estimator in clear, with scikit-learn's attributes, for the key's owner."""
        coef, intercept = self._weights(sk)
        return self._template._fitted(coef, intercept, self.n_iter_)

    def _weights(self, sk: SecretKey) -> tuple[npt.NDArray[Any], float]:
        weights = sk.decrypt(EncryptedArray._wrap(self._core.weights))
        intercept = float(weights[-1]) if self._core.fit_intercept else 0.0
        return weights[: self.n_features_in_].copy(), intercept

    def to_bytes(self) -> bytes:
        """Serialize: weights, features, kind; ids of parameters and key."""
        return self._core.to_bytes()

    @classmethod
    def load(cls, keys: EvaluationKeys, blob: Buffer) -> EncryptedModel:
        """Read a model, check it, and bind it to evaluation keys."""
        from cipherblas.linear_model import LinearRegression, LogisticRegression

        core = _native.EncryptedModel.from_bytes(keys._core, as_bytes(blob))
        kind: Callable[..., Any] = LogisticRegression if core.logistic else LinearRegression
        return cls(core, kind(fit_intercept=core.fit_intercept), [])

    def __repr__(self) -> str:
        kind = "logistic" if self._core.logistic else "linear"
        return f"EncryptedModel({kind}, features={self.n_features_in_}, depth left={self.depth_left})"


class EncryptedNormalEquations:
    """Encrypted ``X' X`` and ``X' y``: what a server computes for least squares, and the owner solves.

    Attributes
    ----------
    n_features_in_ : int
    """

    def __init__(self, core: _native.NormalEquations, template: Any, features: int) -> None:
        self._core = core
        self._template = template
        self.n_features_in_ = features

    def decrypt(self, sk: SecretKey) -> Any:
        """Decrypt and solve: the fitted estimator in clear."""
        coef, intercept = self._solve(sk)
        return self._template._fitted(coef, intercept, 1)

    def _solve(self, sk: SecretKey, scaler: _native.Scaler | None = None) -> tuple[npt.NDArray[Any], float]:
        gram, moment = (sk.decrypt(EncryptedArray._wrap(part)) for part in self._core.parts)
        return _native.solve_normal_equations(self.n_features_in_, gram, moment, self._template._penalty(), scaler)

    def to_bytes(self) -> tuple[bytes, bytes]:
        """Both parts, serialized: for :meth:`load`."""
        gram, moment = self._core.parts
        return gram.to_bytes(), moment.to_bytes()

    @classmethod
    def load(cls, sk: SecretKey, parts: tuple[Buffer, Buffer], template: Any) -> EncryptedNormalEquations:
        """Read both parts on the owner's side; `template` is the estimator that they were computed for."""
        gram, moment = (sk.load(part)._core for part in parts)
        features = moment.shape[0] - bool(template.fit_intercept)
        return cls(_native.NormalEquations.from_parts(features, gram, moment), copy.copy(template), features)

    def __repr__(self) -> str:
        return f"EncryptedNormalEquations(features={self.n_features_in_})"
