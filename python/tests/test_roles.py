"""Owner, contributor and server: bytes between them, keys at rest, processes."""

import os
import pickle
import stat
import subprocess
import sys

import cipherblas as cb
import numpy as np
import pytest

SCHEMES = ["ckks", "bfv", "paillier"]


@pytest.fixture(params=SCHEMES)
def ctx(request, secure):
    return secure[request.param]


def buffers(blob):
    """The same bytes as objects of every kind."""
    frozen = np.frombuffer(b"\0" + blob, dtype=np.uint8)[1:]
    return [
        blob,
        bytearray(blob),
        memoryview(blob),
        memoryview(bytearray(b"\0" + blob))[1:],
        frozen,
        memoryview(frozen),
    ]


def test_arrays_are_read_from_any_buffer(ctx):
    values = ctx.values((2, 3))
    for blob in buffers(ctx.encrypt(values).to_bytes()):
        ctx.check(ctx.ek.load(blob), values)
        ctx.check(ctx.sk.load(blob), values)
    apart = np.frombuffer(ctx.encrypt(values).to_bytes(), dtype=np.uint8).repeat(2)[::2]
    ctx.check(ctx.ek.load(apart), values)
    with pytest.raises(TypeError, match="expected bytes"):
        ctx.ek.load("text")


@pytest.mark.parametrize("shape", [(), (5,), (3, 4)])
def test_bytes_keep_the_shape(ctx, shape):
    values = ctx.values(shape)
    x = ctx.encrypt(values)
    y = ctx.ek.load(x.to_bytes())
    assert y.shape == shape
    assert y.depth_left == x.depth_left
    assert y.key_id == x.key_id
    ctx.check(y, values)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_pickle(ctx, protocol):
    values = ctx.values((2, 3))
    x = pickle.loads(pickle.dumps(ctx.encrypt(values), protocol=protocol))
    ctx.check(x, values)
    assert x.is_bound == (ctx.scheme == "paillier")
    ctx.check(x.bind(ctx.ek) + x, 2 * values)


def test_arrays_pickle_out_of_band(ctx):
    values = ctx.values((2, 3))
    x = ctx.encrypt(values)
    found = []
    blob = pickle.dumps(x, protocol=5, buffer_callback=found.append)
    assert len(found) == 1
    assert found[0].raw().nbytes == len(x.to_bytes())
    assert len(blob) < 4096
    ctx.check(pickle.loads(blob, buffers=[bytes(found[0])]), values)
    ctx.check(pickle.loads(blob, buffers=found), values)


def test_public_objects_pickle(ctx):
    pk = ctx.sk.public_key()
    for thing in (ctx.sk.params, pk, ctx.ek):
        twin = pickle.loads(pickle.dumps(thing))
        assert type(twin) is type(thing)
    assert pickle.loads(pickle.dumps(ctx.sk.params)) == ctx.sk.params
    assert hash(pickle.loads(pickle.dumps(ctx.sk.params))) == hash(ctx.sk.params)
    twin = pickle.loads(pickle.dumps(pk))
    assert (twin.key_id, twin.fingerprint, twin.params) == (pk.key_id, pk.fingerprint, pk.params)
    values = ctx.values(4)
    ctx.check(twin.encrypt(values, ctx.ek, bound=4.0), values)
    assert len(pickle.loads(pickle.dumps(ctx.ek))) == len(ctx.ek)
    assert cb.Params.from_bytes(ctx.sk.params.to_bytes()) == ctx.sk.params


def test_arrays_of_a_public_key(ctx):
    pk = cb.PublicKey.from_bytes(ctx.sk.public_key().to_bytes())
    values = ctx.values((3, 2))
    x = pk.encrypt(values, bound=4.0)
    ctx.check(x, values)
    ctx.check(pk.load(x.to_bytes()), values)
    assert pk.key_id == ctx.sk.key_id


