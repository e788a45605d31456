"""Parameters and keys that several files use: small rings without security for many cases, secure ones for roles."""

from dataclasses import dataclass

import cipherblas as cb
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "cipherblas", deadline=None, max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True
)
settings.load_profile("cipherblas")
cb.set_progress(False)


@dataclass(frozen=True)
class Context:
    """Keys of one scheme, and how its results compare."""

    sk: cb.SecretKey
    ek: cb.EvaluationKeys
    #: Largest absolute value of test data.
    bound: float

    @property
    def scheme(self):
        return self.sk.scheme

    def values(self, shape, seed=0):
        """Random values of the scheme's type."""
        rng = np.random.default_rng(seed)
        if self.scheme == "bfv":
            return rng.integers(-3, 4, size=shape)
        return rng.integers(-64, 65, size=shape) / 64.0

    def encrypt(self, values):
        return self.sk.encrypt(values, self.ek, bound=self.bound)

    def check(self, encrypted, expected, largest=1e-2):
        """Shape, type, and every value within the bound that the result carries, which is itself small."""
        result = self.sk.decrypt(encrypted)
        expected = np.asarray(expected)
        assert result.shape == expected.shape == encrypted.shape
        assert result.dtype == encrypted.dtype
        if self.scheme == "bfv":
            np.testing.assert_array_equal(result, expected)
            return
        assert encrypted.error_bound < largest
        # The last bits of decoding are the doubles' own.
        rounding = 1e-9 * (1 + np.abs(expected).max())
        assert np.abs(result - expected).max() <= encrypted.error_bound + rounding


def context(params, bound):
    sk = cb.SecretKey.generate(params)
    return Context(sk, sk.evaluation_keys(), bound)


@pytest.fixture(scope="session")
def ckks():
    """Eight slots: arrays take several ciphertexts."""
    return context(cb.CkksParams.insecure_degree(16, depth=6, precision_bits=30), 4.0)


@pytest.fixture(scope="session")
def bfv():
    return context(cb.BfvParams.insecure_degree(16, depth=4, plaintext_bits=50), 4.0)


@pytest.fixture(scope="session")
def paillier():
    return context(cb.PaillierParams.insecure_bits(512, 24, integer_bits=24), 4.0)


@pytest.fixture(params=["ckks", "bfv", "paillier"])
def any_scheme(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["ckks", "bfv"])
def lattice(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def secure():
    """The cheapest secure parameters of each scheme."""
    return {
        "ckks": context(cb.CkksParams(depth=1, precision_bits=15), 4.0),
        "bfv": context(cb.BfvParams(depth=1, plaintext_bits=20), 4.0),
        "paillier": context(cb.PaillierParams(bits=2048), 4.0),
    }
