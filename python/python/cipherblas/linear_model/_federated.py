"""Logistic regression over the rows of several owners, from encrypted sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import NotFittedError

from cipherblas import _core as _native
from cipherblas._plain import plain_array
from cipherblas.linear_model._checks import count, labels, one_for_each_row, positive, two_dimensions
from cipherblas.linear_model._estimators import LogisticRegression

__all__ = ["FederatedLogisticRegression", "FederatedOwner", "Round"]


@dataclass(frozen=True)
class Round:
    """What a round brought: all that the key's holder learns beside the weights.

    Attributes
    ----------
    number : int
        From 1.
    objective : float
        Mean loss over all owners' rows, with the penalty, at the weights that were asked about.
    change : float
        The largest change of a weight.
    converged : bool
    """

    number: int
    objective: float
    change: float
    converged: bool


@dataclass(frozen=True)
class Question:
    """What the key's holder asks all owners in a round; public to them.

    Attributes
    ----------
    weights : ndarray
        The point, the constant term last.
    newton : bool
        Whether the Hessian is asked for as well.
    fit_intercept : bool
    """

    weights: npt.NDArray[Any]
    newton: bool
    fit_intercept: bool


class FederatedOwner:
    """One owner of rows: answers a limited number of questions about weights of limited size.

    Parameters
    ----------
    X : array_like, shape (n, features)
        The rows, scaled as agreed: see :func:`FederatedLogisticRegression.scaling_sums`.
    y : array_like, shape (n,)
        Labels 0 and 1.
    rounds : int, default 20
        Questions that are answered.
    max_weight : float, default 50.0
        Huge weights turn the sigmoid into a step, whose place tells rows apart: such questions are refused.
    """

    def __init__(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        rounds: int = 20,
        max_weight: float = 50.0,
    ) -> None:
        self._X = plain_array(X, "ckks", "owner's rows")
        rows, _ = two_dimensions("owner's rows", self._X.shape)
        self._y = labels(y)
        one_for_each_row("owner's labels", self._y.shape, rows)
        self._rounds = count("rounds", rounds)
        self._answered = 0
        self._core = _native.FederatedOwner(self._rounds, positive("max_weight", max_weight))

    def answer(self, question: Question) -> npt.NDArray[Any]:
        """Sums over this owner's rows, to be encrypted under the holder's public key: number of rows, loss, gradient, Hessian."""
        weights = np.ascontiguousarray(question.weights, dtype=np.float64)
        answer = self._core.answer(weights, question.newton, question.fit_intercept, self._X, self._y)
        self._answered += 1
        return np.asarray(answer)

    def __repr__(self) -> str:
        rows, features = self._X.shape
        return f"FederatedOwner(rows={rows}, features={features}, answered {self._answered} of {self._rounds})"


class FederatedLogisticRegression:
    """The key holder's side: asks, decrypts the sum of the answers, steps.

    A server in between, the coordinator, holds no key: it adds the owners' ciphertexts and sees none of them in clear; the holder
    sees the sum only.

    Parameters
    ----------
    features : int
    method : {"newton", "gradient"}, default "newton"
        Newton's method takes five to ten rounds to the optimum; gradients are shorter answers and more rounds.
    C : float, default inf
        As of :class:`LogisticRegression`, over all owners' rows; `rows` has to be known then.
    rows : int, optional
        Rows of all owners, for ``C``.
    max_iter : int, default 20
    tol : float, default 1e-6
    fit_intercept : bool, default True
    learning_rate : float, default 1.0
        For ``method="gradient"``.

    Notes
    -----
    What is not hidden:

    - The holder learns the totals, which is more than the model: loss, gradients and Hessians over all rows along the way.
    - A total over one owner is that owner's sum. At least two owners have to be honest, and the holder must not get ciphertexts of
      single owners: it must not be the coordinator, nor collude with it. Where all owners hold the key, no owner may see what
      others send.
    - The holder must ask as this class does. One who picks huge weights, and many of them, makes a single row stand out:
      :class:`FederatedOwner` bounds the weights and the number of answers, which is a limit on what can be asked and no proof.
      Nothing here is differentially private.
    - The weights that are asked about are shared results. Under Paillier (and BFV) they say nothing about the key. Under CKKS they
      may, to whoever also sees the encrypted totals: decrypt those with ``share=True``, which leaves some 15 bits of precision.
    - Nothing proves that an owner's sums are right.

    Examples
    --------
    >>> import numpy as np
    >>> import cipherblas as cb
    >>> from cipherblas.linear_model import FederatedLogisticRegression, FederatedOwner
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 2)); y = (X[:, 0] + rng.normal(size=60) > 0).astype(float)
    >>> owners = [FederatedOwner(X[k::3], y[k::3]) for k in range(3)]
    >>> sk = cb.SecretKey.generate(cb.PaillierParams(fraction_bits=40, value_bits=20, terms=3))
    >>> pk, packing = sk.public_key(), cb.Packing.auto()
    >>> holder = FederatedLogisticRegression(features=2)
    >>> while not holder.finished:
    ...     question = holder.question()
    ...     answers = [pk.encrypt(owner.answer(question), packing=packing) for owner in owners]
    ...     total = answers[0] + answers[1] + answers[2]       # the coordinator
    ...     step = holder.take(sk.decrypt(total))
    >>> holder.model().coef_.shape
    (1, 2)
    """

    def __init__(
        self,
        features: int,
        *,
        method: Literal["newton", "gradient"] = "newton",
        C: float = float("inf"),
        rows: int | None = None,
        max_iter: int = 20,
        tol: float = 1e-6,
        fit_intercept: bool = True,
        learning_rate: float = 1.0,
    ) -> None:
        if method not in ("newton", "gradient"):
            raise ValueError(f'method: got {method!r}, expected "newton" or "gradient"')
        if rows is None and C != float("inf"):
            raise ValueError("C: needs `rows`, the number of rows of all owners")
        self._template = LogisticRegression(
            C=C, max_iter=max_iter, learning_rate=learning_rate, fit_intercept=fit_intercept
        )
        trainer = self._template._trainer(1 if rows is None else rows)
        self._core = trainer.rounds(method == "newton", features, tol)
        self._features = features
        self.history_: list[Round] = []

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to ask."""
        return self._core.finished

    def question(self) -> Question:
        """What to ask all owners now."""
        return Question(np.asarray(self._core.question()), self._core.newton, self._core.fit_intercept)

    def take(self, total: npt.ArrayLike) -> Round:
        """Take the decrypted sum of all answers, and step."""
        step = Round(*self._core.take(np.ascontiguousarray(total, dtype=np.float64)))
        self.history_.append(step)
        return step

    def model(self) -> LogisticRegression:
        """The fitted estimator, in the units of the owners' scaled rows.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before the first round.
        """
        if not self.history_:
            raise NotFittedError(
                "no round was taken yet: ask the owners, and `take` the decrypted sum of their answers"
            )
        coef, intercept = self._core.model()
        return self._template._fitted(np.asarray(coef), intercept, len(self.history_))

    def __repr__(self) -> str:
        method = "newton" if self._core.newton else "gradient"
        state = "finished" if self.finished else f"of at most {self._template.max_iter}"
        return f"FederatedLogisticRegression(features={self._features}, {method}, {len(self.history_)} rounds, {state})"

    @staticmethod
    def scaling_sums(X: npt.ArrayLike, units: Sequence[float]) -> npt.NDArray[Any]:
        """An owner's share of a common scaling: rows, sums and square sums, in public units of each feature; to be encrypted."""
        return np.asarray(_native.feature_sums(np.ascontiguousarray(X, dtype=np.float64), [float(u) for u in units]))

    @staticmethod
    def scaling(total: npt.ArrayLike, units: Sequence[float], *, tolerance: float = 1e-9) -> Scaling:
        """The common scaling from the decrypted sum of all shares: mean zero and variance one over all owners' rows."""
        values = np.ascontiguousarray(total, dtype=np.float64)
        return Scaling(_native.feature_scaler(values, [float(u) for u in units], tolerance))


class Scaling:
    """Features to mean zero and variance one; what the holder sends back to the owners."""

    def __init__(self, core: _native.Scaler) -> None:
        self._core = core

    def transform(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Scaled rows."""
        return np.asarray(self._core.transform(np.ascontiguousarray(X, dtype=np.float64)))
