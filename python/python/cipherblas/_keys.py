"""The three roles: the owner's secret key, the public key of contributors, the evaluation keys of a server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

import numpy as np
import numpy.typing as npt

from cipherblas import _core as _native
from cipherblas._array import EncryptedArray, Packing, packing_core
from cipherblas._bytes import Buffer, as_bytes
from cipherblas._check import argument, kind, lengths, real_number, whole_number
from cipherblas._params import Params
from cipherblas._plain import located, no_such, plain_array
from cipherblas.errors import EncodingError, ParameterError
from cipherblas.progress import Reporter

if TYPE_CHECKING:
    from cipherblas._plan import Plan

__all__ = ["EvaluationKeys", "PublicKey", "SecretKey"]


def _encrypt(
    key: _native.SecretKey | _native.PublicKey,
    scheme: str,
    values: npt.ArrayLike,
    keys: EvaluationKeys | None,
    packing: Packing | None,
    depth: int | None,
    bound: float | None,
) -> EncryptedArray:
    several = isinstance(values, (list, tuple)) and any(isinstance(v, EncryptedArray) for v in values)
    if isinstance(values, EncryptedArray) or several:
        hint = (
            "join encrypted arrays: `cb.stack([x, y])`"
            if several
            else "it is encrypted; `x.bind(ek)` gives it other keys"
        )
        raise argument("encrypt", "encrypted arrays" if several else "an EncryptedArray", "plain values", hint)
    if keys is not None and not isinstance(keys, EvaluationKeys):
        raise argument("encrypt: keys", kind(keys), "EvaluationKeys", _instead_of_keys(keys))
    own = None if keys is None else keys._core
    lies = None if packing is None else packing_core(packing)
    levels = None if depth is None else whole_number(depth, "depth", 0)
    hint = "a bound on the absolute values, as `bound=100.0`"
    largest = None if bound is None else real_number(bound, "encrypt: bound", hint)
    plain = plain_array(values, scheme, "encrypt")
    with Reporter("encryption", "ciphertexts") as reporter:
        try:
            core = key.encrypt(plain, own, lies, levels, largest, reporter.callback)
        except EncodingError as error:
            raise located(error, plain, values, "encrypt") from None
    return EncryptedArray._wrap(core)


def _instead_of_keys(given: object) -> str:
    """What to write where something else stands in the place of evaluation keys."""
    if isinstance(given, PublicKey):
        return (
            "`pk.encrypt(x)` encrypts under a public key; the second argument is what computes: `sk.evaluation_keys()`"
        )
    if isinstance(given, SecretKey):
        return "they are made of the secret key: `sk.evaluation_keys()`"
    if isinstance(given, Packing):
        return "a packing has a name: `packing=`"
    return "they are made by `sk.evaluation_keys()`"


class SecretKey:
    """The owner's key: encrypts, decrypts, makes the other keys.

    Never pickled, printed or copied; :meth:`save` under a passphrase is the only way it leaves memory.

    Examples
    --------
    >>> import cipherblas as cb
    >>> sk = cb.SecretKey.generate(cb.BfvParams(depth=1, plaintext_bits=20))
    >>> sk.decrypt(sk.encrypt([1, -2, 3], bound=3) * 10)
    array([ 10, -20,  30])
    """

    __slots__ = ("__weakref__", "_core")
    _core: _native.SecretKey

    def __init__(self, *_: object, **__: object) -> None:
        hint = "secret keys are made by `SecretKey.generate(params)` or `SecretKey.open(path, passphrase)`"
        raise argument("SecretKey()", "a call of the class", "a call of a method", hint)

    @classmethod
    def _wrap(cls, core: _native.SecretKey) -> SecretKey:
        key = object.__new__(cls)
        key._core = core
        return key

    @classmethod
    def generate(cls, params: Params) -> SecretKey:
        """Draw a key from the randomness of the operating system.

        Parameters
        ----------
        params : Params
        """
        if not isinstance(params, Params):
            expected = "CkksParams, BfvParams or PaillierParams"
            raise argument("params", kind(params), expected, "e.g. `SecretKey.generate(CkksParams(depth=2))`")
        return cls._wrap(_native.SecretKey.generate(params._core))

    @property
    def params(self) -> Params:
        """The parameters."""
        return Params._wrap(self._core.params)

    @property
    def scheme(self) -> str:
        """``"ckks"``, ``"bfv"`` or ``"paillier"``."""
        return self._core.params.scheme

    @property
    def key_id(self) -> str:
        """Public name of the key."""
        return self._core.id

    @property
    def shared_left(self) -> int | None:
        """Results that can still be decrypted with ``share=True``; None for the exact schemes, where all can.

        Counted in this object and in the file that it is saved to: save it again after sharing.
        """
        return self._core.shared_left

    def shared_error_bound(self, array: EncryptedArray, bound: float | None = None) -> float:
        """Bound on the error of every value of ``decrypt(array, share=True, bound=bound)``: nothing is decrypted or counted.

        Parameters
        ----------
        array : EncryptedArray
            Under CKKS.
        bound : float, optional
            Your own bound on the error before the noise. Default ``array.error_bound``.

        Returns
        -------
        float
            Where it is above a sixteenth of the declared range of the values, `decrypt` refuses.
        """
        if not isinstance(array, EncryptedArray):
            raise argument("shared_error_bound", kind(array), "an EncryptedArray", _instead_of_array(array))
        given = array.error_bound if bound is None else bound
        own = real_number(given, "shared_error_bound: bound", "a bound on the error of every value")
        return self._core.shared_error_bound(array._core, own)

    def public_key(self) -> PublicKey:
        """The key of those who contribute data: it encrypts, and cannot decrypt.

        Drawn at the first call. A secret key that was opened from a file draws another, which does as well but has another
        fingerprint: keep the bytes of the first.
        """
        return PublicKey._wrap(self._core.public_key())

    def evaluation_keys(
        self,
        *,
        shapes: Iterable[SupportsIndex | Sequence[SupportsIndex]] | None = None,
        plan: Plan | Any | None = None,
    ) -> EvaluationKeys:
        """The keys of a server: it computes with them, and cannot decrypt.

        Parameters
        ----------
        shapes : iterable of shapes, optional
            Keys for every operation on arrays of these shapes, their products included.
        plan : Plan, or anything with `relinearization` and `rotations`, optional
            The keys that one computation needs, no others: the fewest and the fastest. From :func:`cipherblas.plan`, or the
            ``plan`` method of an estimator.

        Returns
        -------
        EvaluationKeys
            By default for every operation on every shape: one key for each rotation by a power of two, of which all others are
            put together. Under Paillier there are no such keys; what is returned holds the public key.

        Notes
        -----
        Keys are large: ``params.key_bytes`` each, some ``2 * log2(slots)`` of them by default.
        """
        slots = self._core.params.slots
        if plan is not None and shapes is not None:
            hint = "a plan lists the keys of a computation, shapes all for such arrays"
            raise argument("evaluation_keys", "both", "`shapes=` or `plan=`, not both", hint)
        if plan is not None:
            relinearization, rotations = _listed(plan)
        else:
            width = slots if shapes is None else min(slots, _widest(shapes))
            relinearization, rotations = True, _native.rotations_of_powers_of_two(width)
        with Reporter("evaluation keys", "keys", len(rotations) + relinearization) as reporter:
            core = self._core.evaluation_keys(relinearization, rotations, reporter.callback)
        return EvaluationKeys._wrap(core)

    def encrypt(
        self,
        values: npt.ArrayLike,
        keys: EvaluationKeys | None = None,
        *,
        packing: Packing | None = None,
        depth: int | None = None,
        bound: float | None = None,
    ) -> EncryptedArray:
        """Encrypt an array.

        Parameters
        ----------
        values : array_like
            0 to 2 dimensions, of any real type: NumPy arrays in any order, sequences, data frames, Arrow tables. Integers only
            under BFV. A float64 (BFV: int64) array in C order is not copied.
        keys : EvaluationKeys, optional
            Bind the array to them, to compute on it here. Without, the array is for sending.
        packing : Packing, optional
            Where the values lie in ciphertexts.
        depth : int, optional
            Afford no more than so many multiplications: smaller and faster. Default all that the parameters have.
        bound : float, optional
            A bound on the absolute values, **public**: choose it beforehand, or round it up to a power of two. Under BFV it is
            needed for sums; under CKKS it sharpens error bounds.

        Returns
        -------
        EncryptedArray

        Raises
        ------
        EncodingError
            For values that are no numbers, not finite, or beyond the bound.
        ShapeError
            For empty arrays, and more than two dimensions.
        """
        return _encrypt(self._core, self.scheme, values, keys, packing, depth, bound)

    def decrypt(self, array: EncryptedArray, *, share: bool = False, bound: float | None = None) -> npt.NDArray[Any]:
        """Decrypt an array.

        Parameters
        ----------
        array : EncryptedArray
        share : bool, default False
            Add noise, so that the result can be shown to others: the digits of a plain CKKS decryption tell about the key (the
            IND-CPA-D attack). Parameters need ``sharing=`` for it. Ignored by the exact schemes, whose results tell nothing more.
        bound : float, optional
            With ``share``: your own bound on the error of every value, that the noise follows, no smaller than the one that the
            array states. Needed for arrays that came as bytes: what they state is the word of whoever sent them, and noise after
            a bound that is too small protects nothing. Default, for arrays computed here: ``array.error_bound``.

        Returns
        -------
        numpy.ndarray
            Of ``array.shape`` and ``array.dtype``.

        Raises
        ------
        KeyMismatchError
            If the array is under another key.
        DecryptionError
            If it is not a valid result under this key.
        """
        if not isinstance(array, EncryptedArray):
            raise argument("decrypt", kind(array), "an EncryptedArray", _instead_of_array(array))
        if bound is not None and not share:
            hint = "without `share=True` nothing is added to the result"
            raise argument("decrypt", "`bound=` alone", "`bound=` together with `share=True`", hint)
        own = None if bound is None else real_number(bound, "decrypt: bound", "a bound on the error of every value")
        with Reporter("decryption", "ciphertexts", array.ciphertexts) as reporter:
            return np.asarray(self._core.decrypt(array._core, share, own, reporter.callback))

    def load(self, blob: Buffer) -> EncryptedArray:
        """Read an array that came back: parameters, key, lengths and every number are checked.

        Raises
        ------
        WireError, KeyMismatchError
        """
        if not isinstance(self, SecretKey):
            hint = "a key is read from a file by `SecretKey.open(path, passphrase)`; `sk.load(blob)` reads an array"
            raise argument("SecretKey.load", kind(self), "a secret key", hint)
        return EncryptedArray._wrap(self._core.load(as_bytes(blob)))

    def save(self, path: str | os.PathLike[str], passphrase: str | bytes, *, overwrite: bool = False) -> None:
        """Write the key to a file under a passphrase (Argon2id, XChaCha20-Poly1305), readable by its owner only.

        Parameters
        ----------
        path : path-like
        passphrase : str or bytes
            Strings are encoded as UTF-8. Whoever has it and the file has the key.
        overwrite : bool, default False
            Replace a file that is there.
        """
        self._core.save(os.fspath(path), _passphrase(passphrase), overwrite)

    @classmethod
    def open(cls, path: str | os.PathLike[str], passphrase: str | bytes) -> SecretKey:
        """Read a key that was saved.

        Raises
        ------
        PassphraseError
            For a wrong passphrase or a damaged file; which of them is not told.
        FileError
            If the file cannot be read.
        """
        return cls._wrap(_native.SecretKey.open(os.fspath(path), _passphrase(passphrase), False))

    @classmethod
    def insecure_open(cls, path: str | os.PathLike[str], passphrase: str | bytes) -> SecretKey:
        """As :meth:`open`, also for keys of parameters without security: for tests."""
        return cls._wrap(_native.SecretKey.open(os.fspath(path), _passphrase(passphrase), True))

    def __repr__(self) -> str:
        return f"SecretKey({self.scheme}, key={self.key_id[:8]}, redacted)"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise no_such(
            "SecretKey", "pickling and copying", "`sk.save(path, passphrase)` is the only way a key leaves memory"
        )

    def __getstate__(self) -> NoReturn:
        self.__reduce_ex__(5)


class PublicKey:
    """The key of those who contribute data: it encrypts. Made by :meth:`SecretKey.public_key`."""

    __slots__ = ("__weakref__", "_core")
    _core: _native.PublicKey

    def __init__(self, *_: object, **__: object) -> None:
        hint = "public keys are made by `sk.public_key()` or `PublicKey.from_bytes(blob)`"
        raise argument("PublicKey()", "a call of the class", "a call of a method", hint)

    @classmethod
    def _wrap(cls, core: _native.PublicKey) -> PublicKey:
        key = object.__new__(cls)
        key._core = core
        return key

    @property
    def params(self) -> Params:
        """The parameters."""
        return Params._wrap(self._core.params)

    @property
    def scheme(self) -> str:
        """``"ckks"``, ``"bfv"`` or ``"paillier"``."""
        return self._core.params.scheme

    @property
    def key_id(self) -> str:
        """Public name of the key. A name only: compare :attr:`fingerprint` to know whose key it is."""
        return self._core.id

    @property
    def fingerprint(self) -> str:
        """Hash of the key, to be compared over another channel before data are encrypted under it."""
        return self._core.fingerprint()

    def encrypt(
        self,
        values: npt.ArrayLike,
        keys: EvaluationKeys | None = None,
        *,
        packing: Packing | None = None,
        depth: int | None = None,
        bound: float | None = None,
    ) -> EncryptedArray:
        """Encrypt an array; see :meth:`SecretKey.encrypt`. Twice as large on the wire as by the secret key."""
        return _encrypt(self._core, self.scheme, values, keys, packing, depth, bound)

    def load(self, blob: Buffer) -> EncryptedArray:
        """Read an array under this key, not bound to evaluation keys."""
        return EncryptedArray._wrap(self._core.load(as_bytes(blob)))

    def to_bytes(self) -> bytes:
        """Serialize, parameters included."""
        return self._core.to_bytes()

    @classmethod
    def from_bytes(cls, blob: Buffer) -> PublicKey:
        """Read a key, and validate it with its parameters.

        Raises
        ------
        WireError, ParameterError, KeyMismatchError
        """
        return cls._wrap(_native.PublicKey.from_bytes(as_bytes(blob), False))

    @classmethod
    def insecure_from_bytes(cls, blob: Buffer) -> PublicKey:
        """As :meth:`from_bytes`, also for parameters without security: for tests."""
        return cls._wrap(_native.PublicKey.from_bytes(as_bytes(blob), True))

    def __reduce__(self) -> tuple[Callable[[bytes], PublicKey], tuple[bytes]]:
        return (PublicKey.from_bytes, (self.to_bytes(),))

    def __copy__(self) -> PublicKey:
        return self

    def __deepcopy__(self, memo: Any) -> PublicKey:
        return self

    def __repr__(self) -> str:
        return f"PublicKey({self.scheme}, key={self.key_id[:8]})"


class EvaluationKeys:
    """The keys of a server: what products and rotations need; nothing decrypts with them.

    Made by :meth:`SecretKey.evaluation_keys`, sent as bytes.

    Examples
    --------
    >>> import cipherblas as cb
    >>> sk = cb.SecretKey.generate(cb.CkksParams(depth=1))
    >>> blob = sk.evaluation_keys(shapes=[(8,)]).to_bytes()
    >>> server = cb.EvaluationKeys.from_bytes(blob)
    >>> y = server.load(sk.encrypt([1.0, 2.0]).to_bytes()).sum()
    >>> round(float(sk.decrypt(sk.load(y.to_bytes()))), 3)
    3.0
    """

    __slots__ = ("__weakref__", "_core")
    _core: _native.EvaluationKeys

    def __init__(self, *_: object, **__: object) -> None:
        hint = "evaluation keys are made by `sk.evaluation_keys()` or `EvaluationKeys.from_bytes(blob)`"
        raise argument("EvaluationKeys()", "a call of the class", "a call of a method", hint)

    @classmethod
    def _wrap(cls, core: _native.EvaluationKeys) -> EvaluationKeys:
        keys = object.__new__(cls)
        keys._core = core
        return keys

    @property
    def params(self) -> Params:
        """The parameters."""
        return Params._wrap(self._core.params)

    @property
    def scheme(self) -> str:
        """``"ckks"``, ``"bfv"`` or ``"paillier"``."""
        return self._core.params.scheme

    @property
    def key_id(self) -> str:
        """Public name of the secret key that they belong to."""
        return self._core.id

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._core.nbytes

    def __len__(self) -> int:
        """Number of keys."""
        return len(self._core)

    def __bool__(self) -> bool:
        return True

    def bind(self, array: EncryptedArray) -> EncryptedArray:
        """The array with these keys: ``array.bind(keys)``."""
        if not hasattr(array, "bind"):
            hint = "plain arrays are bound by encryption: `sk.encrypt(x, ek)`"
            raise argument("bind", kind(array), "an EncryptedArray", hint)
        return array.bind(self)

    def load(self, blob: Buffer) -> EncryptedArray:
        """Read an array, and bind it: parameters, key, lengths and every number are checked before anything is used.

        Raises
        ------
        WireError, KeyMismatchError
        """
        return EncryptedArray._wrap(self._core.load(as_bytes(blob)))

    def to_bytes(self) -> bytes:
        """Serialize, parameters included: a third of the size in memory, as one half of each key is a seed."""
        return self._core.to_bytes()

    @classmethod
    def from_bytes(cls, blob: Buffer) -> EvaluationKeys:
        """Read keys, and validate them with their parameters.

        Raises
        ------
        WireError, ParameterError, KeyMismatchError
        """
        return cls._wrap(_native.EvaluationKeys.from_bytes(as_bytes(blob), False))

    @classmethod
    def insecure_from_bytes(cls, blob: Buffer) -> EvaluationKeys:
        """As :meth:`from_bytes`, also for parameters without security: for tests."""
        return cls._wrap(_native.EvaluationKeys.from_bytes(as_bytes(blob), True))

    def __reduce__(self) -> tuple[Callable[[bytes], EvaluationKeys], tuple[bytes]]:
        return (EvaluationKeys.from_bytes, (self.to_bytes(),))

    def __copy__(self) -> EvaluationKeys:
        return self

    def __deepcopy__(self, memo: Any) -> EvaluationKeys:
        return self

    def __repr__(self) -> str:
        return f"EvaluationKeys({self.scheme}, key={self.key_id[:8]}, {len(self)} keys, {self.nbytes / 2**20:.0f} MiB)"


def _listed(plan: Any) -> tuple[bool, set[int]]:
    """What a plan lists."""
    try:
        return bool(plan.relinearization), set(plan.rotations)
    except (AttributeError, TypeError):
        expected = "a Plan, or anything with `relinearization` and `rotations`"
        hint = "it is made by `cb.plan(computation, X=shape, params=sk.params)`, or `model.plan(...)`"
        raise argument("evaluation_keys: plan", kind(plan), expected, hint) from None


def _instead_of_array(given: object) -> str:
    """How something else is decrypted, if it can be."""
    if isinstance(given, (SecretKey, PublicKey, EvaluationKeys)):
        return "keys are no data: `sk.decrypt(x)`"
    if isinstance(given, (list, tuple)):
        return "decrypt one array at a time"
    if isinstance(given, (bytes, bytearray, memoryview)):
        return "read it first: `sk.decrypt(sk.load(blob))`"
    if hasattr(given, "decrypt"):
        return "a model is decrypted by itself: `model.decrypt(sk)`"
    return "it is not encrypted"


def _widest(shapes: Any) -> int:
    """The most slots that an array of these shapes spans."""
    if isinstance(shapes, (str, bytes, EncryptedArray)) or not isinstance(shapes, Iterable):
        raise argument("evaluation_keys: shapes", kind(shapes), "a list of shapes", "e.g. `shapes=[(30, 5), (5,)]`")
    return max((_width(s) for s in shapes), default=1)


def _width(shape: SupportsIndex | Sequence[SupportsIndex]) -> int:
    """Slots that an array of this shape spans, padded to powers of two."""
    if isinstance(shape, EncryptedArray):
        raise argument("evaluation_keys: shapes", kind(shape), "a list of shapes", "pass its shape: `shapes=[x.shape]`")
    width = 1
    for n in lengths(shape, "evaluation_keys: shapes"):
        if n < 1:
            raise ParameterError(
                f"invalid parameter shapes: got {shape!r}, expected positive lengths",
                operation="shapes",
                got=repr(shape),
                expected="positive lengths",
            )
        width *= 1 << (n - 1).bit_length()
    return width


def _passphrase(passphrase: str | bytes) -> bytes:
    if isinstance(passphrase, str):
        return passphrase.encode()
    if isinstance(passphrase, bytes):
        return passphrase
    raise argument("passphrase", kind(passphrase), "str or bytes", "it seals the file of the key")
