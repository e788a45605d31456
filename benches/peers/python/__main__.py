"""The Python package ``cipherblas`` and what its users may use today, TenSEAL and ``phe``, timed on request.

Answers one JSON object per line, so that the caller can interleave a process of ours with one of theirs:

    {"library": "tenseal", "op": "dot", "seconds": 0.2}  ->  {"ms": [19.6, ...], "note": "..."}

It first says which libraries are there: {"versions": {"tenseal": "0.3.18"}, "absent": {"cipherblas": "not installed"}}.
Errors are answers too: {"error": "..."}. Results are decrypted and compared with NumPy's before a time is given.

The argument is the number of threads. A library is imported when it is asked for the first time: a process that is asked
for one library holds nothing of the others.
"""

import functools
import importlib
import importlib.metadata
import json
import os
import sys
import time

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
for variable in ("RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(THREADS)  # read when a library is loaded

# The distributions of a library, and the module here that knows how to call it.
LIBRARIES = {
    "cipherblas": (("cipherblas",), "ours"),
    "tenseal": (("tenseal",), "tenseal_calls"),
    "phe": (("phe", "gmpy2"), "phe_calls"),
}
BATCH = 200e-6  # seconds between two looks at the clock, at least

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
clock = time.perf_counter  # as the last request wanted it


def sample(work, seconds):
    """Times of single calls in milliseconds, for about `seconds`, at least one."""
    if work.first is not None and work.first >= seconds and clock is time.perf_counter:
        return [work.first * 1e3]
    start = time.perf_counter()
    work.call()
    batch = max(1, int(BATCH / max(time.perf_counter() - start, 1e-9)))
    times, begin = [], time.perf_counter()
    while True:
        start = clock()
        for _ in range(batch):
            work.call()
        times.append((clock() - start) * 1e3 / batch)
        if time.perf_counter() - begin >= seconds:
            return times


@functools.cache
def prepared(library, op, arguments):
    """Keys, operands and a first result that was checked."""
    module = importlib.import_module(LIBRARIES[library][1])
    return module.OPERATIONS[op](threads=THREADS, **dict(arguments))


def measure(library, op, seconds=0.2, clock="wall", **arguments):
    """(samples in milliseconds, note) of one operation."""
    globals()["clock"] = CLOCKS[clock]
    work = prepared(library, op, tuple(sorted(arguments.items())))
    return sample(work, seconds), work.note


def greeting():
    versions, absent = {}, {}
    for library, (distributions, _) in LIBRARIES.items():
        try:
            found = [(name, importlib.metadata.version(name)) for name in distributions]
            versions[library] = " + ".join(
                version if name == library else f"{name} {version}" for name, version in found
            )
        except importlib.metadata.PackageNotFoundError as error:
            absent[library] = f"{error.name} is not installed"
    return {"versions": versions, "absent": absent}


def main():
    # Libraries that warn on standard output must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps(greeting()), file=answers, flush=True)
    for line in sys.stdin:
        try:
            samples, note = measure(**json.loads(line))
            answer = {"ms": samples, "note": note}
        except Exception as error:  # every failure becomes an answer: the row of the table says it
            answer = {"error": f"{type(error).__name__}: " + " ".join(str(error).split())}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
