"""Threads, forks, interruption and progress."""

import _thread
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import cipherblas as cb
import numpy as np
import pytest

LONG = {"depth": 3, "precision_bits": 20, "integer_bits": 14}


@pytest.fixture(scope="module")
def long():
    """Something that takes seconds: products of a matrix over many ciphertexts."""
    sk = cb.SecretKey.generate(cb.CkksParams(**LONG))
    ek = sk.evaluation_keys()
    values = np.random.default_rng(0).uniform(-1, 1, (20000, 60))
    return sk, ek, values, sk.encrypt(values, ek, bound=1.0)


def test_threads_share_everything(ckks):
    values = ckks.values((6, 5))
    x = ckks.encrypt(values)

    def work(k):
        for _ in range(5):
            ckks.check(x * k + x[::-1], values * k + values[::-1])
            ckks.check(ckks.encrypt(values) @ x.T, values @ values.T)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(1, 9)))


def test_the_lock_of_the_interpreter_is_free(long):
    _, _, _, x = long
    counted = 0
    done = threading.Event()

    def count():
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    before = counted
    x[:4000] * x[:4000]
    x[:4000].sum(axis=0)
    during = counted - before
    done.set()
    counter.join()
    assert during > 10


def test_python_goes_on_during_a_product(long):
    """A loop in pure Python, which needs the lock of the interpreter for every step, gets ahead all the while."""
    _, _, _, x = long
    left = x[:200]
    steps = []
    done = threading.Event()

    def loop():
        count = 0
        while not done.is_set():
            count += 1
            if count % 1000 == 0:
                steps.append(time.monotonic())

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        begin = time.monotonic()
        left.T @ left
        end = time.monotonic()
    finally:
        done.set()
        thread.join()
    # Were the lock held, the loop would stand still but for the first and the last part.
    parts = {int(10 * (at - begin) / (end - begin)) for at in steps if begin <= at < end}
    assert len(parts & set(range(1, 9))) >= 5, f"the product took {end - begin:.2f} s, steps fell into {sorted(parts)}"


def interrupted(work):
    """Runs `work`, interrupts it after a third of a second; seconds that it took to notice."""
    sent = []

    def send():
        sent.append(time.monotonic())
        # As Ctrl-C does it.
        os.kill(os.getpid(), signal.SIGINT) if os.name == "posix" else _thread.interrupt_main()

    timer = threading.Timer(0.35, send)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            while True:
                work()
    finally:
        timer.join()
    return time.monotonic() - sent[0]


@pytest.mark.parametrize("what", ["keys", "encrypt", "matmul", "decrypt"])
def test_interrupts_are_seen_within_a_second(long, what):
    sk, ek, values, x = long
    work = {
        "keys": lambda: sk.evaluation_keys(),
        "encrypt": lambda: sk.encrypt(values, ek, bound=1.0),
        "matmul": lambda: x.T @ x,
        "decrypt": lambda: sk.decrypt(x),
    }[what]
    assert interrupted(work) < 1.0
    # Nothing was harmed.
    y = x[:3] * 2
    assert np.abs(sk.decrypt(y) - 2 * values[:3]).max() < 1e-3


def forked(child):
    """Runs `child` in a forked process; its exit code."""
    with warnings.catch_warnings():
        # Python 3.12 and later warn of forks beside threads; this is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if child() else 2
        finally:
            os._exit(code)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hung"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forks_go_on(long):
    sk, ek, values, x = long
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            _ = x[:2000] + x[:2000]
            sk.decrypt(x[:500])

    def child():
        y = sk.encrypt(values[:5], ek, bound=1.0)
        z = y.T @ y
        right = np.abs(sk.decrypt(z) - values[:5].T @ values[:5]).max() < 1e-2
        return right and forked(lambda: np.abs(sk.decrypt(y + y) - 2 * values[:5]).max() < 1e-3) == 0

    others = [threading.Thread(target=busy) for _ in range(2)]
    for thread in others:
        thread.start()
    try:
        for _ in range(3):
            assert forked(child) == 0
    finally:
        stop.set()
        for thread in others:
            thread.join()
    # The parent goes on, too.
    assert np.abs(sk.decrypt(x[:2] + 1) - values[:2] - 1).max() < 1e-3


CALLBACKS = """
import os, threading, warnings
import numpy as np, cipherblas as cb
from cipherblas.linear_model import LinearRegression
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y = rng.uniform(-1, 1, (30, 3)), rng.uniform(-1, 1, 30)
estimator = LinearRegression(solver="gd", max_iter=3)
plan = estimator.plan(X, bound=1.0)
sk = cb.SecretKey.generate(plan.params)
X_enc, y_enc = estimator.encrypt(sk, X, y, sk.evaluation_keys(plan=plan), plan=plan)
small = X_enc[:2]
steps = []

def forks(step):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    steps.append(step)

def computes(step):
    small + 1.0
    steps.append(step)

# The number of threads was changed: training is handed over to other threads, and so are its callbacks.
cb.set_num_threads(3)
estimator.fit_encrypted(X_enc, y_enc, callback=forks)
assert len(steps) == 3

# Training in a second thread, while this one forks.
thread = threading.Thread(target=estimator.fit_encrypted, args=(X_enc, y_enc), kwargs={"callback": computes})
thread.start()
while thread.is_alive():
    forks(None)
thread.join()
assert sum(step is not None for step in steps) == 6
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_callbacks_fork_and_compute():
    """A fork waits for what is under way, but not for the computation whose callback it is called from."""
    run = subprocess.run([sys.executable, "-c", CALLBACKS], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip().endswith("done"), run.stderr


def test_number_of_threads(ckks):
    before = cb.get_num_threads()
    try:
        for n in (1, 3):
            cb.set_num_threads(n)
            assert cb.get_num_threads() == n
            values = ckks.values((9, 5))
            ckks.check(ckks.encrypt(values) * 2, values * 2)
    finally:
        cb.set_num_threads(before)
    for bad in (0, 5000):
        with pytest.raises(ValueError, match="1 to 1024"):
            cb.set_num_threads(bad)


def test_one_callback_sees_progress(long):
    sk, ek, _, x = long
    events = []
    with cb.progress(events.append):
        sk.evaluation_keys()
        rows = x[:3000]
        rows.T @ rows
    names = list(dict.fromkeys(e.operation for e in events))
    assert names == ["evaluation keys", "slice", "matrix product"]
    for name in names:
        done = [e.done for e in events if e.operation == name]
        assert done == sorted(done)
    last = [e for e in events if e.operation == "evaluation keys"][-1]
    assert last.done == last.total == len(ek)
    assert last.unit == "keys"
    events.clear()
    with cb.progress(False):
        sk.decrypt(x[:10])
    assert events == []


def test_what_the_callback_raises_stops_the_work(long):
    _, _, _, x = long

    def refuse(event):
        raise RuntimeError("enough")

    start = time.monotonic()
    with cb.progress(refuse), pytest.raises(RuntimeError, match="enough"):
        x.T @ x
    assert time.monotonic() - start < 2.0


def test_bars(long, monkeypatch, capsys):
    _, _, _, x = long
    with cb.progress(True):
        x[:3000].T @ x[:3000]
    assert capsys.readouterr().out == ""
    with pytest.raises(TypeError, match="expected"):
        cb.set_progress("loud")
    monkeypatch.setattr(sys, "stderr", None)
    with cb.progress("auto"):
        x[:2] @ x[:2].T
