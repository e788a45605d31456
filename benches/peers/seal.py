"""SEAL (through ``tenseal.sealapi``) and TenSEAL's own vectors, timed on request.

As a server it first says its version, {"versions": {"tenseal": "..."}}, then answers one JSON object per line, so that
the caller can interleave its own measurements with these:

    {"op": "ckks/rotate", "degree": 16384, "threads": 1, "seconds": 0.2}  ->  {"ms": [28.9, ...], "note": "..."}

With ``--table`` it times everything and prints one JSON list. Errors are answers too: {"error": "..."}.
"""

import argparse
import functools
import json
import math
import random
import statistics
import sys
import time

import tenseal as ts
import tenseal.sealapi as seal

CKKS_DEGREES = (2**13, 2**14, 2**15)
NTT_DEGREES = (2**13, 2**14, 2**15, 2**16)
BFV_DEGREES = (2**13, 2**14)
BFV_PLAIN_BITS = 20
COMBINE = 16  # ciphertexts in and out of a combination
NTT_PRIME_BITS = 50
TENSEAL_SCALE = 2.0**40


class CkksSetup:
    """SEAL CKKS at the HE Standard's modulus for the degree (218, 438, 881 bits)."""

    def __init__(self, degree):
        params = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
        params.set_poly_modulus_degree(degree)
        modulus = seal.CoeffModulus.BFVDefault(degree, seal.SEC_LEVEL_TYPE.TC128)
        params.set_coeff_modulus(modulus)
        self.bits = sum(q.bit_count() for q in modulus)
        self.levels = len(modulus) - 2
        self.scale = 2.0 ** (modulus[-2].bit_count() - 1)  # a product, rescaled, is at the scale again
        self.context = seal.SEALContext(params, True, seal.SEC_LEVEL_TYPE.TC128)
        if not self.context.parameters_set():
            raise RuntimeError(self.context.parameters_error_message())
        keygen = seal.KeyGenerator(self.context)
        secret = keygen.secret_key()
        public, self.relin, self.galois = seal.PublicKey(), seal.RelinKeys(), seal.GaloisKeys()
        keygen.create_public_key(public)
        keygen.create_relin_keys(self.relin)
        keygen.create_galois_keys([3], self.galois)  # the binding takes Galois elements: 3 turns by one slot
        self.encoder = seal.CKKSEncoder(self.context)
        self.encryptor = seal.Encryptor(self.context, public)
        self.decryptor = seal.Decryptor(self.context, secret)
        self.evaluator = seal.Evaluator(self.context)
        source = random.Random(1)
        self.values = [source.uniform(-1, 1) for _ in range(degree // 2)]
        self.plain = seal.Plaintext()
        self.encoder.encode(self.values, self.scale, self.plain)
        self.a, self.b, self.out = seal.Ciphertext(), seal.Ciphertext(), seal.Ciphertext()
        self.encryptor.encrypt(self.plain, self.a)
        self.encryptor.encrypt(self.plain, self.b)
        self.decrypted, self.scratch = seal.Plaintext(), seal.Plaintext()
        self.decryptor.decrypt(self.a, self.decrypted)

    @property
    def note(self):
        return f"log QP {self.bits}, {self.levels} levels, error 2^{math.log2(self.worst):.0f}"

    def mul_relin_rescale(self):
        self.evaluator.multiply(self.a, self.b, self.out)
        self.evaluator.relinearize_inplace(self.out, self.relin)
        self.evaluator.rescale_to_next_inplace(self.out)

    def multiply(self):
        self.evaluator.multiply(self.a, self.b, self.out)

    def rotate(self):
        self.evaluator.rotate_vector(self.a, 1, self.galois, self.out)

    def encode(self):
        self.encoder.encode(self.values, self.scale, self.scratch)

    def decode(self):
        return self.encoder.decode_double(self.decrypted)

    def encrypt(self):
        self.encryptor.encrypt(self.plain, self.out)

    def encode_encrypt(self):
        self.encode()
        self.encryptor.encrypt(self.scratch, self.out)

    def decrypt_decode(self):
        self.decrypt()
        return self.encoder.decode_double(self.scratch)

    def decrypt(self):
        self.decryptor.decrypt(self.a, self.scratch)

    def check(self):
        """The timed product and rotation decrypt to what they should."""
        half = len(self.values)
        self.mul_relin_rescale()
        self.decryptor.decrypt(self.out, self.scratch)
        got = self.encoder.decode_double(self.scratch)
        worst = max(abs(g - v * v) for g, v in zip(got, self.values))
        self.rotate()
        self.decryptor.decrypt(self.out, self.scratch)
        got = self.encoder.decode_double(self.scratch)
        worst = max(worst, max(abs(got[i] - self.values[(i + 1) % half]) for i in range(half)))
        if not worst < 1e-4:
            raise RuntimeError(f"SEAL results are off by {worst}")
        self.worst = worst


class BfvSetup:
    """SEAL BFV at the HE Standard's modulus for the degree (218, 438 bits), batching modulo a prime of 20 bits."""

    def __init__(self, degree):
        params = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
        params.set_poly_modulus_degree(degree)
        modulus = seal.CoeffModulus.BFVDefault(degree, seal.SEC_LEVEL_TYPE.TC128)
        params.set_coeff_modulus(modulus)
        plain_modulus = seal.PlainModulus.Batching(degree, BFV_PLAIN_BITS)
        params.set_plain_modulus(plain_modulus)
        self.bits, self.t = sum(q.bit_count() for q in modulus), plain_modulus.value()
        self.context = seal.SEALContext(params, True, seal.SEC_LEVEL_TYPE.TC128)
        if not self.context.parameters_set():
            raise RuntimeError(self.context.parameters_error_message())
        keygen = seal.KeyGenerator(self.context)
        secret = keygen.secret_key()
        public, self.relin, self.galois = seal.PublicKey(), seal.RelinKeys(), seal.GaloisKeys()
        keygen.create_public_key(public)
        keygen.create_relin_keys(self.relin)
        keygen.create_galois_keys([3], self.galois)  # the binding takes Galois elements: 3 turns by one slot
        self.encoder = seal.BatchEncoder(self.context)
        self.encryptor = seal.Encryptor(self.context, public)
        self.decryptor = seal.Decryptor(self.context, secret)
        self.evaluator = seal.Evaluator(self.context)
        source = random.Random(1)
        self.half = degree // 2
        self.values = [source.randrange(-500, 500) for _ in range(degree)]
        self.scratch, self.out = seal.Plaintext(), seal.Ciphertext()
        self.cts = []
        for _ in range(COMBINE):
            ct = seal.Ciphertext()
            self.encode()
            self.encryptor.encrypt(self.scratch, ct)
            self.cts.append(ct)
        self.a, self.b = self.cts[:2]
        self.scalars = [[source.randrange(-500, 500) for _ in range(COMBINE)] for _ in range(COMBINE)]
        # A constant polynomial: SEAL multiplies by it without a transform.
        self.constants = [[seal.Plaintext(f"{w % self.t:x}") for w in row] for row in self.scalars]

    @property
    def note(self):
        return f"log QP {self.bits}, {self.levels} products in a row as measured, t {self.t}"

    def multiply(self):
        self.evaluator.multiply(self.a, self.b, self.out)

    def mul_relin(self):
        self.evaluator.multiply(self.a, self.b, self.out)
        self.evaluator.relinearize_inplace(self.out, self.relin)

    def rotate(self):
        self.evaluator.rotate_rows(self.a, 1, self.galois, self.out)

    def encode(self):
        self.encoder.encode(self.values, self.scratch)

    def encode_encrypt(self):
        self.encode()
        self.encryptor.encrypt(self.scratch, self.out)

    def decrypt_decode(self):
        self.decryptor.decrypt(self.a, self.scratch)
        return self.encoder.decode_int64(self.scratch)

    def combine(self):
        """Weighted sums of all ciphertexts; in `out` the last one is left."""
        product = seal.Ciphertext()
        for row in self.constants:
            self.evaluator.multiply_plain(self.cts[0], row[0], self.out)
            for ct, constant in zip(self.cts[1:], row[1:]):
                self.evaluator.multiply_plain(ct, constant, product)
                self.evaluator.add_inplace(self.out, product)

    def expect(self, what, expected):
        self.decryptor.decrypt(self.out, self.scratch)
        got = self.encoder.decode_int64(self.scratch)
        if any((g - e) % self.t for g, e in zip(got, expected)) or len(got) != len(expected):
            raise RuntimeError(f"SEAL's {what} is wrong")

    def check(self):
        self.mul_relin()
        self.expect("product", [v * v for v in self.values])
        self.rotate()
        first, second = self.values[: self.half], self.values[self.half :]
        self.expect("rotation", first[1:] + first[:1] + second[1:] + second[:1])
        self.combine()
        self.expect("combination", [v * sum(self.scalars[-1]) for v in self.values])
        self.levels = self.products()

    def products(self):
        """How many squarings one after another still decrypt. SEAL has no bound; this is what the noise is, once."""
        current, done = self.a, 0
        while True:
            product = seal.Ciphertext()
            self.evaluator.multiply(current, current, product)
            self.evaluator.relinearize_inplace(product, self.relin)
            if self.decryptor.invariant_noise_budget(product) == 0:
                return done
            current, done = product, done + 1


class NttSetup:
    """A BFV ciphertext that is taken to the NTT domain and back: 2 polynomials over a few 50-bit primes."""

    def __init__(self, degree):
        params = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
        params.set_poly_modulus_degree(degree)
        params.set_coeff_modulus(seal.CoeffModulus.Create(degree, [NTT_PRIME_BITS] * 3))
        params.set_plain_modulus(seal.PlainModulus.Batching(degree, 20))
        context = seal.SEALContext(params, True, seal.SEC_LEVEL_TYPE.NONE)
        if not context.parameters_set():
            raise RuntimeError(context.parameters_error_message())
        keygen = seal.KeyGenerator(context)
        public = seal.PublicKey()
        keygen.create_public_key(public)
        self.ciphertext = seal.Ciphertext()
        seal.Encryptor(context, public).encrypt_zero(self.ciphertext)
        self.evaluator = seal.Evaluator(context)
        self.limbs = self.ciphertext.size() * self.ciphertext.coeff_modulus_size()


@functools.cache
def ckks(degree):
    setup = CkksSetup(degree)
    setup.check()
    return setup


@functools.cache
def bfv(degree):
    setup = BfvSetup(degree)
    setup.check()
    return setup


@functools.cache
def ntt(degree):
    return NttSetup(degree)


@functools.cache
def tenseal_context(degree, threads, bits):
    context = ts.context(
        ts.SCHEME_TYPE.CKKS, poly_modulus_degree=degree, coeff_mod_bit_sizes=list(bits), n_threads=threads
    )
    context.global_scale = TENSEAL_SCALE
    context.generate_galois_keys()
    return context


@functools.cache
def tenseal_dot(threads):
    context = tenseal_context(2**13, threads, (60, 40, 40, 60))
    source = random.Random(2)
    a = [source.uniform(-1, 1) for _ in range(4096)]
    b = [source.uniform(-1, 1) for _ in range(4096)]
    x, y = ts.ckks_vector(context, a), ts.ckks_vector(context, b)
    expected = sum(p * q for p, q in zip(a, b))
    if not abs(x.dot(y).decrypt()[0] - expected) < 1e-2:
        raise RuntimeError("TenSEAL's dot product is wrong")
    return x, y


@functools.cache
def tenseal_matvec(threads, rows, cols):
    context = tenseal_context(2**13, threads, (60, 40, 40, 60))
    source = random.Random(3)
    a = [source.uniform(-1, 1) for _ in range(rows)]
    matrix = [[source.uniform(-1, 1) for _ in range(cols)] for _ in range(rows)]
    x = ts.ckks_vector(context, a)
    got = x.mm(matrix).decrypt()
    for j in range(cols):
        if not abs(got[j] - sum(a[i] * matrix[i][j] for i in range(rows))) < 1e-2:
            raise RuntimeError("TenSEAL's product is wrong")
    return x, matrix


@functools.cache
def tenseal_tensors(threads, size):
    """How to multiply two encrypted matrices, and how long the product took that was checked."""
    context = tenseal_context(2**13, threads, (60, 40, 40, 60))
    source = random.Random(4)
    a, b = ([[source.uniform(-1, 1) for _ in range(size)] for _ in range(size)] for _ in range(2))
    x, y = (ts.ckks_tensor(context, ts.plain_tensor(matrix)) for matrix in (a, b))
    start = time.perf_counter()
    product = x.mm(y)
    first = time.perf_counter() - start
    for row, got in zip(a, product.decrypt().tolist()):
        for j in range(size):
            if not abs(got[j] - sum(row[k] * b[k][j] for k in range(size))) < 1e-2:
                raise RuntimeError("TenSEAL's product of tensors is wrong")
    return lambda: x.mm(y), first


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
clock = time.perf_counter  # as the last request wanted it


def sample(call, seconds):
    """Times of single calls in milliseconds, for about `seconds`, at least one."""
    times, begin = [], time.perf_counter()
    while True:
        start = clock()
        call()
        end = clock()
        times.append((end - start) * 1e3)
        if time.perf_counter() - begin >= seconds:
            return times


def sample_ntt(degree, inverse, seconds):
    setup = ntt(degree)
    times, begin = [], time.perf_counter()
    while True:
        start = clock()
        setup.evaluator.transform_to_ntt_inplace(setup.ciphertext)
        middle = clock()
        setup.evaluator.transform_from_ntt_inplace(setup.ciphertext)
        end = clock()
        times.append(((end - middle) if inverse else (middle - start)) * 1e3 / setup.limbs)
        if time.perf_counter() - begin >= seconds:
            return times


def measure(op, degree=0, threads=1, seconds=0.2, clock="wall"):
    """(samples in milliseconds, note) of one operation."""
    globals()["clock"] = CLOCKS[clock]
    if op in ("ntt", "ntt_inverse"):
        samples = sample_ntt(degree, op == "ntt_inverse", seconds)
        return samples, f"{NTT_PRIME_BITS}-bit primes, per limb"
    if op == "bfv/combine":
        setup = bfv(degree)
        return sample(setup.combine, seconds), f"{COMBINE} x {COMBINE} scalars, {setup.note}"
    if op.startswith(("bfv/", "ckks/")) and op != "ckks/dot":
        scheme, name = op.split("/")
        setup = {"bfv": bfv, "ckks": ckks}[scheme](degree)
        note = (
            f"{name.replace('_', ' and ')}, {setup.note}"
            if name in ("encode_encrypt", "decrypt_decode")
            else setup.note
        )
        return sample(getattr(setup, name), seconds), note
    if op == "ckks/dot":
        x, y = tenseal_dot(threads)
        return sample(lambda: x.dot(y), seconds), "N=2^13, primes 60+40+40+60"
    if op.startswith("linalg/vec"):
        rows, cols = (int(part) for part in op.rsplit("_", 1)[1].split("x"))
        x, matrix = tenseal_matvec(threads, rows, cols)
        return sample(lambda: x.mm(matrix), seconds), "N=2^13, primes 60+40+40+60"
    if op == "linalg/enc16_enc16":
        call, first = tenseal_tensors(threads, 16)
        # Many seconds: the one that was checked counts, unless processor time is wanted.
        samples = [first * 1e3] if clock == "wall" else sample(call, seconds)
        return samples, "tensors, a ciphertext for each entry, N=2^13, primes 60+40+40+60"
    raise ValueError(f"unknown operation {op!r}")


def operations():
    for degree in NTT_DEGREES:
        yield "ntt", degree
        yield "ntt_inverse", degree
    for name in (
        "mul_relin_rescale",
        "multiply",
        "rotate",
        "encode",
        "decode",
        "encrypt",
        "encode_encrypt",
        "decrypt",
        "decrypt_decode",
    ):
        for degree in CKKS_DEGREES:
            yield f"ckks/{name}", degree
    for name in ("mul_relin", "multiply", "rotate", "encode_encrypt", "decrypt_decode", "combine"):
        for degree in BFV_DEGREES:
            yield f"bfv/{name}", degree
    yield "ckks/dot", 2**13
    yield "linalg/vec64_plain_64x64", 2**13
    yield "linalg/vec256_plain_256x128", 2**13
    yield "linalg/enc16_enc16", 2**13


def serve():
    print(json.dumps({"versions": {"tenseal": ts.__version__}}), flush=True)
    for line in sys.stdin:
        try:
            samples, note = measure(**json.loads(line))
            answer = {"ms": samples, "note": note}
        except Exception as error:  # every failure becomes an answer: the row of the table says it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "threads", nargs="?", help="not used: requests say how many threads TenSEAL gets, SEAL has none"
    )
    parser.add_argument("--table", action="store_true", help="time everything and print one JSON list")
    parser.add_argument("--seconds", type=float, default=1.0, help="time spent on each operation (with --table)")
    arguments = parser.parse_args()
    if not arguments.table:
        return serve()
    rows = []
    for op, degree in operations():
        samples, note = measure(op, degree, 1, arguments.seconds)
        rows.append(
            {"op": op, "degree": degree, "median_ms": statistics.median(samples), "min_ms": min(samples), "note": note}
        )
        print(rows[-1], file=sys.stderr)
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
