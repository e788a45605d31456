"""Paillier of other libraries, timed on request: ``phe`` (with ``gmpy2``), ``sf-heu`` and ``pypaillier``.

Answers one JSON object per line, so that the caller can interleave its own measurements with these:

    {"op": "encrypt", "library": "phe, raw", "bits": 2048, "threads": 1, "seconds": 0.2}
        ->  {"ms": [12.1, ...], "note": "..."}

It first says which libraries are there: {"versions": {"phe": "1.5.0 + gmpy2 2.3.2"}, "absent": {"sf-heu": "why"}}.
Errors are answers too: {"error": "..."}. Results are decrypted and compared before times are taken.

The argument is the number of threads for the libraries that have them.
"""

import functools
import importlib
import importlib.metadata
import json
import os
import random
import sys
import time

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
os.environ["RAYON_NUM_THREADS"] = str(THREADS)  # read by pypaillier when its pool starts

WEIGHT_BITS = 53
DOT_LENGTH = 32
MATVEC = 256
BATCH = 16  # calls between two looks at the clock where a call takes microseconds; values in a call that takes many


def weights(count, seed):
    """Signed integers of 53 bits, as a double in (-1, 1) has in fixed point."""
    source = random.Random(seed)
    return [
        source.choice((-1, 1)) * (source.getrandbits(WEIGHT_BITS - 1) | 1 << (WEIGHT_BITS - 1)) for _ in range(count)
    ]


def doubles(count, seed):
    source = random.Random(seed)
    return [source.uniform(-1, 1) for _ in range(count)]


def expect(what, got, expected, tolerance=0):
    if not abs(got - expected) <= tolerance:
        raise RuntimeError(f"{what} is wrong: got {got}, expected {expected}")


def inner(row, values):
    return sum(w * x for w, x in zip(row, values))


class Library:
    """Keys and ciphertexts of one library, and its operations on them."""

    tolerance = 0

    def prepare(self, values):
        self.values = values
        self.cts = self.encrypt_all(values)

    def check(self):
        """What is timed decrypts to what it should."""
        (x, y), w = self.values[:2], self.weights[0]
        expect("encryption", self.decrypted(self.encrypt()), x, self.tolerance)
        expect("sum", self.decrypted(self.add(*self.cts[:2])), x + y, self.tolerance)
        expect("product", self.decrypted(self.scale(self.cts[0], w)), x * w, self.tolerance)
        row = self.weights[:DOT_LENGTH]
        expect("row", self.decrypted(self.dot(row, self.cts[:DOT_LENGTH])), inner(row, self.values), self.tolerance)

    def rows(self, count):
        """(call, its first result in clear, note): `count` rows of a plain matrix, each times the same vector."""
        return (
            (lambda: [self.dot(self.weights, self.cts) for _ in range(count)]),
            (lambda out: self.decrypted(out[0])),
            "",
        )

    def timed(self, op):
        """(call, operations done by it, note)."""
        a, b, w = self.cts[0], self.cts[1], abs(self.weights[0])
        row, vector = self.weights[:DOT_LENGTH], self.cts[:DOT_LENGTH]
        if op == "encrypt":
            return self.encrypt, 1, ""
        if op == "decrypt":
            return self.decrypt, 1, ""
        if op == "add":
            return (lambda: [self.add(a, b) for _ in range(BATCH)]), BATCH, ""
        if op == "scale53":
            return (lambda: self.scale(a, w)), 1, ""
        if op == "dot32":
            return (lambda: self.dot(row, vector)), 1, ""
        if op == "matvec256":
            call, first, note = self.rows(THREADS)
            expect("row of the matrix", first(call()), inner(self.weights, self.values), self.tolerance)
            extrapolated = f"{THREADS} of {MATVEC} rows timed, times {MATVEC // THREADS}"
            return call, THREADS / MATVEC, f"{note}, {extrapolated}" if note else extrapolated
        raise ValueError(f"unknown operation {op!r}")


