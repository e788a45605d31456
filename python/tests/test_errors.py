"""Every exception, provoked for real, by its content."""

import copy
import operator
import pickle

import cipherblas as cb
import numpy as np
import pytest
from cipherblas import errors


def attributes(error):
    return error.operation, error.got, error.expected, error.hint


def test_they_are_all_of_one_family_and_pickle():
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, cb.CipherblasError)
        error = kind("message", operation="o", got="g", expected="e", hint="h")
        twin = pickle.loads(pickle.dumps(error))
        assert type(twin) is kind
        assert (str(twin), attributes(twin)) == ("message", ("o", "g", "e", "h"))


def test_depth(ckks):
    x = ckks.encrypt([1.0, 2.0]).with_depth(0)
    with pytest.raises(cb.DepthError, match="1 level.* of depth, 0 left; make parameters with more `depth`") as caught:
        x * x
    assert caught.value.got == "0 level(s) left"
    assert caught.value.expected == "1 level(s)"
    with pytest.raises(cb.DepthError):
        x.with_depth(3)


def test_missing_key(ckks):
    x = ckks.sk.encrypt(np.ones(6))
    with pytest.raises(cb.MissingKeyError, match="bind the array to evaluation keys") as caught:
        x.sum()
    assert "rotation" in caught.value.expected or "evaluation keys" in caught.value.expected
    with pytest.raises(cb.MissingKeyError, match="relinearization|evaluation keys"):
        x * x


def test_key_mismatch(ckks, bfv, secure):
    other = cb.SecretKey.generate(ckks.sk.params)
    x, y = ckks.encrypt([1.0]), other.encrypt([1.0])
    for provoke in (lambda: x + y, lambda: other.decrypt(x), lambda: y.bind(ckks.ek), lambda: other.load(x.to_bytes())):
        with pytest.raises(cb.KeyMismatchError, match="key") as caught:
            provoke()
        assert caught.value.got != caught.value.expected
    with pytest.raises(cb.KeyMismatchError, match="an array under ckks and an array under bfv"):
        x + bfv.encrypt([1])
    with pytest.raises(cb.KeyMismatchError, match="one under bfv"):
        bfv.sk.decrypt(x)
    with pytest.raises(cb.KeyMismatchError, match="evaluation keys of bfv"):
        ckks.sk.encrypt([1.0], bfv.ek)
    with pytest.raises(cb.KeyMismatchError, match="parameters"):
        secure["ckks"].sk.decrypt(x)
    with pytest.raises((cb.KeyMismatchError, cb.WireError)):
        bfv.ek.load(x.to_bytes())


