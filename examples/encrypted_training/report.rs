//! What a person sees.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// `12.3 MB`, decimal.
pub(crate) fn bytes(n: usize) -> String {
    let n = n as f64;
    match n {
        _ if n >= 1e9 => format!("{:.2} GB", n / 1e9),
        _ if n >= 1e6 => format!("{:.1} MB", n / 1e6),
        _ => format!("{:.1} kB", n / 1e3),
    }
}

/// A line with a label.
pub(crate) fn line(label: &str, value: impl std::fmt::Display) {
    println!("  {label:<22} {value}");
}

/// The largest resident memory of this process so far, in bytes, where the system tells.
pub(crate) fn peak_memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kib: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// What is printed where there is no terminal to draw a bar on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    Nothing,
    LineForEachStep,
}

/// A progress bar on a terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
    what: &'static str,
    lines: bool,
    steps: Vec<Duration>,
}

impl Bar {
    pub(crate) fn new(what: &'static str, steps: usize, elsewhere: Elsewhere) -> Self {
        let bar = ProgressBar::new(steps as u64);
        let style = ProgressStyle::with_template("  {msg:<22} [{bar:30}] {pos}/{len} {elapsed}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            bar,
            what,
            lines: elsewhere == Elsewhere::LineForEachStep && !std::io::stderr().is_terminal(),
            steps: Vec::new(),
        }
    }

    /// One step done, that took so long.
    pub(crate) fn step(&mut self, took: Duration) {
        self.steps.push(took);
        self.bar.inc(1);
        let seconds = took.as_secs_f64();
        self.bar
            .set_message(format!("{} ({seconds:.2} s)", self.what));
        if self.lines {
            let what = format!("{} {}", self.what, self.steps.len());
            line(&what, format!("{seconds:.2} s"));
        }
    }

    /// Removes the bar; the time of each step.
    pub(crate) fn finish(self) -> Vec<Duration> {
        self.bar.finish_and_clear();
        self.steps
    }
}
