"""Every exception, provoked for real, by its content."""

import copy
import math
import operator
import pickle
import re

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
    with pytest.raises(
        cb.DepthError, match="with_depth: got 3, expected at most 0, which is left; depth is given up"
    ) as caught:
        x.with_depth(3)
    assert attributes(caught.value)[:3] == ("with_depth", "3", "at most 0")
    with pytest.raises(cb.ParameterError, match="depth: got -1, expected a whole number from 0 on"):
        x.with_depth(-1)


def test_missing_key(ckks):
    x = ckks.sk.encrypt(np.ones(6))
    with pytest.raises(cb.MissingKeyError, match="bind the array to evaluation keys") as caught:
        x.sum()
    assert "rotation" in caught.value.expected or "evaluation keys" in caught.value.expected
    with pytest.raises(cb.MissingKeyError, match="relinearization|evaluation keys"):
        x * x


def test_an_array_without_evaluation_keys_says_how_to_bind_it(lattice):
    x = lattice.sk.encrypt(lattice.values((4, 5)), bound=4.0)
    for provoke in (x.sum, lambda: x.T @ x, lambda: x * x, lambda: x[1, 1:3], lambda: x.reshape(20)):
        with pytest.raises(
            cb.MissingKeyError, match="needs evaluation keys, and the array is not bound to any"
        ) as caught:
            provoke()
        assert caught.value.expected == "evaluation keys"
        assert all(way in caught.value.hint for way in ("`x.bind(ek)`", "`sk.encrypt(x, ek)`", "`ek.load(blob)`"))
    few = lattice.sk.evaluation_keys(plan=Listed(False, {1}))
    bound = x.bind(few)
    assert bound.is_bound
    with pytest.raises(
        cb.MissingKeyError, match="which this array's evaluation keys do not hold; .* `shapes=`"
    ) as caught:
        bound * bound
    assert "relinearization" in caught.value.expected


class Listed:
    """Something that lists keys, as plans do."""

    def __init__(self, relinearization, rotations):
        self.relinearization, self.rotations = relinearization, rotations


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
    with pytest.raises(IndexError, match="got several `...`"):
        x[..., ...]
    for key, got in [(10**30, str(10**30)), (-4, "-4"), ("a", "str"), (0.5, "float")]:
        with pytest.raises(IndexError) as index:
            x[key]
        assert isinstance(index.value, cb.ShapeError)
        assert index.value.got == got
        assert index.value.expected
    with pytest.raises(errors.ArgumentError, match="expected one of whole numbers"):
        x[1:2.5]
    ckks.check(x[:: 10**30], ckks.values((3, 4))[:1])
    ckks.check(x[:: -(10**30)], ckks.values((3, 4))[-1:])
    with pytest.raises(cb.ShapeError, match="is empty"):
        x[10**30 :]


def test_overflow_and_noise(bfv):
    x = bfv.sk.encrypt([1, 2, 3], bfv.ek)
    with pytest.raises(
        errors.OverflowError, match=r"declare the bound of the data at encryption \(`sk.encrypt\(x, ek, bound"
    ) as caught:
        x + x
    assert caught.value.expected.startswith("at most")
    assert isinstance(caught.value, OverflowError)
    assert cb.OverflowError is errors.OverflowError
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
    assert attributes(caught.value)[:3] == (None, None, None)
    assert caught.value.hint.startswith("results have to stay below `params.max_value`")
    assert "`integer_bits`" in str(caught.value)