def test_secret_keys_at_rest(ctx, tmp_path):
    path = tmp_path / "secret.key"
    ctx.sk.save(path, "correct horse")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    twin = cb.SecretKey.open(path, b"correct horse")
    assert (twin.key_id, twin.params) == (ctx.sk.key_id, ctx.sk.params)
    values = ctx.values(5)
    np.testing.assert_allclose(twin.decrypt(ctx.encrypt(values)), values, atol=1e-2)
    with pytest.raises(cb.PassphraseError, match="passphrase"):
        cb.SecretKey.open(path, "wrong horse")
    with pytest.raises(cb.CipherblasError):
        ctx.sk.save(path, "another")
    ctx.sk.save(path, "another", overwrite=True)
    with pytest.raises(cb.PassphraseError):
        cb.SecretKey.open(path, "correct horse")
    with pytest.raises(cb.ParameterError, match="passphrase"):
        ctx.sk.save(tmp_path / "empty.key", "")
    with pytest.raises(TypeError, match="str or bytes"):
        ctx.sk.save(tmp_path / "none.key", None)
    with pytest.raises(cb.FileError, match="cannot read") as caught:
        cb.SecretKey.open(tmp_path / "missing.key", "x")
    assert caught.value.got == str(tmp_path / "missing.key")
    assert isinstance(caught.value, OSError)
    assert [p.name for p in tmp_path.iterdir()] == ["secret.key"]


def test_insecure_keys_do_not_open_by_the_ordinary_name(tmp_path):
    sk = cb.SecretKey.generate(cb.CkksParams.insecure_degree(16))
    sk.save(tmp_path / "toy.key", "x")
    with pytest.raises(cb.ParameterError, match="insecure"):
        cb.SecretKey.open(tmp_path / "toy.key", "x")
    assert cb.SecretKey.insecure_open(tmp_path / "toy.key", "x").key_id == sk.key_id


@pytest.mark.parametrize("depth", [0, 2])
def test_sharing_at_the_default_precision(depth):
    params = cb.CkksParams(depth=depth, sharing=40)
    sk = cb.SecretKey.generate(params)
    values = np.linspace(-1, 1, 50)
    x = sk.encrypt(values, bound=1.0)
    results = [(x, values)]
    if depth:
        results.append((sk.evaluation_keys().bind(x) * 0.5, values / 2))
    for y, clear in results:
        for _ in range(20):
            shared = sk.decrypt(y, share=True)
            # Doubles leave some 13 bits beside the noise, whatever the precision.
            assert np.abs(shared - clear).max() < 2.0**-13


def test_sharing_follows_the_owners_bound():
    """Bounds that came as bytes are the word of whoever sent them."""
    params = cb.CkksParams(depth=1, precision_bits=15, sharing=4)
    sk = cb.SecretKey.generate(params)
    ek = sk.evaluation_keys()
    x = sk.encrypt([0.5, -1.0], ek, bound=1.0)
    for received in [
        sk.load(x.to_bytes()),
        ek.load(x.to_bytes()),
        pickle.loads(pickle.dumps(x)),
        ek.load(x.to_bytes()).bind(ek),
        ek.load(x.to_bytes()) + x,
        x + ek.load(x.to_bytes()),
        x * ek.load(x.to_bytes()),
        ek.load(x.to_bytes()) * 0.5,
        -ek.load(x.to_bytes())[:1],
        ek.load(x.to_bytes()).sum(),
        np.concatenate([x, ek.load(x.to_bytes())]),
    ]:
        with pytest.raises(cb.ParameterError, match="came as bytes.*pass `bound=`"):
            sk.decrypt(received, share=True)
    assert sk.shared_left == 4
    sk.decrypt(sk.load(x.to_bytes()), share=True, bound=2 * x.error_bound)
    sk.decrypt(x * x, share=True)
    assert sk.shared_left == 2