class Phe(Library):
    """The classes of ``phe``: doubles, each ciphertext with its exponent of 16."""

    tolerance = 1e-9

    def __init__(self, bits):
        import phe

        self.public, self.secret = phe.generate_paillier_keypair(n_length=bits)
        self.weights = doubles(MATVEC, 2)
        self.prepare(doubles(MATVEC, 1))

    def encrypt_all(self, values):
        return [self.public.encrypt(value) for value in values]

    def encrypt(self):
        return self.public.encrypt(self.values[0])

    def decrypt(self):
        return self.secret.decrypt(self.cts[0])

    def decrypted(self, ct):
        return self.secret.decrypt(ct)

    def add(self, a, b):
        return a + b

    def scale(self, a, w):
        return a * w

    def dot(self, row, cts):
        return sum(w * x for w, x in zip(row, cts))


class PheRaw(Library):
    """Integers only: ``raw_encrypt``, ``raw_decrypt`` and the modular functions beneath, no objects, no exponents."""

    def __init__(self, bits):
        import phe
        from phe import util

        self.powmod, self.mulmod, self.invert = util.powmod, util.mulmod, util.invert
        self.public, self.secret = phe.generate_paillier_keypair(n_length=bits)
        self.modulus = self.public.nsquare
        self.weights = weights(MATVEC, 2)
        self.prepare(weights(MATVEC, 1))

    def encrypt_all(self, values):
        return [self.public.raw_encrypt(value % self.public.n) for value in values]

    def encrypt(self):
        return self.public.raw_encrypt(self.values[0] % self.public.n)

    def decrypt(self):
        return self.secret.raw_decrypt(self.cts[0])

    def decrypted(self, ct):
        value = self.secret.raw_decrypt(ct)
        return value if value <= self.public.max_int else value - self.public.n

    def add(self, a, b):
        return self.mulmod(a, b, self.modulus)

    def scale(self, a, w):
        if w < 0:
            a, w = self.invert(a, self.modulus), -w
        return self.powmod(a, w, self.modulus)

    def dot(self, row, cts):
        total = 1
        for w, x in zip(row, cts):
            total = self.mulmod(total, self.scale(x, w), self.modulus)
        return total


class Heu(Library):
    """``heu.phe`` for single values, ``heu.numpy``'s ``matmul`` for rows on more than one thread."""

    schema = "ZPaillier"

    def __init__(self, bits):
        import numpy
        from heu import numpy as arrays
        from heu import phe

        self.kit = arrays.setup(getattr(phe.SchemaType, self.schema), bits)
        self.array = lambda rows: self.kit.array(numpy.array(rows, dtype=object))
        self.encryptor, self.decryptor = self.kit.encryptor().phe, self.kit.decryptor().phe
        self.evaluator = self.kit.evaluator().phe
        self.weights = weights(MATVEC, 2)
        self.prepare(weights(MATVEC, 1))

    def encrypt_all(self, values):
        return [self.encryptor.encrypt_raw(value) for value in values]

    def encrypt(self):
        return self.encryptor.encrypt_raw(self.values[0])

    def decrypt(self):
        return self.decryptor.decrypt_raw(self.cts[0])

    def decrypted(self, ct):
        return self.decryptor.decrypt_raw(ct)

    def add(self, a, b):
        return self.evaluator.add(a, b)

    def scale(self, a, w):
        return self.evaluator.mul(a, self.kit.plaintext(w))

    def dot(self, row, cts):
        total = None
        for w, x in zip(row, cts):
            product = self.scale(x, w)
            if total is None:
                total = product
            else:
                self.evaluator.add_inplace(total, product)
        return total

    def rows(self, count):
        if count == 1:  # single calls are faster
            return super().rows(count)
        column = self.kit.encryptor().encrypt(self.array([[value] for value in self.values]))
        matrix = self.array([self.weights] * count)
        matmul, decrypt = self.kit.evaluator().matmul, self.kit.decryptor().decrypt
        return (
            (lambda: matmul(matrix, column)),
            (lambda out: int(decrypt(out).to_numpy()[0][0])),
            f"matmul on {count} threads",
        )


