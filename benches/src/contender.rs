//! Something whose time is taken.

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::Arc;
use std::time::Instant;

/// A batch of calls lasts at least this long, so that reading the clock costs nothing.
const BATCH_SECONDS: f64 = 200e-6;

/// Which time is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// The time that passes, of every operation.
    #[default]
    Wall,
    /// What one thread spends on a processor, averaged over a sample: for machines on which others work. Linux counts it in
    /// steps of some milliseconds, so that samples should take some tenths of a second.
    Processor,
}

/// Seconds that this thread has been on a processor.
fn on_processor() -> Result<f64, String> {
    const FILE: &str = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
    let nanoseconds = text.split_whitespace().next().and_then(|n| n.parse().ok());
    nanoseconds
        .map(|n: f64| n * 1e-9)
        .ok_or_else(|| format!("{FILE}: got {text:?}"))
}

/// Something whose time is taken.
pub trait Contender {
    /// Who it is, with the version.
    fn name(&self) -> &str;
    /// What a reader must know to judge the number; may be empty.
    fn note(&self) -> &str;
    /// Times of single operations in milliseconds, taken for about `seconds`; at least one.
    ///
    /// # Errors
    /// Why there is no time.
    fn sample(&mut self, seconds: f64) -> Result<Vec<f64>, String>;
    /// Sets the clock, which is that of the wall before; not for several threads.
    fn set_clock(&mut self, clock: Clock);
}

/// A pool of `threads` threads.
///
/// # Errors
/// If the threads cannot be started.
pub fn pool(threads: usize) -> Result<Arc<ThreadPool>, String> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| e.to_string())?;
    Ok(Arc::new(pool))
}

/// A contender in this process.
pub struct Local {
    name: String,
    note: String,
    pool: Arc<ThreadPool>,
    work: Box<dyn FnMut() -> Result<(), String> + Send>,
    operations: usize,
    batch: usize,
    clock: Clock,
}

impl Local {
    /// `work`, run inside `pool`, does one operation.
    pub fn new(
        name: impl Into<String>,
        pool: &Arc<ThreadPool>,
        work: impl FnMut() -> Result<(), String> + Send + 'static,
    ) -> Self {
        let pool = Arc::clone(pool);
        Self {
            name: name.into(),
            note: String::new(),
            pool,
            work: Box::new(work),
            operations: 1,
            batch: 0,
            clock: Clock::Wall,
        }
    }

    /// One transform of each of `limbs`, in place; the time is that of one. They are shared out over the pool.
    pub fn on_limbs<B: Send + 'static>(
        name: impl Into<String>,
        pool: &Arc<ThreadPool>,
        mut limbs: Vec<B>,
        transform: impl Fn(&mut B) + Send + Sync + 'static,
    ) -> Self {
        let operations = limbs.len();
        let work = move || {
            match limbs.as_mut_slice() {
                [limb] => transform(limb),
                limbs => limbs.par_iter_mut().for_each(&transform),
            }
            Ok(())
        };
        let local = Self {
            operations,
            ..Self::new(name, pool, work)
        };
        if operations > 1 {
            local.with_note(format!("per limb, {operations} at a time"))
        } else {
            local
        }
    }

    /// The work has been done once already: no warm-up, and a call for each look at the clock.
    #[must_use]
    pub fn warm(self) -> Self {
        Self { batch: 1, ..self }
    }

    /// Says what a reader must know.
    #[must_use]
    pub fn with_note(mut self, note: impl AsRef<str>) -> Self {
        if !self.note.is_empty() {
            self.note.push_str("; ");
        }
        self.note.push_str(note.as_ref());
        self
    }
}

impl Contender for Local {
    fn name(&self) -> &str {
        &self.name
    }

    fn note(&self) -> &str {
        &self.note
    }

    fn sample(&mut self, seconds: f64) -> Result<Vec<f64>, String> {
        let Self {
            pool,
            work,
            operations,
            batch,
            clock,
            ..
        } = self;
        pool.install(|| {
            if *batch == 0 {
                work()?;
                let start = Instant::now();
                work()?;
                let once = start.elapsed().as_secs_f64().max(1e-9);
                *batch = (BATCH_SECONDS / once).ceil().max(1.0) as usize;
            }
            let mut times = Vec::new();
            let processor = match clock {
                Clock::Wall => None,
                Clock::Processor => Some(on_processor()?),
            };
            let begin = Instant::now();
            loop {
                let start = Instant::now();
                for _ in 0..*batch {
                    work()?;
                }
                times.push(start.elapsed().as_secs_f64() * 1e3 / (*batch * *operations) as f64);
                if begin.elapsed().as_secs_f64() >= seconds {
                    break;
                }
            }
            if let Some(before) = processor {
                let done = times.len() * *batch * *operations;
                times = vec![(on_processor()? - before) * 1e3 / done as f64];
            }
            Ok(times)
        })
    }

    fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn a_known_duration_is_found() {
        let sleep = || {
            std::thread::sleep(Duration::from_millis(5));
            Ok(())
        };
        let mut contender = Local::new("sleep", &pool(1).unwrap(), sleep);
        let times = contender.sample(0.03).unwrap();
        assert!(
            times.len() >= 2 && times.iter().all(|&ms| ms >= 5.0),
            "{times:?}"
        );
    }

    #[test]
    fn work_on_limbs_reaches_each_and_divides_the_time() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let transform = |limb: &mut Vec<u64>| {
            CALLS.fetch_add(1, Ordering::Relaxed);
            limb[0] += 1;
            std::thread::sleep(Duration::from_millis(2));
        };
        let mut contender =
            Local::on_limbs("limbs", &pool(2).unwrap(), vec![vec![0u64]; 4], transform);
        let times = contender.sample(0.0).unwrap();
        assert_eq!(times.len(), 1);
        assert_eq!(
            CALLS.load(Ordering::Relaxed),
            12,
            "warm-up, calibration, one sample"
        );
        assert!(
            times[0] >= 1.0 && contender.note().contains("4 at a time"),
            "{times:?}"
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_sleeping_thread_is_not_on_a_processor() {
        let work = || {
            std::thread::sleep(Duration::from_millis(20));
            Ok(())
        };
        let mut contender = Local::new("sleep", &pool(1).unwrap(), work).warm();
        contender.set_clock(Clock::Processor);
        let times = contender.sample(0.1).unwrap();
        assert!(times.len() == 1 && times[0] < 10.0, "{times:?}");
    }

    #[test]
    fn warm_work_is_done_once_for_a_sample() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let work = || {
            CALLS.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let mut contender = Local::new("warm", &pool(1).unwrap(), work).warm();
        assert_eq!(contender.sample(0.0).unwrap().len(), 1);
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn an_error_is_handed_on() {
        let mut contender = Local::new("broken", &pool(1).unwrap(), || Err("no key".to_owned()));
        assert_eq!(contender.sample(0.01), Err("no key".to_owned()));
    }
}
