"""Matrix products of other libraries, timed on request.

NumPy in clear, ``desilofhe``, ``concrete-ml-extensions``, ``openfhe-numpy``.

Answers one JSON object per line, so that the caller can interleave its own measurements with these:

    {"op": "dgemm", "rows": 1024, "inner": 1024, "cols": 1024, "seconds": 0.2}  ->  {"ms": [20.5, ...], "note": "..."}

It first says which libraries are there: {"versions": {"numpy": "2.4.6"}, "absent": {"openfhe-numpy": "why"}}. Errors
are answers too: {"error": "..."}. Results are compared with NumPy's before a time is given.

The argument is the number of threads.
"""

import functools
import importlib.metadata
import json
import os
import sys
import time

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = str(THREADS)  # read when a library is loaded

LIBRARIES = ("numpy", "desilofhe", "concrete-ml-extensions", "openfhe-numpy")
SETTLE = 0.06  # seconds that OpenBLAS's idle threads go on spinning, at the cost of whoever is timed next
BATCH = 200e-6  # seconds between two looks at the clock, at least
DESILO_SHAPE = (256, 16, 16)  # the only one with matrices of 16 x 16
INTEGER_BITS = 7
CME_POLYNOMIAL = 2048  # values of a compressed result, by its default parameters

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
clock = time.perf_counter  # as the last request wanted it


def sample(call, seconds, first=None):
    """Times of single calls in milliseconds, for about `seconds`, at least one; `first` was taken before."""
    if first is not None and first >= seconds:
        return [first * 1e3]
    start = time.perf_counter()
    call()
    batch = max(1, int(BATCH / max(time.perf_counter() - start, 1e-9)))
    times, begin = [], time.perf_counter()
    while True:
        start = clock()
        for _ in range(batch):
            call()
        times.append((clock() - start) * 1e3 / batch)
        if time.perf_counter() - begin >= seconds:
            return times


def expect(what, got, expected, tolerance):
    import numpy as np

    worst = float(np.abs(np.asarray(got) - expected).max())
    if not worst <= tolerance:
        raise RuntimeError(f"{what} is off by {worst}")
    return worst


@functools.cache
def blas():
    """What NumPy multiplies with, as it was built."""
    import numpy as np

    found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{found['name']} {found['version']}"


@functools.lru_cache(maxsize=1)
def factors(rows, inner, cols):
    import numpy as np

    source = np.random.default_rng(1)
    a, b = source.uniform(-1, 1, (rows, inner)), source.uniform(-1, 1, (inner, cols))
    return a, b, np.empty((rows, cols))


def dgemm(rows, inner, cols, seconds):
    import numpy as np

    a, b, out = factors(rows, inner, cols)
    times = sample(lambda: np.matmul(a, b, out=out), seconds)
    time.sleep(SETTLE if THREADS > 1 else 0)
    return times, blas()


def gram(rows, cols, seconds):
    x = factors(1, rows, cols)[1]
    times = sample(lambda: x.T @ x, seconds)
    time.sleep(SETTLE if THREADS > 1 else 0)
    return times, f"{blas()}, its syrk"


@functools.cache
def desilo():
    """Engine, key and two batches of encrypted matrices; the time of a product that decrypts right."""
    import desilofhe
    import numpy as np

    engine = desilofhe.Engine(shape=DESILO_SHAPE, mode="cpu", thread_count=THREADS)
    secret = engine.create_secret_key()
    key = engine.create_matrix_multiplication_key(secret)
    source = np.random.default_rng(2)
    a, b = source.uniform(-1, 1, DESILO_SHAPE), source.uniform(-1, 1, DESILO_SHAPE)
    x, y = engine.encrypt(a, secret), engine.encrypt(b, secret)
    product = engine.matrix_multiply(x, y, key)
    got = np.asarray(engine.decrypt(product, secret)).reshape(DESILO_SHAPE)
    worst = expect("desilofhe's product", got, a @ b.swapaxes(1, 2), 1e-3)
    return lambda: engine.matrix_multiply(x, y, key), f"256 products at once, A B', error {worst:.0e}"


@functools.cache
def cme(inner, cols):
    """The product that was checked took so many seconds; how to do it again."""
    import concrete_ml_extensions as fhext
    import numpy as np

    parameters = fhext.MatmulCryptoParameters.deserialize(fhext.default_params())
    secret, key = fhext.create_private_key(parameters)
    source = np.random.default_rng(3)
    top = 2**INTEGER_BITS
    a = source.integers(0, top, (1, inner)).astype(np.uint64)
    b = source.integers(0, top, (inner, cols)).astype(np.uint64)
    x = fhext.encrypt_matrix(pkey=secret, crypto_params=parameters, data=a)

    def call():
        return fhext.matrix_multiplication(encrypted_matrix=x, data=b, compression_key=key)

    start = time.perf_counter()
    product = call()
    first = time.perf_counter() - start
    last = cols % CME_POLYNOMIAL or CME_POLYNOMIAL
    got = fhext.decrypt_matrix(product, secret, parameters, num_valid_glwe_values_in_last_ciphertext=last)
    want = (a @ b).astype(np.float64)
    # Results keep their leading bits only: `output_storage_ciphertext_modulus` of its parameters.
    worst = expect("concrete-ml-extensions' product", np.asarray(got).astype(np.float64), want, want.max() * 1e-3)
    return call, first, f"{INTEGER_BITS}-bit integers, error up to {worst:.0f} in {want.max():.0f}"


def measure(op, rows=0, inner=0, cols=0, seconds=0.2, clock="wall"):
    """(samples in milliseconds, note) of one operation."""
    globals()["clock"] = CLOCKS[clock]
    if op == "dgemm":
        return dgemm(rows, inner, cols, seconds)
    if op == "gram":
        return gram(rows, cols, seconds)
    if op == "desilofhe":
        call, note = desilo()
        return sample(call, seconds), note
    if op == "concrete-ml-extensions":
        call, first, note = cme(inner, cols)
        # Processor time of its threads is not in the first one.
        return sample(call, seconds, first if clock == "wall" else None), note
    if op == "openfhe-numpy":
        raise NotImplementedError("its wheels are for Python 3.10 and 3.12 only; no measurement was written")
    raise ValueError(f"unknown operation {op!r}")


def greeting():
    versions, absent = {}, {}
    for library in LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            absent[library] = "not installed"
    return {"versions": versions, "absent": absent}


def main():
    print(json.dumps(greeting()), flush=True)
    for line in sys.stdin:
        try:
            samples, note = measure(**json.loads(line))
            answer = {"ms": samples, "note": note}
        except Exception as error:  # every failure becomes an answer: the row of the table says it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
