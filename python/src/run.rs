//! Where work is done: without the interpreter's lock, on threads of this module's own, so that it can be stopped, and so that
//! a process that forks goes on.
//!
//! Every calling thread is the only worker of a pool of one: work that is short runs there, with no hand-over, and never
//! meets `rayon`'s global pool, whose threads a forked child would wait for in vain. Longer work goes to a pool that belongs
//! to the process; a child makes its own. While it runs, the caller wakes up ten times a second to look for signals and to
//! report progress. A fork waits until no work is under way.

use crate::error::raise;
use cipherblas::scheme::guard::Watch;
use cipherblas::{Error, Result};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often a caller looks for signals.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Environment variables that set the number of threads, in order.
const THREAD_VARIABLES: [&str; 2] = ["CIPHERBLAS_NUM_THREADS", "RAYON_NUM_THREADS"];

static CHOSEN_THREADS: AtomicUsize = AtomicUsize::new(0);
static SHARED: Mutex<Option<Shared>> = Mutex::new(None);
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);
static FORKING: AtomicBool = AtomicBool::new(false);

#[derive(Clone)]
struct Shared {
    process: u32,
    threads: usize,
    pool: Arc<ThreadPool>,
}

thread_local! {
    /// The calling thread as a pool of one.
    static OWN: RefCell<Option<ThreadPool>> = const { RefCell::new(None) };
    /// What this thread found in `SHARED` last.
    static FOUND: RefCell<Option<Shared>> = const { RefCell::new(None) };
    /// Computations of this thread that are under way: a callback may start another.
    static NESTED: Cell<usize> = const { Cell::new(0) };
}

/// Threads that long work uses.
pub(crate) fn threads() -> usize {
    match CHOSEN_THREADS.load(Ordering::Relaxed) {
        0 => THREAD_VARIABLES
            .iter()
            .find_map(|name| std::env::var(name).ok()?.parse().ok())
            .filter(|&n| n > 0)
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        n => n,
    }
}

/// Sets the number of threads of later work.
#[pyfunction]
pub(crate) fn set_num_threads(threads: usize) -> PyResult<()> {
    if !(1..=1024).contains(&threads) {
        return Err(PyValueError::new_err(format!(
            "threads: got {threads}, expected 1 to 1024"
        )));
    }
    CHOSEN_THREADS.store(threads, Ordering::Relaxed);
    Ok(())
}

/// The number of threads that long work uses.
#[pyfunction]
pub(crate) fn get_num_threads() -> usize {
    threads()
}

/// Makes the calling thread a pool of one, unless it is a worker already.
fn ensure_own() -> PyResult<()> {
    if rayon::current_thread_index().is_some() {
        return Ok(());
    }
    OWN.with(|own| {
        let mut own = own.borrow_mut();
        if own.is_none() {
            let pool = ThreadPoolBuilder::new()
                .num_threads(1)
                .use_current_thread()
                .build();
            *own = Some(pool.map_err(no_threads)?);
        }
        Ok(())
    })
}

fn no_threads(error: rayon::ThreadPoolBuildError) -> PyErr {
    PyRuntimeError::new_err(format!("no threads to compute on: {error}"))
}

fn build(process: u32, threads: usize) -> PyResult<Shared> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|k| format!("cipherblas-{k}"))
        .build()
        .map_err(no_threads)?;
    Ok(Shared {
        process,
        threads,
        pool: Arc::new(pool),
    })
}

/// The process's pool; a child of a fork has none of its parent's threads, and makes its own.
fn shared() -> PyResult<Arc<ThreadPool>> {
    let (process, threads) = (std::process::id(), threads());
    let fits = |s: &Shared| s.process == process && s.threads == threads;
    if let Some(pool) =
        FOUND.with_borrow(|found| found.as_ref().filter(|s| fits(s)).map(|s| s.pool.clone()))
    {
        return Ok(pool);
    }
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if !shared.as_ref().is_some_and(fits) {
        let old = shared.replace(build(process, threads)?);
        // Dropping a pool of the parent's would wait for threads that are not there.
        if let Some(old) = old.filter(|s| s.process != process) {
            std::mem::forget(old);
        }
    }
    let found = shared.clone().expect("made above");
    let old = FOUND.replace(Some(found.clone()));
    if let Some(old) = old.filter(|s| s.process != process) {
        std::mem::forget(old);
    }
    Ok(found.pool)
}

