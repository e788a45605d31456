"""Linear models on encrypted data, as scikit-learn estimators.

Three ways to use them: as an ordinary estimator on plain data, which encrypts, trains on ciphertexts and decrypts
(``fit``); in roles, where a server trains on what it cannot read (``plan``, ``encrypt``, ``fit_encrypted``, ``decrypt``); and
a plain scikit-learn model on encrypted rows (:func:`from_sklearn`). Several owners' rows are trained on by encrypted sums
(:class:`FederatedLogisticRegression`).
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as _error:
    raise ImportError("cipherblas.linear_model needs scikit-learn: `pip install 'cipherblas[sklearn]'`") from _error

from cipherblas.linear_model._estimators import LinearRegression, LogisticRegression, Ridge
from cipherblas.linear_model._federated import FederatedLogisticRegression, FederatedOwner
from cipherblas.linear_model._roles import EncryptedModel, EncryptedNormalEquations, FitPlan
from cipherblas.linear_model._sklearn import ScoringModel, from_sklearn

__all__ = [
    "EncryptedModel",
    "EncryptedNormalEquations",
    "FederatedLogisticRegression",
    "FederatedOwner",
    "FitPlan",
    "LinearRegression",
    "LogisticRegression",
    "Ridge",
    "ScoringModel",
    "from_sklearn",
]