@pytest.mark.parametrize(
    ("provoke", "hint"),
    [
        (np.asarray, "df.to_numpy() @ x"),
        (lambda x: f"{x:.2f}", "sk.decrypt"),
        (lambda x: len(x[0]), "no axis"),
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
        (np.abs, "square"),
        (abs, "the square, `x * x`"),
        (lambda x: round(x, 2), "round what was decrypted"),
        (math.floor, "round what was decrypted"),
        (math.ceil, "round what was decrypted"),
        (math.trunc, "round what was decrypted"),
        (lambda x: np.round(x, 2), "round what was decrypted"),
        (np.isnan, "encryption refuses them"),
        (np.nanmean, "`x.mean(axis)`"),
        (lambda x: x // 2, "multiply by the reciprocal"),
        (lambda x: 2 // x, "1/y"),
        (lambda x: np.floor_divide(x, 2), "multiply by the reciprocal"),
        (lambda x: x % 2, "remainder then"),
        (lambda x: 2 % x, "remainder then"),
        (lambda x: divmod(x, 2), "remainder then"),
        (lambda x: pow(x, 2, 3), "remainder then"),
        (lambda x: ~x, "`1 - x`"),
        (lambda x: x & 1, "`x * y`"),
        (lambda x: 1 | x, "`x + y - x * y`"),
        (lambda x: x ^ x, "`x + y - 2 * x * y`"),
        (lambda x: x << 1, "`x * 2**n`"),
        (lambda x: x >> 1, "`x * 2.0**-n`"),
        (lambda x: 2**x, "polynomial"),
        (lambda x: x**x, "polynomial"),
        (lambda x: np.power(2, x), "polynomial"),
        (lambda x: np.power(x, [1, 2, 3]), "one power at a time"),
        (lambda x: x**0, "np.ones(x.shape)"),
        (lambda x: x ** "2", "polynomial"),
        (lambda x: 1.0 in x, "comparisons"),
        (lambda x: operator.delitem(x, 0), "join slices"),
        (reversed, "x[::-1]"),
        (lambda x: x.std(), "`(x * x).mean(axis) - x.mean(axis) ** 2`"),
        (lambda x: x.var(axis=0), "`(x * x).mean(axis) - x.mean(axis) ** 2`"),
        (np.std, "`(x * x).mean(axis) - x.mean(axis) ** 2`"),
        (lambda x: x.max(), "comparisons"),
        (lambda x: x.argmax(axis=0), "comparisons"),
        (lambda x: x.tolist(), "sk.decrypt"),
        (lambda x: x.astype(int), "convert what was decrypted"),
        (lambda x: x.iloc, "by position"),
        (np.cumsum, "np.tri(len(x)) @ x"),
        (lambda x: np.pad(x, 1), "plain matrix"),
        (lambda x: np.split(x, 3), "slices"),
        (lambda x: np.linalg.norm(x), "sum of squares"),
        (lambda x: np.concatenate([x, [1.0]]), "pk.encrypt"),
        (lambda x: np.polyval(x, 2), "the coefficients stand first"),
        (lambda x: np.multiply.outer(x, x), "np.outer"),
        (lambda x: np.maximum(x, 0), "comparisons"),
        (np.sort, "comparisons"),
        (np.median, "comparisons"),
        (lambda x: np.where(x, 1, 0), "comparisons"),
        (lambda x: np.linalg.inv(x), "linear_model"),
        (lambda x: np.add(x, 1, out=np.zeros(3)), "leave it out"),
        (lambda x: np.add(x, 1, where=[True, False, True]), "leave it out"),
        (lambda x: np.add.accumulate(x), "x.sum"),
        (lambda x: np.sum(x, dtype=np.float32), "leave the option out"),
        (lambda x: np.sum(x, axis=0, out=np.zeros(())), "leave it out: results are new arrays"),
        (lambda x: np.reshape(x, (3, 1), order="F"), "leave the option out"),
        (lambda x: np.nextafter(x, 1), "sums, products, powers"),
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
    # Of a scheme is only said what another one can do.
    assert caught.value.operation == "bootstrapping" or str(caught.value).startswith("encrypted arrays do not support ")


def test_only_the_option_that_is_not_there_is_blamed(ckks):
    x = ckks.encrypt(ckks.values((3, 4)))
    with pytest.raises(cb.UnsupportedError) as caught:
        np.sum(x, axis=0, keepdims=True, out=np.zeros((1, 4)))
    assert caught.value.operation == "numpy.sum with `out=`"
    ckks.check(np.sum(x, axis=0, out=None), ckks.values((3, 4)).sum(axis=0))
    with pytest.raises(errors.ArgumentError, match="pass options by name"):
        np.sum(x, 0, np.float64)
    with pytest.raises(errors.ArgumentError, match="axis: got str, expected a whole number"):
        np.sum(x, axis="a")


def test_hints_fit_the_scheme(any_scheme):
    x = any_scheme.encrypt(any_scheme.values((3, 4)))
    expected = {
        "ckks": {"std": ".mean(axis)", "exp": "x.polynomial", "absolute": "x * x", "floor_divide": "reciprocal"},
        "bfv": {"std": ".sum(axis)", "exp": "use CKKS", "absolute": "x * x", "floor_divide": "sk.decrypt(x) // y"},
        "paillier": {
            "std": "encrypt the squares",
            "exp": "use CKKS",
            "absolute": "decrypt",
            "floor_divide": "reciprocal",
        },
    }[x.scheme]
    for name, hint in expected.items():
        with pytest.raises(cb.UnsupportedError) as caught:
            getattr(np, name)(x, 2) if name == "floor_divide" else getattr(np, name)(x)
        assert hint in caught.value.hint
        assert caught.value.got == x.scheme


def test_recipes_of_hints(ckks):
    values = ckks.values((4, 4))
    x = ckks.encrypt(values)
    ckks.check((x * x).mean(axis=0) - x.mean(axis=0) ** 2, values.var(axis=0))
    ckks.check(np.tri(len(x)) @ x, values.cumsum(axis=0))
    ckks.check((x * np.eye(*x.shape)).sum(), np.trace(values))
    ckks.check((x * np.eye(*x.shape)).sum(axis=1), np.diag(values))
    ckks.check(np.eye(len(x))[[0, 2]] @ x, values[[0, 2]])
    ckks.check(np.eye(6, 4) @ x, np.pad(values, ((0, 2), (0, 0))))
    part = ckks.sk.public_key().encrypt(values[:1])
    ckks.check(cb.concatenate([x, part]), np.concatenate([values, values[:1]]))


def test_attributes_that_are_not_there_are_not_there(ckks):
    x = ckks.encrypt(ckks.values(3))
    for name in ("std", "max", "tolist", "iloc", "nothing", "__array_interface__"):
        assert not hasattr(x, name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        x.nothing  # noqa: B018
    with pytest.raises(AttributeError) as caught:
        x.std  # noqa: B018
    assert isinstance(caught.value, cb.UnsupportedError)


def arguments():
    """Calls with arguments of another kind, and what the exception says."""
    packing = cb.Packing
    return [
        (
            lambda c, x: c.sk.encrypt([1.0], packing="rows"),
            "packing: got 'rows', expected a Packing; write `cb.Packing.rows()`",
        ),
        (lambda c, x: c.sk.encrypt([1.0], packing=packing.columns), "expected a Packing; write `cb.Packing.columns()`"),
        (lambda c, x: c.sk.encrypt([1.0], packing="left_factor"), "write `cb.Packing.left_factor(...)`"),
        (lambda c, x: c.sk.encrypt([1.0], packing=3), "packing: got int, expected a Packing; packings are made by"),
        (lambda c, x: packing.for_matrix(3, 4), "expected rows and columns"),
        (lambda c, x: x.bind(None), "bind: got NoneType, expected EvaluationKeys; they are made by the key's owner"),
        (lambda c, x: x.bind(c.sk), "bind: got SecretKey, expected EvaluationKeys"),
        (lambda c, x: c.ek.bind([1.0]), "bind: got list, expected an EncryptedArray"),
        (
            lambda c, x: c.sk.encrypt([1.0], c.sk.public_key()),
            "got PublicKey, expected EvaluationKeys; `pk.encrypt(x)`",
        ),
        (lambda c, x: c.sk.encrypt([1.0], c.sk), "got SecretKey, expected EvaluationKeys"),
        (lambda c, x: c.sk.encrypt(x), "got an EncryptedArray, expected plain values; it is encrypted; `x.bind(ek)`"),
        (lambda c, x: c.sk.encrypt([x, x]), "got encrypted arrays, expected plain values; .*`cb.stack([x, y])`"),
        (lambda c, x: c.sk.encrypt([1.0], packing.rows()), "a packing has a name: `packing=`"),
        (
            lambda c, x: c.sk.encrypt([1.0], bound="a"),
            "encrypt: bound: got str, expected a number; a bound on the absolute",
        ),
        (lambda c, x: c.sk.encrypt([1.0], bound=[1.0, 2.0]), "encrypt: bound: got list, expected a number"),
        (lambda c, x: c.sk.encrypt([1.0], depth=1.5), "depth: got float, expected a whole number from 0 on"),
        (
            lambda c, x: cb.SecretKey.load("path", "pw"),
            "got str, expected a secret key; .*`SecretKey.open(path, passphrase)`",
        ),
        (lambda c, x: c.sk.load("path"), "got str, expected bytes"),
        (lambda c, x: c.sk.load(x), "got EncryptedArray, expected bytes .* `x.to_bytes()`"),
        (lambda c, x: c.sk.save("path", 5), "passphrase: got int, expected str or bytes"),
        (
            lambda c, x: c.sk.evaluation_keys(plan=3),
            "plan: got int, expected a Plan, or anything with `relinearization`",
        ),
        (lambda c, x: c.sk.evaluation_keys(plan=cb.plan), "plan: got function, expected a Plan"),
        (
            lambda c, x: c.sk.evaluation_keys(shapes=3),
            "shapes: got int, expected a list of shapes; e.g. `shapes=[(30, 5), (5,)]`",
        ),
        (lambda c, x: c.sk.evaluation_keys(shapes=["a"]), "shapes: got str, expected whole numbers"),
        (lambda c, x: c.sk.evaluation_keys(shapes=[x]), "pass its shape: `shapes=[x.shape]`"),
        (lambda c, x: cb.set_num_threads("a"), "threads: got str, expected a whole number from 1 to 1024"),
        (
            lambda c, x: c.sk.decrypt(np.ones(3)),
            "decrypt: got ndarray, expected an EncryptedArray; it is not encrypted",
        ),
        (lambda c, x: c.sk.decrypt([x]), "decrypt one array at a time"),
        (lambda c, x: c.sk.decrypt(x.to_bytes()), "read it first: `sk.decrypt(sk.load(blob))`"),
        (lambda c, x: c.sk.decrypt(c.ek), "keys are no data"),
        (
            lambda c, x: c.sk.decrypt(Model()),
            "decrypt: got Model, .*a model is decrypted by itself: `model.decrypt(sk)`",
        ),
        (lambda c, x: c.sk.decrypt(x, bound=1.0), "expected `bound=` together with `share=True`"),
        (lambda c, x: cb.EncryptedArray([1, 2]), "made by `sk.encrypt(x, ek)`"),
        (lambda c, x: cb.SecretKey(c.sk.params), "made by `SecretKey.generate(params)`"),
        (lambda c, x: cb.PublicKey(c.sk), "made by `sk.public_key()`"),
        (lambda c, x: cb.EvaluationKeys(c.sk), "made by `sk.evaluation_keys()`"),
        (lambda c, x: x.with_depth("a"), "depth: got str"),
        (lambda c, x: x.reshape("a"), "reshape: got str, expected whole numbers"),
        (lambda c, x: x.reshape(2.5), "reshape: got float, expected whole numbers"),
        (lambda c, x: x.sum(axis=1.5), "axis: got float, expected a whole number"),
        (lambda c, x: np.broadcast_to(x, "a"), "shape: got str"),
    ]


class Model:
    """Something that is decrypted by its own method."""

    def decrypt(self, sk):
        """As models have it."""


@pytest.mark.parametrize(("provoke", "text"), arguments())
def test_arguments_of_another_kind(ckks, provoke, text):
    x = ckks.encrypt([1.0, 2.0])
    parts = text.split(".*")
    with pytest.raises(errors.ArgumentError, match=".*".join(re.escape(part) for part in parts)) as caught:
        provoke(ckks, x)
    assert isinstance(caught.value, TypeError)
    assert caught.value.expected
    assert caught.value.hint in str(caught.value)


@pytest.mark.parametrize("threads", [-1, 0, 1025])
def test_numbers_of_threads(threads):
    with pytest.raises(cb.ParameterError, match=f"threads: got {threads}, expected a whole number from 1 to 1024"):
        cb.set_num_threads(threads)


def test_hints_are_in_the_words_of_the_package(ckks, paillier, tmp_path):
    values = ckks.values((4, 4))
    path = tmp_path / "key"
    ckks.sk.save(path, "passphrase")
    skewed = ckks.sk.encrypt(values, ckks.ek, packing=cb.Packing.left_factor(4))
    diagonal = ckks.sk.encrypt(values, ckks.ek, packing=cb.Packing.diagonal())
    vector = cb.Packing.for_matrix((4, 3), 8)
    rows = paillier.sk.encrypt(values, packing=cb.Packing.rows())
    x = ckks.encrypt(values)
    for provoke, match in [
        (lambda: ckks.sk.save(path, "passphrase"), "or replace the file: `overwrite=True`"),
        (lambda: ckks.sk.decrypt(x, share=True), "make parameters with `sharing=` for as many"),
        (
            lambda: rows @ np.arange(4.0),
            "`packing=Packing.spread\\(\\)`, Paillier's default, or make parameters with `slots=1`",
        ),
        (lambda: rows.sum(), "`packing=Packing.spread\\(\\)`"),
        (lambda: rows * rows, "paillier does not support products of encrypted values; use BFV or CKKS"),
        (lambda: rows**2, "paillier does not support products of encrypted values"),
        (lambda: skewed.sum(axis=0), "got an array encrypted with `Packing.left_factor` or `Packing.right_factor`"),
        (
            lambda: diagonal.sum(axis=0),
            "got an array encrypted with `Packing.diagonal\\(\\)`.*`packing=Packing.auto\\(\\)`",
        ),
        (lambda: ckks.sk.encrypt(values, packing=vector), "got `Packing.for_matrix` for an array of shape"),
        (
            lambda: ckks.sk.encrypt(values[0], packing=cb.Packing.left_factor(2)),
            "got `Packing.left_factor` for an array",
        ),
        (
            lambda: ckks.sk.encrypt(values[0], packing=cb.Packing.rows()),
            "got `Packing.rows\\(\\)` for an array of shape",
        ),
        (
            lambda: skewed @ skewed,
            "got `Packing.left_factor` times `Packing.left_factor`, expected `Packing.left_factor.n.`",
        ),
    ]:
        with pytest.raises(cb.CipherblasError, match=match) as caught:
            provoke()
        text = " ".join(str(part) for part in (*attributes(caught.value), caught.value))
        for word in (
            "::",
            "save_over",
            "slots(1)",
            "mul_sum",
            "combine`",
            "lower_to",
            "repack",
            "Tile",
            "VectorPacking",
        ):
            assert word not in text


def test_membership_and_division_by_zero(ckks):
    x = ckks.encrypt([1.0])
    with pytest.raises(TypeError):
        1.0 in x  # noqa: B015
    with pytest.raises(ZeroDivisionError) as caught:
        x / 0
    assert isinstance(caught.value, cb.EncodingError)


def test_what_a_scheme_cannot_do(paillier, bfv):
    x = paillier.encrypt([1.0, 2.0])
    for provoke in (lambda: x * x, lambda: x @ x, lambda: x**2, lambda: x**3, lambda: x.polynomial([1, 2, 3])):
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
