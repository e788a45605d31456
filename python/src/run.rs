//! Where work is done: without the interpreter's lock, on threads of this module's own, so that it can be stopped, and so that
//! a process that forks goes on.
//!
//! The first thread that calls is a worker of the pool that does its work, with as many threads beside it as are wanted: no
//! hand-over, and never `rayon`'s global pool, whose threads a forked child would wait for in vain. Any other calling thread is
//! the only worker of a pool of one; what is long it hands over to a pool that belongs to the process, and so does the first
//! thread after the number of threads was changed, and, for everything, a child of a fork. A thread that computes looks for
//! signals and reports progress ten times a second, between two operations; one that waits does so on time. A fork waits until
//! no work is under way.

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
use std::time::{Duration, Instant};

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
    /// The pool that the calling thread is a worker of.
    static OWN: RefCell<Option<Own>> = const { RefCell::new(None) };
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

/// The pool that a calling thread is the first worker of, for good: `rayon` lets a thread join one pool only.
struct Own {
    process: u32,
    threads: usize,
    pool: Option<ThreadPool>,
}

impl Drop for Own {
    fn drop(&mut self) {
        // A child has none of its parent's threads; one of them may have held a lock at the fork.
        if self.process != std::process::id() {
            std::mem::forget(self.pool.take());
        }
    }
}

/// The first thread that computes: it has the process's threads beside it, any other is a pool of one.
static FIRST: AtomicBool = AtomicBool::new(false);

/// Where a calling thread's work runs.
#[derive(PartialEq, Eq)]
enum Place {
    /// On it and the threads beside it, as many as are wanted.
    Here,
    /// What is long, on the process's pool: the thread has joined one of another size.
    Alone,
    /// Everything on the process's pool: the threads beside it were lost in a fork, and may have held a lock.
    Lost,
}

/// Makes the calling thread the first worker of a pool, unless it is a worker already.
fn ensure_own() -> PyResult<Place> {
    OWN.with_borrow_mut(|own| {
        if own.is_none() {
            if rayon::current_thread_index().is_some() {
                return Ok(Place::Alone);
            }
            let first = !FIRST.swap(true, Ordering::Relaxed);
            let threads = if first { threads() } else { 1 };
            let pool = ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(|k| format!("cipherblas-{k}"))
                .use_current_thread()
                .build();
            *own = Some(Own {
                process: std::process::id(),
                threads,
                pool: Some(pool.map_err(no_threads)?),
            });
        }
        let own = own.as_ref().expect("made above");
        Ok(if own.threads > 1 && own.process != std::process::id() {
            Place::Lost
        } else if own.threads == threads() {
            Place::Here
        } else {
            Place::Alone
        })
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
    let pool = match ensure_own()? {
        Place::Lost => Some(shared()?),
        _ => None,
    };
    py.detach(|| {
        let _under_way = UnderWay::begin();
        match pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    })
    .map_err(|error| raise(py, &error))
}

thread_local! {
    /// When this thread, which computes what it called for, looks for signals next.
    static BEAT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What a long computation brings along.
pub(crate) struct Job {
    pub(crate) watch: Arc<Watch>,
    heart: Arc<Heart>,
}

struct Heart {
    /// `progress(done, total)`, called now and then by the thread that called.
    progress: Option<Py<PyAny>>,
    total: Option<u64>,
    /// What a signal's handler or the callback raised.
    raised: Mutex<Option<PyErr>>,
}

impl Heart {
    fn raised(&self) -> std::sync::MutexGuard<'_, Option<PyErr>> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for signals and reports; after something was raised nothing begins any more.
    fn beat(&self, watch: &Watch) {
        if self.raised().is_some() {
            return;
        }
        let looked = Python::attach(|py| {
            py.check_signals()?;
            self.report(py, watch)
        });
        if let Err(error) = looked {
            *self.raised() = Some(error);
            watch.stop();
        }
    }

    fn report(&self, py: Python<'_>, watch: &Watch) -> PyResult<()> {
        if let Some(progress) = &self.progress {
            progress.call1(py, (watch.operations(), self.total))?;
        }
        Ok(())
    }
}

impl Job {
    pub(crate) fn new(progress: Option<Py<PyAny>>, total: Option<u64>) -> Self {
        let heart = Arc::new(Heart {
            progress,
            total,
            raised: Mutex::new(None),
        });
        let beats = Arc::clone(&heart);
        let watch = Watch::polling(move |watch| {
            if BEAT.get().is_some_and(|due| due <= Instant::now()) {
                BEAT.set(None);
                beats.beat(watch);
                BEAT.set(Some(Instant::now() + HEARTBEAT));
            }
        });
        Self {
            watch: Arc::new(watch),
            heart,
        }
    }
}

/// Long work: on this thread and those beside it, or on the process's threads while this one waits. Ten times a second this
/// thread looks for signals and reports progress, if it computes between two operations. What a signal's handler or the
/// callback raises stops the work and is raised.
pub(crate) fn long<T: Send>(
    py: Python<'_>,
    job: &Job,
    work: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    let (watch, heart) = (&*job.watch, &*job.heart);
    let outcome = if ensure_own()? == Place::Here {
        py.detach(|| {
            let _under_way = UnderWay::begin();
            let outer = BEAT.replace(Some(Instant::now() + HEARTBEAT));
            let outcome = work();
            BEAT.set(outer);
            outcome
        })
    } else {
        let pool = shared()?;
        py.detach(|| {
            let _under_way = UnderWay::begin();
            let mut outcome = None;
            // What a callback on the other thread starts, or forks, belongs to this computation.
            let nested = NESTED.get();
            pool.in_place_scope(|scope| {
                let (send, receive) = channel();
                let slot = &mut outcome;
                scope.spawn(move |_| {
                    let before = NESTED.replace(nested);
                    *slot = Some(work());
                    NESTED.set(before);
                    // The receiver waits, unless it has gone away with a signal.
                    let _ = send.send(());
                });
                while let Err(RecvTimeoutError::Timeout) = receive.recv_timeout(HEARTBEAT) {
                    heart.beat(watch);
                }
            });
            outcome.unwrap_or(Err(Error::Interrupted))
        })
    };
    if let Some(error) = heart.raised().take() {
        return Err(error);
    }
    let outcome = outcome.map_err(|error| raise(py, &error))?;
    heart.report(py, watch)?;
    Ok(outcome)
}