/// Counts a computation that is under way, for forks to wait for.
struct UnderWay;

impl UnderWay {
    fn begin() -> Self {
        let nested = NESTED.get() > 0;
        loop {
            // What a callback starts belongs to what is under way already.
            while !nested && FORKING.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_micros(200));
            }
            UNDER_WAY.fetch_add(1, Ordering::SeqCst);
            if nested || !FORKING.load(Ordering::SeqCst) {
                NESTED.set(NESTED.get() + 1);
                return Self;
            }
            UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        NESTED.set(NESTED.get() - 1);
        UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Before a fork: waits until no other thread computes, so that the child inherits no lock that is held.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    let own = NESTED.get();
    py.detach(|| {
        // A second thread that forks waits for the first.
        while FORKING.swap(true, Ordering::SeqCst) {
            std::thread::sleep(Duration::from_micros(200));
        }
        while UNDER_WAY.load(Ordering::SeqCst) > own {
            std::thread::sleep(Duration::from_micros(200));
        }
    });
}

/// After a fork, in the parent.
#[pyfunction]
pub(crate) fn after_fork_in_parent() {
    FORKING.store(false, Ordering::SeqCst);
}

/// After a fork, in the child: the thread that forked is the only one.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    UNDER_WAY.store(NESTED.get(), Ordering::SeqCst);
    FORKING.store(false, Ordering::SeqCst);
}

/// Short work: on this thread.
pub(crate) fn short<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    ensure_own()?;
    py.detach(|| {
        let _under_way = UnderWay::begin();
        work()
    })
    .map_err(|error| raise(py, &error))
}

/// What a long computation brings along.
pub(crate) struct Job {
    pub(crate) watch: Arc<Watch>,
    /// `progress(done, total)`, called now and then by the thread that called.
    progress: Option<Py<PyAny>>,
    total: Option<u64>,
}

impl Job {
    pub(crate) fn new(progress: Option<Py<PyAny>>, total: Option<u64>) -> Self {
        Self {
            watch: Arc::new(Watch::default()),
            progress,
            total,
        }
    }

    fn report(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(progress) = &self.progress {
            progress.call1(py, (self.watch.operations(), self.total))?;
        }
        Ok(())
    }
}

/// Long work: on the process's threads, while this one looks for signals and reports progress. What a signal's handler or the
/// callback raises stops the work and is raised.
pub(crate) fn long<T: Send>(
    py: Python<'_>,
    job: &Job,
    work: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    ensure_own()?;
    let pool = shared()?;
    let mut raised = None;
    let outcome = py.detach(|| {
        let _under_way = UnderWay::begin();
        let mut outcome = None;
        let raised = &mut raised;
        pool.in_place_scope(|scope| {
            let (send, receive) = channel();
            let slot = &mut outcome;
            scope.spawn(move |_| {
                *slot = Some(work());
                // The receiver waits, unless it has gone away with a signal.
                let _ = send.send(());
            });
            while let Err(RecvTimeoutError::Timeout) = receive.recv_timeout(HEARTBEAT) {
                if raised.is_some() {
                    continue;
                }
                let looked = Python::attach(|py| {
                    py.check_signals()?;
                    job.report(py)
                });
                if let Err(error) = looked {
                    *raised = Some(error);
                    job.watch.stop();
                }
            }
        });
        outcome
    });
    if let Some(error) = raised {
        return Err(error);
    }
    let outcome = outcome
        .unwrap_or(Err(Error::Interrupted))
        .map_err(|error| raise(py, &error))?;
    if job.progress.is_some() {
        job.report(py)?;
    }
    Ok(outcome)
}
