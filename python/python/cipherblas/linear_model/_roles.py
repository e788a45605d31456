"""What passes between owner and server: plans, encrypted models, encrypted normal equations."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning

from cipherblas import _core as _native
from cipherblas._array import EncryptedArray, Packing
from cipherblas._bytes import Buffer, as_bytes
from cipherblas._keys import EvaluationKeys, SecretKey
from cipherblas._params import CkksParams
from cipherblas._plain import no_such, plain_array
from cipherblas.errors import ParameterError
from cipherblas.linear_model._checks import two_dimensions
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


def _expect(value: object, kind: type, operation: str, name: str, hint: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{operation}: {name} is of type {type(value).__name__}, expected {kind.__name__}; {hint}")


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
        rows = X if isinstance(X, EncryptedArray) else plain_array(X, "ckks", "decision function")
        two_dimensions("decision function", rows.shape, self.n_features_in_)
        with Reporter("scoring", "operations") as reporter:
            if isinstance(rows, EncryptedArray):
                return EncryptedArray._wrap(self._core.decision_function(rows._core, reporter.callback))
            return EncryptedArray._wrap(self._core.decision_function_plain(rows))

    def predict(self, X: object) -> NoReturn:
        """Refused: classes are comparisons, which only the owner can make."""
        raise no_such("ckks", "predict", "decrypt the scores of `decision_function`, or `decrypt(sk)` the model")

    def predict_proba(self, X: object) -> NoReturn:
        """Refused: the sigmoid is no polynomial."""
        hint = "`scipy.special.expit` of the decrypted scores of `decision_function`, or `decrypt(sk)` the model"
        raise no_such("ckks", "predict_proba", hint)

    def bind(self, keys: EvaluationKeys) -> EncryptedModel:
        """The same model with evaluation keys."""
        _expect(keys, EvaluationKeys, "bind", "keys", "a server has them: `sk.evaluation_keys(plan=plan)`")
        return EncryptedModel(self._core.bind(keys._core), self._template, self.history_)

    @property
    def error_bound(self) -> float | None:
        """Bound on the absolute error of every weight."""
        return self._core.weights.error_bound

    def decrypt(self, sk: SecretKey, *, share: bool = False, bound: float | None = None) -> Any:
        """The fitted estimator in clear, with scikit-learn's attributes, for the key's owner.

        Parameters
        ----------
        sk : SecretKey
        share : bool, default False
            Add noise, so that the model can be shown to others: see :meth:`SecretKey.decrypt`. Parameters need room:
            ``plan(..., sharing=n)``.
        bound : float, optional
            With ``share``, and needed for it: your own bound on the error of every weight, no smaller than :attr:`error_bound`.
            Take that of a rehearsal, the same training on zeros with the same declared bounds.

        Returns
        -------
        estimator

        Raises
        ------
        ParameterError
            If the noise would drown the weights; nothing is shared then. It follows the bounds of all values on the way, which grow
            with every step: share a model of a step or two on features with a small declared bound, or encrypted normal
            equations (``solver="closed_form"``), or train federated, under Paillier, whose results need no noise.
        """
        coef, intercept = self._weights(sk, share, bound)
        return self._template._fitted(coef, intercept, self.n_iter_)

    def _weights(
        self, sk: SecretKey, share: bool = False, bound: float | None = None
    ) -> tuple[npt.NDArray[Any], float]:
        _expect(sk, SecretKey, "decrypt", "sk", "only the owner of the key decrypts")
        encrypted = EncryptedArray._wrap(self._core.weights)
        if share and bound is not None:
            # Asked before, as sharing counts. What the owner sees stays with the owner.
            error = sk.shared_error_bound(encrypted, bound)
            if not error < np.abs(sk.decrypt(encrypted)).max():
                hint = 'declare smaller bounds, take fewer steps, or share the model of `solver="closed_form"`'
                raise ParameterError(
                    f"sharing: got weights that would be off by up to {error:.2g}, expected less than the largest; {hint}",
                    operation="sharing",
                    got=f"an error of up to {error:.2g}",
                    expected="less than the largest weight",
                    hint=hint,
                )
        weights = sk.decrypt(encrypted, share=share, bound=bound)
        intercept = float(weights[-1]) if self._core.fit_intercept else 0.0
        return weights[: self.n_features_in_].copy(), intercept

    def to_bytes(self) -> bytes:
        """Serialize: weights, features, kind; ids of parameters and key."""
        return self._core.to_bytes()

    @classmethod
    def load(cls, keys: EvaluationKeys, blob: Buffer) -> EncryptedModel:
        """Read a model, check it, and bind it to evaluation keys."""
        from cipherblas.linear_model import LinearRegression, LogisticRegression

        hint = "the owner loads it with `sk.evaluation_keys(plan=plan)`, or those that the server got, and decrypts it with `sk`"
        _expect(keys, EvaluationKeys, "load", "keys", hint)
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

    @property
    def error_bound(self) -> float | None:
        """Bound on the absolute error of every entry of the equations."""
        bounds = [part.error_bound for part in self._core.parts]
        return max(b for b in bounds if b is not None) if None not in bounds else None

    def decrypt(self, sk: SecretKey, *, share: bool = False, bound: float | None = None) -> Any:
        """Decrypt and solve: the fitted estimator in clear.

        Parameters
        ----------
        sk : SecretKey
        share : bool, default False
            Add noise to the equations, so that the model can be shown to others: see :meth:`SecretKey.decrypt`. Parameters need
            room, for every ciphertext of the equations: ``plan(..., sharing=n)`` has it.
        bound : float, optional
            With ``share``, and needed for it: your own bound on the error of every entry, no smaller than :attr:`error_bound`.
            Take that of a rehearsal, the same computation on zeros with the same declared bounds.

        Returns
        -------
        estimator

        Raises
        ------
        ParameterError
            If the features are linearly dependent, up to the noise, and there is no penalty; with ``share``, if the noise moves the
            weights by more than an eighth of the largest.
        """
        coef, intercept = self._solve(sk, share=share, bound=bound)
        return self._template._fitted(coef, intercept, 1)

    def _solve(
        self,
        sk: SecretKey,
        scaler: _native.Scaler | None = None,
        *,
        share: bool = False,
        bound: float | None = None,
    ) -> tuple[npt.NDArray[Any], float]:
        _expect(sk, SecretKey, "decrypt", "sk", "only the owner of the key decrypts")
        parts = [EncryptedArray._wrap(part) for part in self._core.parts]
        needed, left = sum(part.ciphertexts for part in parts), sk.shared_left
        # Asked before, so that no half of them is shared and counted.
        if share and left is not None and left < needed:
            hint = "make parameters by `plan(..., sharing=n)`, or use a fresh key"
            raise ParameterError(
                f"sharing: got {needed} ciphertexts of normal equations, expected at most {left}, which are left; {hint}",
                operation="sharing",
                got=f"{needed} ciphertexts",
                expected=f"at most {left}",
                hint=hint,
            )
        penalty = self._template._penalty()
        gram, moment = (sk.decrypt(part, share=share, bound=bound) for part in parts)
        coef, intercept, rank = _native.solve_normal_equations(self.n_features_in_, gram, moment, penalty, scaler)
        if share:
            self._not_drowned(coef, [sk.decrypt(part) for part in parts])
        elif scaler is not None and rank < self.n_features_in_ and penalty == 0:
            warnings.warn(
                f"{self.n_features_in_ - rank} of {self.n_features_in_} features depend on the others, up to the precision of "
                "encrypted equations: the weights are the shortest that explain the targets. Drop such features, or use `Ridge`",
                ConvergenceWarning,
                stacklevel=4,
            )
        return coef, intercept

    def _not_drowned(self, shared: npt.NDArray[Any], exact: list[npt.NDArray[Any]]) -> None:
        """Noise of the equations grows in the weights where features resemble each other."""
        penalty = self._template._penalty()
        gram, moment = exact
        coef, _, _ = _native.solve_normal_equations(self.n_features_in_, gram, moment, penalty, None)
        off, largest = np.abs(shared - coef).max(), np.abs(coef).max()
        if not off <= largest / 8:
            hint = "features that resemble each other amplify the noise: drop some, use a penalty (`Ridge`), or smaller bounds"
            raise ParameterError(
                f"sharing: got weights that the noise moved by over an eighth of the largest, expected less; {hint}. "
                "What was decrypted counts as shared",
                operation="sharing",
                got="weights that the noise moved by over an eighth of the largest",
                expected="less",
                hint=hint,
            )

    def to_bytes(self) -> tuple[bytes, bytes]:
        """Both parts, serialized: for :meth:`load`."""
        gram, moment = self._core.parts
        return gram.to_bytes(), moment.to_bytes()

    @classmethod
    def load(cls, sk: SecretKey, parts: tuple[Buffer, Buffer], template: Any) -> EncryptedNormalEquations:
        """Read both parts on the owner's side; `template` is the estimator that they were computed for."""
        _expect(sk, SecretKey, "load", "sk", "equations are solved by the owner of the key")
        if not isinstance(parts, (tuple, list)) or len(parts) != 2:
            raise TypeError(f"load: got {type(parts).__name__}, expected the pair of bytes that `to_bytes` returned")
        if not hasattr(template, "_penalty") or isinstance(template, type):
            raise TypeError(
                f"load: template is {template!r}, expected the estimator that computed the equations: `Ridge(alpha=...)`"
            )
        gram, moment = (sk.load(part)._core for part in parts)
        features = moment.shape[0] - bool(template.fit_intercept)
        return cls(_native.NormalEquations.from_parts(features, gram, moment), copy.copy(template), features)

    def __repr__(self) -> str:
        return f"EncryptedNormalEquations(features={self.n_features_in_})"
