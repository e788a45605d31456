"""Linear, ridge and logistic regression as scikit-learn estimators."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from cipherblas import _core as _native
from cipherblas._array import EncryptedArray, Packing
from cipherblas._keys import EvaluationKeys, PublicKey, SecretKey
from cipherblas._params import CkksParams
from cipherblas._plain import no_such, plain_array
from cipherblas.errors import ParameterError
from cipherblas.linear_model._checks import count, encrypted, labels, one_for_each_row, positive, two_dimensions, within
from cipherblas.linear_model._roles import EncryptedModel, EncryptedNormalEquations, FitPlan, Iteration
from cipherblas.progress import Reporter

__all__ = ["LinearRegression", "LogisticRegression", "Ridge"]

#: What `plan` and `encrypt` take values to be bounded by where nothing else is said.
_BOUND = 4.0
#: Levels that scoring encrypted rows with encrypted weights takes.
_SCORING_DEPTH = 2
#: Levels that encrypted normal equations take.
_CLOSED_FORM_DEPTH = 2
#: Integer bits of normal equations of columns of length one: the fewest that are ever asked for.
_UNIT_INTEGER_BITS = 4
#: Bits beyond the precision asked for, as bounds add up over the steps of a training.
_HEADROOM_BITS = 8
#: The most that parameters afford.
_MOST_PRECISION_BITS = 44
#: In units of a feature's variance: directions with less are not blown up by decorrelation.
_SHRINKAGE = 1e-3

Callback = Callable[[Iteration], object]


class _LinearModel(BaseEstimator):  # type: ignore[misc]
    """What the three models share. Not public."""

    fit_intercept: bool
    solver: str
    max_iter: int
    learning_rate: Any
    batch_size: int | None
    security: int
    precision_bits: int

    _kind: str

    def _penalty(self) -> float:
        return 0.0

    def _l2(self, rows: int) -> float:
        return 0.0

    def _is_closed_form(self) -> bool:
        return self.solver == "closed_form"

    def _trainer(self, rows: int, *, fit_intercept: bool | None = None) -> _native.Trainer:
        rates = np.atleast_1d(np.asarray(self.learning_rate, dtype=np.float64))
        return _native.Trainer(
            self._kind,
            max_iter=count("max_iter", self.max_iter),
            solver="nag" if self._is_closed_form() else self.solver,
            rates=[float(r) for r in rates],
            batch_size=None if self.batch_size is None else count("batch_size", self.batch_size),
            fit_intercept=bool(self.fit_intercept) if fit_intercept is None else fit_intercept,
            degree=int(getattr(self, "sigmoid_degree", 3)),
            bound=float(getattr(self, "sigmoid_bound", 8.0)),
            l2=self._penalty() if self._kind == "ridge" else self._l2(rows),
        )

    def plan(
        self,
        X: npt.ArrayLike | tuple[int, int],
        *,
        bound: float = _BOUND,
        params: CkksParams | None = None,
        sharing: int = 0,
    ) -> FitPlan:
        """What training on encrypted rows needs, before any key is made.

        Parameters
        ----------
        X : array_like or tuple of int
            The rows, or their shape.
        bound : float, default 4.0
            A public bound on the absolute values of the features (and of the targets of a regression): a power of two is
            enough. :meth:`encrypt` refuses values beyond it. Scale features to mean zero and variance one before: training is no
            better than its features.
        params : CkksParams, optional
            Parameters to use. Default: the smallest that afford the fit at ``security``, ``precision_bits``.
        sharing : int, default 0
            Room for so many models that are decrypted with ``share=True``. Not with ``params``, which have their own.

        Returns
        -------
        FitPlan
            Its parameters afford scoring encrypted rows with the result, too.

        Raises
        ------
        ParameterError
            If no secure parameters afford so many steps: without bootstrapping a training is as long as its depth.
        """
        shape: tuple[int, ...] = X if isinstance(X, tuple) and len(X) == 2 else np.shape(X)  # type: ignore[assignment, unused-ignore]
        rows, features = two_dimensions("plan", shape)
        if params is not None and sharing:
            raise TypeError("plan takes `params=` or `sharing=`, not both: `CkksParams(sharing=...)` has the room")
        return self._planned(rows, features, positive("bound", bound), params, sharing=sharing)

    def _planned(
        self,
        rows: int,
        features: int,
        bound: float,
        params: CkksParams | None = None,
        *,
        scoring: bool = True,
        sharing: int = 0,
    ) -> FitPlan:
        trainer = self._trainer(rows)
        closed = self._is_closed_form()
        trace = trainer.closed_form_plan if closed else trainer.plan
        if params is not None:
            return FitPlan(trace(rows, features, params.slots), params, bound)
        # Every ciphertext that is shared counts, and only the trace tells how many a result takes.
        shared = sharing * (2 if closed else 1)
        while True:
            params = self._params(trainer, rows, features, bound, scoring, shared)
            core = trace(rows, features, params.slots)
            if sharing * core.results <= shared:
                return FitPlan(core, params, bound)
            shared = sharing * core.results

    def _params(
        self, trainer: _native.Trainer, rows: int, features: int, bound: float, scoring: bool, sharing: int
    ) -> CkksParams:
        if self._is_closed_form():
            return self._build(_CLOSED_FORM_DEPTH, trainer.closed_form_integer_bits(rows, bound), features, sharing)
        depth = trainer.depth() + (_SCORING_DEPTH if scoring else 0)
        target = 0.5 if self._kind == "logistic" else bound
        # Batches are whole ciphertexts, so that their sums grow with the slots.
        slots = 1
        while True:
            bits = trainer.integer_bits(rows, features, slots, bound, target)
            params = self._build(depth, bits, features, sharing)
            slots = params.slots
            if trainer.integer_bits(rows, features, slots, bound, target) <= bits:
                return params

    def _build(self, depth: int, integer_bits: int, features: int, sharing: int = 0) -> CkksParams:
        precision = count("precision_bits", self.precision_bits)
        try:
            return CkksParams(
                depth=depth,
                # The headroom may be cut, the precision may not: parameters refuse what they do not afford.
                precision_bits=max(precision, min(_MOST_PRECISION_BITS, precision + _HEADROOM_BITS)),
                integer_bits=integer_bits,
                security=self.security,
                slots=1 << features.bit_length(),
                sharing=sharing,
            )
        except ParameterError as error:
            if error.operation in ("integer_bits", "precision_bits", "security", "sharing", "slots"):
                raise
            hint = f"{self._shorter()}: there is no bootstrapping yet"
            message = f"no secure parameters afford this training, which takes {depth} levels of depth: {error}; {hint}"
            raise ParameterError(
                message, operation="max_iter", got=f"{depth} levels", expected=error.expected, hint=hint
            ) from error

    def _shorter(self) -> str:
        """What takes less depth."""
        return 'use fewer iterations, or `solver="closed_form"`'

    def encrypt(
        self,
        key: SecretKey | PublicKey,
        X: npt.ArrayLike,
        y: npt.ArrayLike | None = None,
        keys: EvaluationKeys | None = None,
        *,
        plan: FitPlan | None = None,
        bound: float | None = None,
    ) -> Any:
        """Encrypt rows, and targets, packed for :meth:`fit_encrypted`.

        Parameters
        ----------
        key : SecretKey or PublicKey
        X : array_like, shape (n, features)
            The rows, scaled.
        y : array_like, shape (n,), optional
            The targets; labels 0 and 1 for logistic regression.
        keys : EvaluationKeys, optional
            Bind both to them.
        plan : FitPlan, optional
            The plan that the parameters are of: its bound is declared with the ciphertexts. Where it was made with the default
            bound it need not be passed.
        bound : float, optional
            In place of ``plan``: the public bound on the absolute values to declare. Default 4.0, as of :meth:`plan`.

        Returns
        -------
        EncryptedArray or tuple of EncryptedArray

        Raises
        ------
        EncodingError
            For values beyond the bound: the results of a training on them might be beyond what decrypts.
        """
        if plan is not None and bound is not None:
            raise TypeError("encrypt takes `plan=` or `bound=`, not both: a plan has its bound")
        if key.scheme != "ckks":
            raise no_such(key.scheme, "encrypted training", "make the key from the parameters of `plan(X)`")
        declared = positive("bound", _BOUND if bound is None else bound) if plan is None else plan.bound
        rows = plain_array(X, "ckks", "rows")
        n, features = two_dimensions("rows", rows.shape)
        within("rows", rows, declared)
        targets, target_bound = None, declared
        if y is not None and self._kind == "logistic":
            targets, target_bound = labels(y), 1.0
        elif y is not None:
            targets = plain_array(y, "ckks", "targets")
            within("targets", targets, declared)
        if targets is not None:
            one_for_each_row("targets", targets.shape, n)
        X_packing, y_packing = self._trainer(n).packings(n, features, key.params.slots)
        X_enc = key.encrypt(rows, keys, packing=Packing(X_packing, "rows of a fit"), bound=declared)
        if targets is None:
            return X_enc
        y_enc = key.encrypt(targets, keys, packing=Packing(y_packing, "targets of a fit"), bound=target_bound)
        return X_enc, y_enc

    def fit_encrypted(
        self,
        X: EncryptedArray,
        y: EncryptedArray,
        callback: Callback | None = None,
    ) -> EncryptedModel | EncryptedNormalEquations:
        """Train on encrypted rows, without a key that decrypts.

        Parameters
        ----------
        X : EncryptedArray, shape (n, features)
            Bound to evaluation keys. Best from :meth:`encrypt`; rows that are packed otherwise are refused with what to do.
        y : EncryptedArray, shape (n,)
            Targets packed otherwise are re-packed, which takes a level.
        callback : callable, optional
            Called with an :class:`Iteration` after each step; returning False stops the training (``StoppedError``).

        Returns
        -------
        EncryptedModel
            Or :class:`EncryptedNormalEquations` for ``solver="closed_form"``.
        """
        hint = "make it by `encrypt(key, X, y)`; `fit` takes plain data"
        rows = encrypted("fit_encrypted", "X", X, hint)._core
        targets = encrypted("fit_encrypted", "y", y, hint)._core
        wanted = rows.row_packing
        if wanted is not None and y.ndim == 1 and X.scheme == y.scheme == "ckks" and targets.packing != wanted:
            targets = targets.repack(wanted)
        trainer = self._trainer(X.shape[0])
        template = copy.copy(self)
        if self._is_closed_form():
            with Reporter("normal equations", "operations") as reporter:
                equations = trainer.normal_equations(rows, targets, reporter.callback)
            return EncryptedNormalEquations(equations, template, X.shape[1])
        history: list[Iteration] = []

        def step(number: int, total: int, depth_left: int) -> object:
            history.append(Iteration(number, total, depth_left))
            return None if callback is None else callback(history[-1])

        with Reporter("training", "operations") as reporter:
            model = trainer.fit_encrypted(rows, targets, step, reporter.callback)
        return EncryptedModel(model, template, history)

    def fit_clear(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Any:
        """The same algorithm in clear, without encryption or scaling: what an encrypted training comes to, but for its error.

        Parameters
        ----------
        X : array_like, shape (n, features)
        y : array_like, shape (n,)
            Labels 0 and 1 for logistic regression.

        Returns
        -------
        estimator
            A fitted copy. For ``solver="closed_form"`` the exact solution.
        """
        rows = np.ascontiguousarray(X, dtype=np.float64)
        targets = np.ascontiguousarray(y, dtype=np.float64)
        trainer = self._trainer(rows.shape[0])
        if self._is_closed_form():
            coef, intercept = trainer.fit_exact(rows, targets)
        else:
            coef, intercept, _ = trainer.fit_clear(rows, targets)
        return self._fitted(np.asarray(coef), intercept, 1 if self._is_closed_form() else self.max_iter)

    def _fitted(self, coef: npt.NDArray[Any], intercept: float, iterations: int) -> Any:
        raise NotImplementedError

    def _fit_in_roles(
        self, X: npt.NDArray[Any], targets: list[npt.NDArray[Any]]
    ) -> list[tuple[npt.NDArray[Any], float]]:
        """Scales, encrypts, trains, decrypts, and brings the weights back to the units of the features.

        One key, one plan and one encryption of the rows for all targets.
        """
        rows = np.ascontiguousarray(X, dtype=np.float64)
        centred = bool(self.fit_intercept)
        if self._is_closed_form():
            return [self._fit_closed_form(rows, y, centred) for y in targets]
        scaler = _native.Scaler.decorrelated(rows, centred, _SHRINKAGE)
        scaled = scaler.transform(rows)
        bound = 2.0 ** math.ceil(math.log2(max(1.0, float(np.abs(scaled).max()))))
        plan = self._planned(len(rows), rows.shape[1], bound, scoring=False)
        sk = SecretKey.generate(plan.params)
        keys = sk.evaluation_keys(plan=plan)
        X_enc = sk.encrypt(scaled, keys, packing=plan.X_packing, bound=bound)
        fits = []
        for y in targets:
            target = None if self._kind == "logistic" else _native.TargetScaler.unit_range(y, centred)
            y_enc = sk.encrypt(y if target is None else target.transform(y), keys, packing=plan.y_packing, bound=1.0)
            model = self.fit_encrypted(X_enc, y_enc)
            assert isinstance(model, EncryptedModel)
            coef, intercept = scaler.unscale(*model._weights(sk))
            fits.append((coef, intercept) if target is None else target.unscale(coef, intercept))
        return fits

    def _fit_closed_form(
        self, X: npt.NDArray[Any], y: npt.NDArray[Any], centred: bool
    ) -> tuple[npt.NDArray[Any], float]:
        scaler = _native.Scaler.unit_columns(X, centred)
        target = _native.TargetScaler.unit_length(y, centred)
        # Centring has done what a constant term does.
        trainer = self._trainer(X.shape[0], fit_intercept=False)
        params = self._build(_CLOSED_FORM_DEPTH, _UNIT_INTEGER_BITS, X.shape[1])
        plan = FitPlan(trainer.closed_form_plan(len(X), X.shape[1], params.slots), params, 1.0)
        sk = SecretKey.generate(params)
        keys = sk.evaluation_keys(plan=plan)
        X_enc = sk.encrypt(scaler.transform(X), keys, packing=plan.X_packing, bound=1.0)
        y_enc = sk.encrypt(target.transform(y), keys, packing=plan.y_packing, bound=1.0)
        with Reporter("normal equations", "operations") as reporter:
            core = trainer.normal_equations(X_enc._core, y_enc._core, reporter.callback)
        equations = EncryptedNormalEquations(core, self, X.shape[1])
        return target.unscale(*equations._solve(sk, scaler))

    def _validated(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        check_is_fitted(self)
        checked: npt.NDArray[Any] = validate_data(self, X, reset=False, dtype=np.float64)
        return checked

    def _set(self, coef: npt.NDArray[Any], intercept: Any, iterations: int) -> None:
        self.n_iter_: Any
        self.coef_ = coef
        self.intercept_ = intercept
        self.n_iter_ = iterations


class _Regression(RegressorMixin, _LinearModel):  # type: ignore[misc]
    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Any:
        """Encrypt, train on ciphertexts, decrypt.

        Parameters
        ----------
        X : array_like, shape (n, features)
        y : array_like, shape (n,)

        Returns
        -------
        self
        """
        rows, targets = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        targets = np.asarray(targets, dtype=np.float64)
        [(coef, intercept)] = self._fit_in_roles(rows, [targets])
        self._set(coef, intercept if self.fit_intercept else 0.0, 1 if self._is_closed_form() else self.max_iter)
        return self

    def _fitted(self, coef: npt.NDArray[Any], intercept: float, iterations: int) -> Any:
        model = copy.copy(self)
        model._set(coef, intercept, iterations)
        model.n_features_in_ = coef.size
        return model

    def predict(self, X: EncryptedArray | npt.ArrayLike) -> Any:
        """Predicted targets: of plain rows in clear, of encrypted rows encrypted.

        Parameters
        ----------
        X : array_like or EncryptedArray, shape (n, features)

        Returns
        -------
        ndarray or EncryptedArray, shape (n,)
        """
        if isinstance(X, EncryptedArray):
            check_is_fitted(self)
            two_dimensions("predict", X.shape, self.coef_.size)
            return X @ self.coef_ + self.intercept_
        return self._validated(X) @ self.coef_ + self.intercept_


class LinearRegression(_Regression):
    """Ordinary least squares on encrypted data.

    Parameters
    ----------
    fit_intercept : bool, default True
        Fit a constant term.
    solver : {"closed_form", "nag", "gd"}, default "closed_form"
        The server computes encrypted normal equations, which the owner solves (depth 2), or descends by Nesterov's accelerated
        or plain gradients (depth ``1 + 2 (max_iter - 1)``), so that the result stays encrypted.
    max_iter : int, default 5
        Gradient steps.
    learning_rate : float or list of float, default 1.0
        Of every step, or one for each, for features of variance one that are decorrelated.
    batch_size : int, optional
        Rows that a step looks at. Default all.
    security : {128, 192, 256}, default 128
    precision_bits : int, default 20

    Attributes
    ----------
    coef_ : ndarray, shape (features,)
    intercept_ : float
    n_iter_ : int
    n_features_in_ : int

    Notes
    -----
    ``fit`` on plain data keeps a key for the length of the call; features are scaled and decorrelated in clear by their owner.

    The closed form solves normal equations, whose condition is the square of the features': directions with less than ``1e-7`` of
    the largest singular value (features that agree to three or four digits) cannot be told apart at the precision of
    an encryption. ``fit`` leaves them out, warns (``ConvergenceWarning``) and takes the shortest weights; in roles, where features
    are scaled by their owner, equations of dependent features are refused. Drop such features, or use :class:`Ridge`.

    Examples
    --------
    >>> import numpy as np
    >>> from cipherblas.linear_model import LinearRegression
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 1.0]])
    >>> model = LinearRegression().fit(X, X @ [2.0, -1.0] + 0.5)
    >>> np.round(model.coef_, 3), round(model.intercept_, 3)
    (array([ 2., -1.]), 0.5)
    """

    _kind = "linear"

    def __init__(
        self,
        *,
        fit_intercept: bool = True,
        solver: Literal["closed_form", "nag", "gd"] = "closed_form",
        max_iter: int = 5,
        learning_rate: float | list[float] = 1.0,
        batch_size: int | None = None,
        security: int = 128,
        precision_bits: int = 20,
    ) -> None:
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.security = security
        self.precision_bits = precision_bits


class Ridge(_Regression):
    """Least squares with a penalty ``alpha |w|^2``, on encrypted data.

    Parameters
    ----------
    alpha : float, default 1.0
        The penalty, as in scikit-learn; the constant term is not penalized.
    fit_intercept, solver, max_iter, learning_rate, batch_size, security, precision_bits
        As of :class:`LinearRegression`. With a gradient solver the penalty is on the weights of the scaled features.

    Attributes
    ----------
    coef_ : ndarray, shape (features,)
    intercept_ : float
    n_iter_ : int
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from cipherblas.linear_model import Ridge
    >>> X = np.arange(12.0).reshape(6, 2) % 5
    >>> Ridge(alpha=0.5).fit(X, X[:, 0]).coef_.shape
    (2,)
    """

    _kind = "ridge"

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        solver: Literal["closed_form", "nag", "gd"] = "closed_form",
        max_iter: int = 5,
        learning_rate: float | list[float] = 1.0,
        batch_size: int | None = None,
        security: int = 128,
        precision_bits: int = 20,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.security = security
        self.precision_bits = precision_bits

    def _penalty(self) -> float:
        alpha = float(self.alpha)
        if not (0 <= alpha < math.inf):
            raise ParameterError(
                f"invalid parameter alpha: got {self.alpha!r}, expected a number that is not negative",
                operation="alpha",
                got=repr(self.alpha),
                expected="a number that is not negative",
            )
        return alpha


class LogisticRegression(ClassifierMixin, _LinearModel):  # type: ignore[misc]
    """Logistic regression on encrypted data, by gradient steps with a polynomial in place of the sigmoid.

    Parameters
    ----------
    C : float, default inf
        Inverse strength of the L2 penalty, as in scikit-learn; without a penalty by default.
    max_iter : int, default 5
        Gradient steps. Each takes 3 to 5 levels of depth, by the degree of the sigmoid, and depth is limited: some ten steps at 128
        bits of security.
    solver : {"nag", "gd"}, default "nag"
        Nesterov's accelerated gradient, or plain gradient descent.
    learning_rate : float or list of float, default 1.0
        Of every step, or one for each, for features of variance one that are decorrelated, as ``fit`` makes them.
    batch_size : int, optional
        Rows that a step looks at. Default all.
    fit_intercept : bool, default True
    sigmoid_degree : {1, 3, 5, 7}, default 3
        Degree of the polynomial.
    sigmoid_bound : float, default 8.0
        Scores beyond it are not approximated: `fit` warns.
    security : {128, 192, 256}, default 128
    precision_bits : int, default 16
        The weights are right to some ``2**-precision_bits`` of those of the same algorithm in clear.

    Attributes
    ----------
    classes_ : ndarray
    coef_ : ndarray, shape (1, features) or (classes, features)
    intercept_ : ndarray, shape (1,) or (classes,)
    n_iter_ : ndarray, shape (1,)
    n_features_in_ : int

    Notes
    -----
    More than two classes are trained one against the rest, on the same encrypted rows.

    Examples
    --------
    >>> import numpy as np
    >>> from cipherblas.linear_model import LogisticRegression
    >>> X = np.array([[-2.0], [-1.0], [-0.5], [0.5], [1.0], [2.0]])
    >>> LogisticRegression(max_iter=2).fit(X, [0, 0, 0, 1, 1, 1]).predict([[-1.5], [1.5]])
    array([0, 1])
    """

    _kind = "logistic"

    def __init__(
        self,
        *,
        C: float = math.inf,
        max_iter: int = 5,
        solver: Literal["nag", "gd"] = "nag",
        learning_rate: float | list[float] = 1.0,
        batch_size: int | None = None,
        fit_intercept: bool = True,
        sigmoid_degree: int = 3,
        sigmoid_bound: float = 8.0,
        security: int = 128,
        precision_bits: int = 16,
    ) -> None:
        self.C = C
        self.max_iter = max_iter
        self.solver = solver
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.fit_intercept = fit_intercept
        self.sigmoid_degree = sigmoid_degree
        self.sigmoid_bound = sigmoid_bound
        self.security = security
        self.precision_bits = precision_bits

    def _is_closed_form(self) -> bool:
        if self.solver != "closed_form":
            return False
        hint = 'use `solver="nag"`, or `Ridge` on targets -1 and +1 for a classifier by least squares'
        raise ParameterError(
            f'invalid parameter solver: got "closed_form", expected "nag" or "gd": logistic regression has no closed form; {hint}',
            operation="solver",
            got='"closed_form"',
            expected='"nag" or "gd"',
            hint=hint,
        )

    def _shorter(self) -> str:
        return "use fewer iterations, or a sigmoid of degree 1"

    def _l2(self, rows: int) -> float:
        if not self.C > 0:
            raise ParameterError(
                f"invalid parameter C: got {self.C!r}, expected a positive number",
                operation="C",
                got=repr(self.C),
                expected="a positive number",
            )
        return 1.0 / (float(self.C) * rows)

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> LogisticRegression:
        """Encrypt, train on ciphertexts, decrypt.

        Parameters
        ----------
        X : array_like, shape (n, features)
        y : array_like, shape (n,)
            Labels of two or more classes.

        Returns
        -------
        self
        """
        rows, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_ = unique_labels(labels)
        if self.classes_.size < 2:
            raise ValueError(
                f"got one class, {self.classes_[0]!r}, expected at least two: there is nothing to tell apart"
            )
        positive = self.classes_[1:] if self.classes_.size == 2 else self.classes_
        fits = self._fit_in_roles(rows, [(labels == c).astype(np.float64) for c in positive])
        coef = np.vstack([w for w, _ in fits])
        intercept = np.array([b for _, b in fits])
        if not self.fit_intercept:
            intercept = np.zeros_like(intercept)
        self._set(coef, intercept, self.max_iter)
        self.n_iter_ = np.array([self.max_iter])
        largest = float(np.abs(rows @ coef.T + intercept).max())
        if largest > 1.25 * self.sigmoid_bound:
            message = (
                f"scores reach {largest:.3g}, beyond the interval of the polynomial sigmoid ({self.sigmoid_bound:g}): "
                "use a larger `sigmoid_bound`, a smaller `C`, or fewer iterations"
            )
            warnings.warn(message, ConvergenceWarning, stacklevel=2)
        return self

    def _fitted(self, coef: npt.NDArray[Any], intercept: float, iterations: int) -> LogisticRegression:
        model = copy.copy(self)
        model.classes_ = np.array([0, 1])
        model._set(coef.reshape(1, -1), np.array([intercept]), iterations)
        model.n_iter_ = np.array([iterations])
        model.n_features_in_ = coef.size
        return model

    def decision_function(self, X: EncryptedArray | npt.ArrayLike) -> Any:
        """Scores: of plain rows in clear, of encrypted rows encrypted.

        Parameters
        ----------
        X : array_like or EncryptedArray, shape (n, features)

        Returns
        -------
        ndarray or EncryptedArray, shape (n,) or (n, classes)
        """
        if isinstance(X, EncryptedArray):
            check_is_fitted(self)
            two_dimensions("decision function", X.shape, self.coef_.shape[1])
            if len(self.coef_) == 1:
                return X @ self.coef_[0] + self.intercept_[0]
            return X @ self.coef_.T + self.intercept_
        scores = self._validated(X) @ self.coef_.T + self.intercept_
        return scores[:, 0] if scores.shape[1] == 1 else scores

    @staticmethod
    def _in_clear(operation: str, X: object) -> None:
        if isinstance(X, EncryptedArray):
            hint = (
                "classes are comparisons: decrypt the scores of `decision_function`, see `from_sklearn(model).labels`"
            )
            raise no_such(X.scheme, f"{operation} of encrypted rows", hint)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Classes of plain rows.

        Parameters
        ----------
        X : array_like, shape (n, features)

        Returns
        -------
        ndarray, shape (n,)
        """
        self._in_clear("predict", X)
        scores = self.decision_function(X)
        index = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return np.asarray(self.classes_[index])

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Probabilities of the classes for plain rows, with the sigmoid itself; normalized for more than two.

        Parameters
        ----------
        X : array_like, shape (n, features)

        Returns
        -------
        ndarray, shape (n, classes)
        """
        from scipy.special import expit

        self._in_clear("predict_proba", X)
        p = expit(self.decision_function(X))
        if p.ndim == 1:
            return np.column_stack([1 - p, p])
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def predict_log_proba(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Logarithms of :meth:`predict_proba`."""
        return np.asarray(np.log(self.predict_proba(X)))
