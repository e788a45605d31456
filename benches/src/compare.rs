//! Rounds over several contenders, and what comes out of them.

use crate::contender::{Clock, Contender};
use crate::goals;
use serde_json::{Value, json};
use std::time::Instant;

/// Every contender is sampled this many times, in turns: a disturbance hits all of them.
const ROUNDS: usize = 7;

/// A comparison that takes longer than this many times the wanted time is cut short after a full round.
const PATIENCE: f64 = 10.0;

/// A contender, or its name and why it cannot take part.
pub type Entry = Result<Box<dyn Contender>, Absent>;

/// A contender that cannot take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// Who.
    pub name: String,
    /// Why not.
    pub reason: String,
}

/// One operation with everybody who does it.
pub struct Comparison {
    /// E.g. `ckks/rotate/2^14`.
    pub name: String,
    /// Threads that each contender may use.
    pub threads: usize,
    /// This library.
    pub ours: Entry,
    /// The others.
    pub peers: Vec<Entry>,
    /// What it is about.
    pub work: Work,
}

/// How much an operation does.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Work {
    /// Multiply-adds of the same operation in clear.
    pub macs: Option<u64>,
    /// Bytes of our ciphertexts: operands and result.
    pub bytes: Option<usize>,
    /// What encryption of the operands took, once.
    pub encrypt_ms: Option<f64>,
    /// What decryption of the result took, once.
    pub decrypt_ms: Option<f64>,
}

/// Ours beside one peer. Times are medians, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The operation.
    pub name: String,
    /// Threads that each side may use.
    pub threads: usize,
    /// Our time.
    pub ours_ms: Option<f64>,
    /// The peer, with version.
    pub peer: String,
    /// Its time.
    pub peer_ms: Option<f64>,
    /// The time to reach, where there is one.
    pub goal_ms: Option<f64>,
    /// How many times faster than this peer ours is to be, where that is the goal.
    pub goal_ratio: Option<f64>,
    /// What a reader must know; why a time is missing.
    pub note: String,
    /// What it is about.
    pub work: Work,
}

impl Row {
    /// Multiply-adds a second, of the operation in clear.
    #[must_use]
    pub fn macs_per_second(&self) -> Option<f64> {
        Some(self.work.macs? as f64 / (self.ours_ms? * 1e-3))
    }

    /// Peer's time over ours.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        Some(self.peer_ms? / self.ours_ms?)
    }

    /// `met`, or by how much it is missed; empty without goal or measurement.
    #[must_use]
    pub fn verdict(&self) -> String {
        if let (Some(ratio), Some(goal)) = (self.ratio(), self.goal_ratio) {
            // Below 1 the peer is the faster one: "at most 8 times its time".
            let (ratio_said, goal_said) = if goal < 1.0 {
                (1.0 / ratio, format!("at most {} times", slower(goal)))
            } else if goal == 1.0 {
                (ratio, "ahead".into())
            } else {
                (ratio, format!("{goal} times"))
            };
            return if ratio >= goal {
                format!("{goal_said} {}", Self::MET)
            } else {
                format!("{goal_said} missed: {} times", significant(ratio_said, 3))
            };
        }
        match (self.ours_ms, self.goal_ms) {
            (Some(ours), Some(goal)) if ours <= goal => Self::MET.into(),
            (Some(ours), Some(goal)) => format!("missed by {:.0} %", (ours / goal - 1.0) * 100.0),
            _ => String::new(),
        }
    }

    /// How a verdict ends where the goal is met.
    const MET: &str = "met";

    /// Whether the goal is met; `None` without goal or measurement.
    #[must_use]
    pub fn met(&self) -> Option<bool> {
        match self.verdict().as_str() {
            "" => None,
            verdict => Some(verdict.ends_with(Self::MET)),
        }
    }

    /// The row of `summary.json`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name, "threads": self.threads, "ours_ms": self.ours_ms, "peer": self.peer,
            "peer_ms": self.peer_ms, "ratio": self.ratio(), "goal_ms": self.goal_ms,
            "goal_ratio": self.goal_ratio, "note": self.full_note(),
            "macs_per_s": self.macs_per_second(), "bytes": self.work.bytes,
            "encrypt_ms": self.work.encrypt_ms, "decrypt_ms": self.work.decrypt_ms,
        })
    }

    fn full_note(&self) -> String {
        let verdict = match self.verdict().as_str() {
            "" => String::new(),
            verdict => format!("goal {verdict}"),
        };
        [verdict.as_str(), &self.note]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// The table's heading.
#[must_use]
pub fn heading() -> String {
    format!(
        "{:<29} {:>3} {:>10}  {:<34} {:>10} {:>7} {:>8}  {}",
        "operation", "thr", "ours ms", "peer", "peer ms", "ratio", "goal ms", "note"
    )
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |ms| significant(ms, 4));
        let ratio = self
            .ratio()
            .map_or_else(|| "-".into(), |ratio| significant(ratio, 3));
        write!(
            f,
            "{:<29} {:>3} {:>10}  {:<34} {:>10} {:>7} {:>8}  {}",
            self.name,
            self.threads,
            number(self.ours_ms),
            self.peer,
            number(self.peer_ms),
            ratio,
            match (self.goal_ms, self.goal_ratio) {
                (Some(goal), _) => goal.to_string(),
                (None, Some(goal)) if goal < 1.0 => format!("1/{}", slower(goal)),
                (None, Some(1.0)) => "ahead".into(),
                (None, Some(goal)) => format!("{goal} times"),
                (None, None) => "-".into(),
            },
            self.full_note(),
        )
    }
}