class HeuIpcl(Heu):
    schema = "IPCL"


class Pypaillier(Library):
    """Integers; what takes many values in one call is given many, shared out over its threads."""

    def __init__(self, bits):
        import paillier

        self.library = paillier
        self.public, self.secret = paillier.generate_keypair(bits)
        self.weights = weights(MATVEC, 2)
        self.prepare(weights(MATVEC, 1))

    def encrypt_all(self, values):
        return self.library.encrypt_integers(self.public, values)

    def encrypt(self):
        return self.encrypt_all(self.values[:1])[0]

    def decrypt(self):
        return self.library.decrypt_exact_many(self.secret, self.cts[:1])

    def decrypted(self, ct):
        return self.library.decrypt_exact_many(self.secret, [ct])[0][0]

    def add(self, a, b):
        return self.library.add_many(self.public, [a, b])

    def scale(self, a, w):
        return self.library.multiply_integers_public(self.public, [a], [w])[0]

    def dot(self, row, cts):
        return self.library.add_many(self.public, self.library.multiply_integers_public(self.public, cts, row))

    def timed(self, op):
        count = BATCH
        cts, scalars = self.cts[:count], [abs(w) for w in self.weights[:count]]
        many = {
            "encrypt": lambda: self.encrypt_all(self.values[:count]),
            "decrypt": lambda: self.library.decrypt_exact_many(self.secret, cts),
            "scale53": lambda: self.library.multiply_integers_public(self.public, cts, scalars),
        }
        if op == "add":  # the sum of all: one addition less than terms
            return (
                (lambda: self.library.add_many(self.public, self.cts)),
                len(self.cts) - 1,
                f"a sum of {len(self.cts)} in one call",
            )
        if op in many:
            return many[op], count, f"{count} in one call"
        return super().timed(op)


LIBRARIES = {
    "phe": Phe,
    "phe, raw": PheRaw,
    "sf-heu": Heu,
    "sf-heu, IPCL": HeuIpcl,
    "pypaillier": Pypaillier,
}


@functools.cache
def library(name, bits):
    made = LIBRARIES[name](bits)
    made.check()
    return made


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
clock = time.perf_counter  # as the last request wanted it


def sample(call, operations, seconds):
    """Times of single operations in milliseconds, for about `seconds`, at least one; a call does `operations`."""
    times, begin = [], time.perf_counter()
    while True:
        start = clock()
        call()
        end = clock()
        times.append((end - start) * 1e3 / operations)
        if time.perf_counter() - begin >= seconds:
            return times


@functools.cache
def work(op, name, bits):
    """(call, operations done by it, note)."""
    return library(name, bits).timed(op)


def complaint(error):
    """In one line: the last one where there are many."""
    return f"{type(error).__name__}: " + " ".join(str(error).strip().splitlines()[-1:])


def versions():
    """Of what can be imported; and why not, of what cannot."""
    there, absent = {}, {}
    for name, module, packages in (
        ("phe", "phe", ("phe", "gmpy2")),
        ("sf-heu", "heu.phe", ("sf-heu",)),
        ("pypaillier", "paillier", ("pypaillier",)),
    ):
        try:
            importlib.import_module(module)
            numbered = [f"{package} {importlib.metadata.version(package)}" for package in packages]
            there[name] = " + ".join(package_and_version.removeprefix(f"{name} ") for package_and_version in numbered)
        except Exception as error:
            absent[name] = complaint(error)
    return {"versions": there, "absent": absent}


def serve(answers):
    global clock
    print(json.dumps(versions()), file=answers, flush=True)
    for line in sys.stdin:
        try:
            request = json.loads(line)
            clock = CLOCKS[request["clock"]]
            call, operations, note = work(request["op"], request["library"], request["bits"])
            answer = {"ms": sample(call, operations, request["seconds"]), "note": note}
        except Exception as error:  # every failure becomes an answer: the row of the table says it
            answer = {"error": complaint(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    # Libraries that log to standard output must not get between the answers.
    private = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(private)