def test_a_fork_does_not_share(tmp_path):
    sk = cb.SecretKey.generate(cb.CkksParams(depth=0, sharing=2))
    x = sk.encrypt([0.5], bound=1.0)
    child = os.fork()
    if child == 0:
        try:
            sk.decrypt(x, share=True)
        except cb.ParameterError as error:
            os._exit(17 if "share results from one process" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
    sk.decrypt(x, share=True)
    path = tmp_path / "key"
    sk.save(path, "words")
    again = cb.SecretKey.open(path, "words")
    assert sk.shared_left == again.shared_left == 1
    again.decrypt(x, share=True)
    with pytest.raises(cb.ParameterError, match="at most 2 for this key"):
        again.decrypt(x, share=True)


def test_damage_anywhere_is_one_error(tmp_path):
    sk = cb.SecretKey.generate(cb.CkksParams.insecure_degree(16))
    path = tmp_path / "key"
    sk.save(path, "words")
    blob = path.read_bytes()
    for cut in [5, 40, 80, len(blob) // 2, len(blob) - 1]:
        path.write_bytes(blob[:cut])
        with pytest.raises(cb.PassphraseError):
            cb.SecretKey.insecure_open(path, "words")
    for at in [8, 10, 20, 50, 60, 90, 120, len(blob) - 1]:
        path.write_bytes(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :])
        with pytest.raises(cb.PassphraseError):
            cb.SecretKey.insecure_open(path, "words")
    path.write_bytes(b"not a key at all" * 10)
    with pytest.raises(cb.WireError):
        cb.SecretKey.insecure_open(path, "words")


def test_fingerprints_bind_parameters_and_key(ctx):
    pk = ctx.sk.public_key()
    assert ctx.sk.public_key().fingerprint == pk.fingerprint
    again = cb.PublicKey.from_bytes(pk.to_bytes())
    assert again.fingerprint == pk.fingerprint != pk.key_id


def test_bytes_that_can_change_are_copied():
    """They are read without the interpreter's lock."""
    blob = bytearray(secure_blob := cb.SecretKey.generate(cb.CkksParams(depth=0)).encrypt([1.0]).to_bytes())
    from cipherblas._bytes import as_bytes

    assert not np.shares_memory(as_bytes(blob), np.frombuffer(blob, dtype=np.uint8))
    assert np.shares_memory(as_bytes(secure_blob), np.frombuffer(secure_blob, dtype=np.uint8))


def test_sharing():
    params = cb.CkksParams(depth=1, precision_bits=15, sharing=4)
    sk = cb.SecretKey.generate(params)
    values = np.array([0.5, -1.0, 0.25])
    x = sk.encrypt(values, bound=1.0)
    shared = sk.decrypt(x, share=True)
    assert np.abs(shared - values).max() < 2.0**-10
    # The noise is fresh each time, and much larger than the error of the ciphertext.
    assert np.abs(shared - sk.decrypt(x, share=True)).max() > 0
    for _ in range(2):
        sk.decrypt(x, share=True, bound=x.error_bound)
    with pytest.raises(cb.ParameterError, match="at most 4 for this key"):
        sk.decrypt(x, share=True)
    with pytest.raises(TypeError, match="together with `share=True`"):
        sk.decrypt(x, bound=1.0)
    private = cb.SecretKey.generate(cb.CkksParams(depth=1))
    with pytest.raises(cb.ParameterError, match="sharing"):
        private.decrypt(private.encrypt(values), share=True)


SERVER = """
import sys, cipherblas as cb
def read():
    return sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(8), "little"))
def write(blob):
    sys.stdout.buffer.write(len(blob).to_bytes(8, "little") + blob); sys.stdout.buffer.flush()
keys = cb.EvaluationKeys.from_bytes(read())
x = keys.load(read())
y = x @ [1, 2, 3] if keys.scheme == "paillier" else x * x
write(y.to_bytes())
write((x.sum(axis=0) - 1).to_bytes())
assert not any(isinstance(thing, cb.SecretKey) for thing in globals().values())
"""


def test_two_processes(ctx):
    values = ctx.values((4, 3))

    def framed(blob):
        return len(blob).to_bytes(8, "little") + blob

    sent = framed(ctx.ek.to_bytes()) + framed(ctx.sk.encrypt(values, bound=4.0).to_bytes())
    command = [sys.executable, "-W", "error", "-c", SERVER]
    out = subprocess.run(command, input=sent, capture_output=True, timeout=120)
    assert out.returncode == 0, out.stderr.decode()
    received = out.stdout
    results = []
    while received:
        n = int.from_bytes(received[:8], "little")
        results.append(ctx.sk.load(received[8 : 8 + n]))
        received = received[8 + n :]
    ctx.check(results[0], values @ [1, 2, 3] if ctx.scheme == "paillier" else values * values, largest=0.1)
    ctx.check(results[1], values.sum(axis=0) - 1, largest=0.1)


def test_printed_parameters(ctx):
    text = str(ctx.sk.params)
    assert "security" in text or "bits" in text
    assert repr(ctx.sk.params).startswith(type(ctx.sk.params).__name__)
    assert "<pre>" in ctx.sk.params._repr_html_()
    for thing in (ctx.ek, ctx.sk.public_key()):
        assert ctx.sk.key_id[:8] in repr(thing)


def test_a_kilobyte_does_not_ask_for_the_largest_tables():
    """Keys of degree 2^17 are long; a message that is not is refused before the tables of such parameters are made."""
    params = cb.CkksParams(depth=40)
    assert params.degree == 2**17
    sk = cb.SecretKey.generate(params)
    keys = sk.evaluation_keys(plan=cb.plan(lambda x: x + 1.0, x=(3,), params=params))
    with pytest.raises(cb.WireError, match="degree"):
        cb.EvaluationKeys.from_bytes(keys.to_bytes())
    public = cb.PublicKey.from_bytes(sk.public_key().to_bytes())
    assert public.key_id == sk.key_id


def test_noise_is_told_before_it_is_added():
    sk = cb.SecretKey.generate(cb.CkksParams(depth=2, sharing=4))
    ek = sk.evaluation_keys()
    values = np.array([1.0, 2.0, 3.0])
    # Without a bound, the noise is that of the largest values there can be, and more than the values themselves.
    large = sk.encrypt(values, ek)
    assert sk.shared_error_bound((large * large).sum()) > 64
    with pytest.raises(cb.ParameterError, match="declare smaller bounds"):
        sk.decrypt((large * large).sum(), share=True)
    assert sk.shared_left == 4
    small = sk.encrypt(values, ek, bound=4.0)
    result = (small * small).sum()
    error = sk.shared_error_bound(result)
    assert result.error_bound < error < 1.0
    assert abs(sk.decrypt(result, share=True) - 14.0) <= error
    with pytest.raises(cb.UnsupportedError, match="shared as they are"):
        exact = cb.SecretKey.generate(cb.BfvParams())
        exact.shared_error_bound(exact.encrypt([1], bound=4))


def test_arrays_of_several_ciphertexts_are_shared_as_a_whole():
    sk = cb.SecretKey.generate(cb.CkksParams(depth=1, sharing=3))
    x = sk.encrypt(np.ones(5), packing=cb.Packing.spread(), bound=1.0)
    assert x.ciphertexts == 5
    with pytest.raises(cb.ParameterError, match="5 ciphertexts to share together.*at most 3"):
        sk.decrypt(x, share=True)
    assert sk.shared_left == 3
    sk.decrypt(x[:3], share=True)
    assert sk.shared_left == 0


def test_keys_that_came_as_bytes_mark_what_they_compute():
    """Their noise is the word of whoever sent them."""
    sk = cb.SecretKey.generate(cb.CkksParams(depth=1, sharing=3))
    ek = sk.evaluation_keys(shapes=[(2,)])
    back = cb.EvaluationKeys.from_bytes(ek.to_bytes())
    x = sk.encrypt([1.0, 2.0], bound=2.0)
    for array in [sk.encrypt([1.0, 2.0], back, bound=2.0).sum(), x.bind(back).sum()]:
        with pytest.raises(cb.ParameterError, match="your own bound"):
            sk.decrypt(array, share=True)
    sk.decrypt(x.bind(ek).sum(), share=True)


def test_bytes_of_ciphertexts_of_two_lengths():
    """Fresh ciphertexts of the secret key have half the length of others."""
    sk = cb.SecretKey.generate(cb.CkksParams(depth=1))
    values = np.linspace(-1, 1, 3 * sk.params.slots)
    fresh = sk.encrypt(values[: sk.params.slots])
    computed = sk.encrypt(values[sk.params.slots :]) + 0.0
    both = np.concatenate([fresh, computed])
    assert both.ciphertexts == 3
    assert 2 * len(fresh.to_bytes()) < len(both.to_bytes()) < 6 * len(fresh.to_bytes())
    again = sk.load(both.to_bytes())
    assert np.abs(sk.decrypt(again) - values).max() <= again.error_bound
    assert np.abs(sk.decrypt(pickle.loads(pickle.dumps(both))) - values).max() <= again.error_bound