/// A goal below 1 the other way round: how many times the peer's time it may take.
fn slower(goal: f64) -> f64 {
    (100.0 / goal).round() / 100.0
}

/// `value` with `digits` significant digits, in plain notation.
fn significant(value: f64, digits: i32) -> String {
    let whole = if value > 0.0 {
        value.log10().floor() as i32 + 1
    } else {
        1
    };
    format!("{value:.*}", (digits - whole).max(0) as usize)
}

/// The middle value, or the mean of the two; `None` for no values.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Times of one contender, or why there are none.
type Times = Result<Vec<f64>, String>;

impl Comparison {
    /// Takes the times, about `seconds` for each contender, and gives one row for each peer (one in all without peers).
    pub fn run(mut self, seconds: f64, clock: Clock) -> Vec<Row> {
        let mut entries: Vec<&mut Entry> = std::iter::once(&mut self.ours)
            .chain(&mut self.peers)
            .collect();
        let mut times: Vec<Times> = entries
            .iter()
            .map(|entry| {
                entry
                    .as_ref()
                    .map(|_| Vec::new())
                    .map_err(|absent| absent.reason.clone())
            })
            .collect();
        for contender in entries.iter_mut().filter_map(|entry| entry.as_mut().ok()) {
            contender.set_clock(clock);
        }
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            for (entry, times) in entries.iter_mut().zip(&mut times) {
                if let (Ok(contender), Ok(so_far)) = (entry, &mut *times) {
                    match contender.sample(seconds / ROUNDS as f64) {
                        Ok(more) => so_far.extend(more),
                        Err(reason) => *times = Err(reason),
                    }
                }
            }
            if begin.elapsed().as_secs_f64() > PATIENCE * seconds {
                break;
            }
        }
        self.rows(times)
    }

    fn rows(&self, times: Vec<Times>) -> Vec<Row> {
        let mut results = times.into_iter();
        let (ours_ms, ours_note) = outcome("ours", &self.ours, results.next());
        let row = |peer: String, peer_ms, note| Row {
            name: self.name.clone(),
            threads: self.threads,
            ours_ms,
            goal_ratio: goals::goal_ratio(&self.name, self.threads, &peer),
            peer,
            peer_ms,
            goal_ms: goals::goal_ms(&self.name, self.threads),
            note,
            work: self.work,
        };
        let mut rows = Vec::new();
        for (peer, times) in self.peers.iter().zip(results) {
            let name = match peer {
                Ok(contender) => contender.name().to_owned(),
                Err(absent) => absent.name.clone(),
            };
            let (peer_ms, peer_note) = outcome("peer", peer, Some(times));
            let notes = [ours_note.as_str(), &peer_note]
                .into_iter()
                .filter(|note| !note.is_empty());
            rows.push(row(name, peer_ms, notes.collect::<Vec<_>>().join("; ")));
        }
        if rows.is_empty() {
            rows.push(row("none".into(), None, ours_note));
        }
        rows
    }
}