def test_wire(any_scheme):
    ctx = any_scheme
    blob = ctx.encrypt(ctx.values(5)).to_bytes()
    for cut in (0, 1, 40, len(blob) // 2, len(blob) - 1):
        with pytest.raises(cb.WireError) as caught:
            ctx.ek.load(blob[:cut])
        assert caught.value.hint == "the bytes are truncated, altered, or of another kind"
    with pytest.raises(cb.WireError):
        ctx.ek.load(blob + b"\0")
    rng = np.random.default_rng(1)
    for at in rng.integers(0, len(blob), 60):
        broken = bytearray(blob)
        broken[at] ^= 1 << rng.integers(8)
        with pytest.raises(cb.CipherblasError):
            ctx.ek.load(broken)
    newer = bytearray(blob)
    newer[4:6] = b"\xff\x7f"
    with pytest.raises(cb.WireError, match="version"):
        ctx.ek.load(newer)
    with pytest.raises(cb.CipherblasError):
        ctx.ek.load(ctx.sk.public_key().to_bytes())
    with pytest.raises(cb.CipherblasError):
        cb.EvaluationKeys.insecure_from_bytes(blob)


def test_parameters():
    for provoke, what in [
        (lambda: cb.CkksParams(depth=-1), "depth"),
        (lambda: cb.CkksParams(depth=2.5), "depth"),
        (lambda: cb.CkksParams(depth=1000), "depth"),
        (lambda: cb.CkksParams(depth=1, precision_bits=50), "precision_bits"),
        (lambda: cb.CkksParams(depth=1, security=100), "security"),
        (lambda: cb.CkksParams(depth=20, degree=4096), "degree"),
        (lambda: cb.BfvParams(depth=1, plaintext_bits=70), "plaintext_bits"),
        (lambda: cb.PaillierParams(bits=1024), "bits"),
    ]:
        with pytest.raises(cb.ParameterError, match=what) as caught:
            provoke()
        assert caught.value.got is not None
        assert caught.value.expected
    with pytest.raises(cb.UnsupportedError, match="not built yet"):
        cb.CkksParams(depth=1, bootstrap=True)


def test_parameters_without_security_are_not_read_by_the_ordinary_name(ckks):
    with pytest.raises(cb.ParameterError, match="insecure"):
        cb.PublicKey.from_bytes(ckks.sk.public_key().to_bytes())
    with pytest.raises(cb.ParameterError, match="insecure"):
        pickle.loads(pickle.dumps(ckks.sk.params))
    assert cb.PublicKey.insecure_from_bytes(ckks.sk.public_key().to_bytes()).key_id == ckks.sk.key_id


def test_shapes(ckks):
    x = ckks.encrypt(ckks.values((3, 4)))
    for provoke, got in [
        (lambda: x @ x, "(3, 4) @ (3, 4)"),
        (lambda: x + np.ones((2, 2)), "(2, 2)"),
        (lambda: np.ones(4) @ x, "(4,) @ (3, 4)"),
        (lambda: x @ 2.0, "()"),
    ]:
        with pytest.raises(cb.ShapeError) as caught:
            provoke()
        assert got in caught.value.got
        assert caught.value.hint
    with pytest.raises(IndexError, match="out of bounds for an axis of 3"):
        x[5]
    with pytest.raises(IndexError, match="too many indices"):
        x[0, 0, 0]


def test_overflow_and_noise(bfv):
    x = bfv.sk.encrypt([1, 2, 3], bfv.ek)
    with pytest.raises(
        errors.OverflowError, match=r"declare the bound of the data at encryption \(`sk.encrypt\(x, ek, bound"
    ) as caught:
        x + x
    assert caught.value.expected.startswith("at most")
    sk = cb.SecretKey.generate(cb.BfvParams.insecure_degree(16, depth=1, plaintext_bits=20, headroom_bits=1))
    y = sk.encrypt([1], bound=1)
    with pytest.raises((errors.NoiseError, errors.OverflowError)):
        for _ in range(40):
            y = y + y


def test_noise_is_refused_before_it_is_too_much():
    sk = cb.SecretKey.generate(cb.BfvParams.insecure_degree(16, depth=1, plaintext_bits=50, headroom_bits=1))
    y = sk.encrypt([1], bound=1)
    with pytest.raises(errors.NoiseError, match="add up fewer terms") as caught:
        for _ in range(40):
            y = y + y
    assert "bits" in caught.value.got
    assert "bits" in caught.value.expected


def test_decryption():
    sk = cb.SecretKey.generate(cb.CkksParams.insecure_degree(64, depth=8, precision_bits=20, integer_bits=1))
    x = sk.encrypt(np.linspace(1, 1.9, 32))
    for factor in np.linspace(1.5, 2.0, 8):
        x = x * factor
    with pytest.raises(errors.DecryptionError) as caught:
        sk.decrypt(x)
    # Nothing that would tell what the values were.
    assert attributes(caught.value) == (None, None, None, "")


@pytest.mark.parametrize(
    ("provoke", "hint"),
    [
        (np.asarray, "sk.decrypt"),
        (bool, "sk.decrypt"),
        (float, "sk.decrypt"),
        (int, "sk.decrypt"),
        (complex, "sk.decrypt"),
        (operator.index, "sk.decrypt"),
        (lambda x: x == x, "decrypt first"),
        (lambda x: x != 1, "decrypt first"),
        (lambda x: x < 1, "decrypt first"),
        (lambda x: x >= 1, "decrypt first"),
        (list, "whole array"),
        (lambda x: [*x], "whole array"),
        (lambda x: operator.setitem(x, 0, 1.0), "immutable"),
        (lambda x: x[[0, 1]], "S @ x"),
        (lambda x: x[np.array([True, False, True])], "S @ x"),
        (np.exp, "polynomial"),
        (np.tanh, "polynomial"),
        (np.sqrt, "polynomial"),
        (np.abs, "comparisons"),
        (lambda x: np.maximum(x, 0), "comparisons"),
        (np.sort, "comparisons"),
        (np.median, "comparisons"),
        (lambda x: np.where(x, 1, 0), "comparisons"),
        (lambda x: np.linalg.inv(x), "guide"),
        (lambda x: np.add(x, 1, out=np.zeros(3)), "leave it out"),
        (lambda x: np.add(x, 1, where=[True, False, True]), "leave it out"),
        (lambda x: np.add.accumulate(x), "x.sum"),
        (lambda x: np.sum(x, dtype=np.float32), "leave the option out"),
        (lambda x: x**-1, "polynomial"),
        (lambda x: x**0.5, "polynomial"),
        (lambda x: 1 / x, "polynomial"),
        (lambda x: x / x, "polynomial"),
        (lambda x: x.bootstrap(), "more `depth`"),
    ],
)
def test_what_is_refused_says_what_to_do(ckks, provoke, hint):
    x = ckks.encrypt(ckks.values(3))
    with pytest.raises(cb.UnsupportedError) as caught:
        provoke(x)
    assert hint in caught.value.hint
    assert caught.value.hint in str(caught.value)


def test_membership_and_division_by_zero(ckks):
    x = ckks.encrypt([1.0])
    with pytest.raises(TypeError):
        1.0 in x  # noqa: B015
    with pytest.raises(ZeroDivisionError):
        x / 0


def test_what_a_scheme_cannot_do(paillier, bfv):
    x = paillier.encrypt([1.0, 2.0])
    for provoke in (lambda: x * x, lambda: x @ x, lambda: x**2):
        with pytest.raises(cb.UnsupportedError, match="BFV or CKKS"):
            provoke()
    with pytest.raises(cb.UnsupportedError, match="integers have no fractions"):
        bfv.encrypt([1]) / 2


def test_keys_are_made_by_their_factories():
    for kind in (cb.SecretKey, cb.PublicKey, cb.EvaluationKeys, cb.EncryptedArray):
        with pytest.raises(TypeError, match="made by"):
            kind()
    with pytest.raises(TypeError, match="expected CkksParams"):
        cb.SecretKey.generate("ckks")
    with pytest.raises(TypeError, match="not both"):
        cb.SecretKey.generate(cb.PaillierParams.insecure_bits(512)).evaluation_keys(shapes=[3], plan=object())


def test_secret_keys_do_not_leave(ckks, tmp_path):
    for provoke in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(cb.UnsupportedError, match="only way a key leaves memory"):
            provoke(ckks.sk)
    assert repr(ckks.sk) == f"SecretKey(ckks, key={ckks.sk.key_id[:8]}, redacted)"
    assert not hasattr(ckks.sk, "__dict__")