/// The median and the note of one side.
fn outcome(side: &str, entry: &Entry, times: Option<Times>) -> (Option<f64>, String) {
    let note = entry.as_ref().map_or("", |contender| contender.note());
    match times {
        Some(Ok(times)) if note.is_empty() => (median(times), String::new()),
        Some(Ok(times)) => (median(times), format!("{side}: {note}")),
        Some(Err(reason)) => (None, format!("{side} not measured: {reason}")),
        None => (None, format!("{side} not measured")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static str, Vec<f64>);

    impl Contender for Fixed {
        fn name(&self) -> &str {
            self.0
        }
        fn note(&self) -> &str {
            "as told"
        }
        fn sample(&mut self, _: f64) -> Result<Vec<f64>, String> {
            if self.1.is_empty() {
                Err("it broke".into())
            } else {
                Ok(self.1.clone())
            }
        }
        fn set_clock(&mut self, _: Clock) {}
    }

    fn fixed(name: &'static str, times: &[f64]) -> Entry {
        Ok(Box::new(Fixed(name, times.to_vec())))
    }

    #[test]
    fn one_row_for_each_peer_and_none_is_dropped() {
        let absent = Absent {
            name: "far".into(),
            reason: "no network".into(),
        };
        let comparison = Comparison {
            name: "ckks/rotate/2^14".into(),
            threads: 1,
            ours: fixed("ours", &[2.0, 1.0, 90.0]),
            peers: vec![fixed("near", &[8.0]), fixed("sick", &[]), Err(absent)],
            work: Work {
                macs: Some(6000),
                bytes: Some(77),
                ..Work::default()
            },
        };
        let rows = comparison.run(1e-3, Clock::Wall);
        assert_eq!(
            rows.iter().map(|row| row.peer.as_str()).collect::<Vec<_>>(),
            ["near", "sick", "far"]
        );
        assert_eq!(rows[0].ratio(), Some(4.0));
        assert_eq!(rows[0].goal_ms, Some(4.5));
        let json = rows[0].to_json();
        assert_eq!(
            (&json["ours_ms"], &json["peer_ms"], &json["ratio"]),
            (&json!(2.0), &json!(8.0), &json!(4.0))
        );
        assert_eq!(
            (&json["macs_per_s"], &json["bytes"]),
            (&json!(3e6), &json!(77))
        );
        assert_eq!(json["note"], "goal met; ours: as told; peer: as told");
        assert_eq!(rows[1].to_json()["peer_ms"], Value::Null);
        assert!(rows[1].note.contains("it broke") && rows[2].note.contains("no network"));
    }

    #[test]
    fn without_peers_there_is_still_a_row() {
        let absent = Absent {
            name: "ours".into(),
            reason: "no such size".into(),
        };
        let rows = Comparison {
            name: "x".into(),
            threads: 2,
            ours: Err(absent),
            peers: vec![],
            work: Work::default(),
        }
        .run(1e-3, Clock::Wall);
        assert_eq!((rows.len(), rows[0].ours_ms), (1, None));
        assert!(rows[0].note.contains("no such size"));
    }

    #[test]
    fn verdicts() {
        let row = |ours_ms, goal_ms| Row {
            name: String::new(),
            threads: 1,
            ours_ms,
            peer: String::new(),
            peer_ms: None,
            goal_ms,
            goal_ratio: None,
            note: String::new(),
            work: Work::default(),
        };
        assert_eq!(row(Some(1.5), Some(1.0)).verdict(), "missed by 50 %");
        assert_eq!(row(Some(1.0), Some(1.0)).verdict(), "met");
        assert_eq!(row(Some(1.0), None).verdict(), "");
        assert_eq!(row(None, Some(1.0)).verdict(), "");
        let ratio = |peer_ms| Row {
            peer_ms,
            goal_ratio: Some(8.0),
            ..row(Some(1.0), None)
        };
        assert_eq!(ratio(Some(9.0)).verdict(), "8 times met");
        assert_eq!(ratio(Some(6.5)).verdict(), "8 times missed: 6.50 times");
        assert_eq!(
            [Some(9.0), Some(6.5), None].map(|peer_ms| ratio(peer_ms).met()),
            [Some(true), Some(false), None]
        );
        let beside_plain = |peer_ms| Row {
            peer_ms,
            goal_ratio: Some(1.0 / 8.0),
            ..row(Some(1.0), None)
        };
        assert_eq!(beside_plain(Some(0.2)).verdict(), "at most 8 times met");
        assert_eq!(
            beside_plain(Some(0.1)).verdict(),
            "at most 8 times missed: 10.0 times"
        );
        assert_eq!(beside_plain(Some(0.1)).met(), Some(false));
        let ahead = |peer_ms| Row {
            peer_ms,
            goal_ratio: Some(1.0),
            ..row(Some(1.0), None)
        };
        assert_eq!(ahead(Some(2.0)).verdict(), "ahead met");
        assert_eq!(ahead(Some(0.5)).verdict(), "ahead missed: 0.500 times");
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn numbers_keep_their_significant_digits() {
        assert_eq!(significant(0.048_13, 4), "0.04813");
        assert_eq!(significant(0.048_16, 3), "0.0482");
        assert_eq!(significant(3487.007, 4), "3487");
        assert_eq!(significant(34.69, 3), "34.7");
    }
}
