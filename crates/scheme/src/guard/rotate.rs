//! Rotations by steps without a key of their own, from the powers of two that have one.

use super::Guarded;
use crate::{Result, Rotate};
use std::collections::BTreeMap;

/// Rotations to make one after another.
type Path = Vec<i64>;

/// The fewest rotations by plus or minus powers of two, each at most once, that together are one by `step` modulo `slots`
/// (a power of two): signed binary digits, the highest first. Among equally few, the ones that go forward, which have more
/// of their beginnings in common. `None` if the keys that `held` tells of do not reach.
fn compose(step: i64, slots: usize, held: impl Fn(i64) -> bool) -> Option<Path> {
    let offset = step.rem_euclid(slots as i64);
    let bits = slots.trailing_zeros() as usize;
    // `best[k][carry]`: the digit at 2^k, and how many digits from there up are not zero. Beyond the last, all is whole
    // turns.
    let mut best = vec![[Some((0i64, 0u32)); 2]; bits + 1];
    for k in (0..bits).rev() {
        let held = [held(1 << k), held(-(1 << k))];
        for carry in 0..2 {
            best[k][carry] = match (offset >> k & 1) as usize + carry {
                1 => [(held[0], 1, 0), (held[1], -1, 1)]
                    .into_iter()
                    .filter(|&(held, ..)| held)
                    .filter_map(|(_, digit, next)| Some((digit, best[k + 1][next]?.1 + 1)))
                    .min_by_key(|&(_, count)| count),
                even => best[k + 1][even / 2].map(|(_, count)| (0, count)),
            };
        }
    }
    let (mut path, mut carry) = (Path::new(), 0);
    for (k, choices) in best[..bits].iter().enumerate() {
        let (digit, _) = choices[carry]?;
        let sum = (offset >> k & 1) + carry as i64 - digit;
        carry = (sum / 2) as usize;
        if digit != 0 {
            path.push(digit << k);
        }
    }
    path.reverse();
    Some(path)
}

impl<S: Rotate> Guarded<S> {
    /// The rotations that make one by `step`: itself where its key is held.
    fn path(&self, step: i64) -> Option<Path> {
        if self.inner.can_rotate(step) {
            return Some(vec![step]);
        }
        compose(step, self.inner.slots(), |power| {
            self.inner.can_rotate(power)
        })
    }

    /// The paths of all steps, or the index of the first that there is none for.
    fn paths(&self, steps: &[i64]) -> Result<Vec<Path>, usize> {
        let paths = steps.iter().enumerate();
        paths
            .map(|(index, &step)| self.path(step).ok_or(index))
            .collect()
    }

    /// One result for each path from `ct`: paths that begin alike share their beginning, those that part share a
    /// decomposition.
    fn spread(&self, ct: &S::Ciphertext, paths: &[&[i64]]) -> Result<Vec<S::Ciphertext>> {
        let mut groups: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        let mut out: Vec<Option<S::Ciphertext>> = Vec::with_capacity(paths.len());
        for (i, path) in paths.iter().enumerate() {
            out.push(match path.first() {
                Some(&step) => {
                    groups.entry(step).or_default().push(i);
                    None
                }
                None => Some(ct.clone()),
            });
        }
        let steps: Vec<i64> = groups.keys().copied().collect();
        if !steps.is_empty() {
            self.watch.begin(steps.len())?;
            let rotated = self.inner.rotate_many(ct, &steps)?;
            for (members, ct) in groups.into_values().zip(rotated) {
                let rests: Vec<&[i64]> = members.iter().map(|&i| &paths[i][1..]).collect();
                let ends = match rests[..] {
                    [[]] => vec![ct],
                    _ => self.spread(&ct, &rests)?,
                };
                for (i, end) in members.into_iter().zip(ends) {
                    out[i] = Some(end);
                }
            }
        }
        // Every path is in one group, or ends here.
        Ok(out.into_iter().flatten().collect())
    }
}

impl<S: Rotate> Rotate for Guarded<S> {
    fn rotate(&self, ct: &S::Ciphertext, step: i64) -> Result<S::Ciphertext> {
        match self.path(step).as_deref() {
            Some([first, rest @ ..]) => {
                self.watch.begin(1)?;
                let mut out = self.inner.rotate(ct, *first)?;
                for &step in rest {
                    self.watch.begin(1)?;
                    out = self.inner.rotate(&out, step)?;
                }
                Ok(out)
            }
            // What is missing is said by the evaluator inside.
            _ => {
                self.watch.begin(1)?;
                self.inner.rotate(ct, step)
            }
        }
    }

    fn rotate_many(&self, ct: &S::Ciphertext, steps: &[i64]) -> Result<Vec<S::Ciphertext>> {
        if !steps.iter().all(|&step| self.inner.can_rotate(step)) {
            match self.paths(steps) {
                Ok(paths) => {
                    let paths: Vec<&[i64]> = paths.iter().map(Vec::as_slice).collect();
                    return self.spread(ct, &paths);
                }
                // What is missing is said by the evaluator inside.
                Err(index) => {
                    self.watch.look()?;
                    drop(self.inner.rotate_many(ct, &steps[index..=index])?);
                }
            }
        }
        self.watch.begin(steps.len())?;
        self.inner.rotate_many(ct, steps)
    }

    /// Of steps without a key, all rotations but the last are made before the sum, once for each ciphertext and beginning;
    /// the last ones are part of the sum.
    fn rotate_sum(&self, cts: &[&S::Ciphertext], steps: &[i64]) -> Result<S::Ciphertext> {
        let whole = cts.len() != steps.len() || steps.iter().all(|&s| self.inner.can_rotate(s));
        if whole {
            self.watch.begin(1)?;
            return self.inner.rotate_sum(cts, steps);
        }
        let paths = match self.paths(steps) {
            Ok(paths) => paths,
            Err(index) => {
                self.watch.begin(1)?;
                // What is missing is said by the evaluator inside.
                drop(
                    self.inner
                        .rotate_sum(&cts[index..=index], &steps[index..=index])?,
                );
                return self.inner.rotate_sum(cts, steps);
            }
        };
        let split: Vec<(&[i64], i64)> = paths
            .iter()
            .map(|path| match path.split_last() {
                Some((&last, before)) => (before, last),
                None => (&[][..], 0),
            })
            .collect();
        // What each ciphertext is rotated to beforehand, told apart by address as the sum itself does.
        let mut begun: BTreeMap<*const S::Ciphertext, BTreeMap<&[i64], usize>> = BTreeMap::new();
        let mut rotated: Vec<S::Ciphertext> = Vec::new();
        for (&ct, &(before, _)) in cts.iter().zip(&split) {
            if !before.is_empty() {
                begun
                    .entry(std::ptr::from_ref(ct))
                    .or_default()
                    .insert(before, 0);
            }
        }
        for &ct in cts {
            // Each once: those done are marked by their place in `rotated`, counted from one.
            let Some(beginnings) = begun.get_mut(&std::ptr::from_ref(ct)) else {
                continue;
            };
            if beginnings.values().any(|&place| place == 0) {
                let paths: Vec<&[i64]> = beginnings.keys().copied().collect();
                let results = self.spread(ct, &paths)?;
                for (place, result) in beginnings.values_mut().zip(results) {
                    rotated.push(result);
                    *place = rotated.len();
                }
            }
        }
        let terms: Vec<&S::Ciphertext> = cts
            .iter()
            .zip(&split)
            .map(|(&ct, &(before, _))| {
                let place = begun
                    .get(&std::ptr::from_ref(ct))
                    .and_then(|beginnings| beginnings.get(before));
                place.map_or(ct, |&place| &rotated[place - 1])
            })
            .collect();
        let lasts: Vec<i64> = split.iter().map(|&(_, last)| last).collect();
        self.watch.begin(1)?;
        self.inner.rotate_sum(&terms, &lasts)
    }

    /// Whether `step` has a key of its own: others are possible and slower.
    fn can_rotate(&self, step: i64) -> bool {
        self.inner.can_rotate(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fewest signed powers of two for every offset, by search.
    fn fewest(slots: usize, held: &[i64]) -> Vec<Option<usize>> {
        let mut best = vec![None; slots];
        for subset in 0..1usize << held.len() {
            let chosen = held
                .iter()
                .enumerate()
                .filter(|(i, _)| subset >> i & 1 == 1);
            let sum: i64 = chosen.map(|(_, step)| step).sum();
            let (count, entry) = (
                subset.count_ones() as usize,
                &mut best[sum.rem_euclid(slots as i64) as usize],
            );
            if entry.is_none_or(|known| count < known) {
                *entry = Some(count);
            }
        }
        best
    }

    #[test]
    fn compositions_are_right_and_the_shortest() {
        for slots in [1usize, 2, 4, 16, 32] {
            let powers: Vec<i64> = (0..slots.trailing_zeros())
                .flat_map(|k| [1 << k, -(1 << k)])
                .collect();
            let best = fewest(slots, &powers);
            for step in [i64::MIN, i64::MAX]
                .into_iter()
                .chain(-2 * slots as i64..2 * slots as i64)
            {
                let path = compose(step, slots, |_| true).unwrap();
                let offset = step.rem_euclid(slots as i64);
                assert_eq!(
                    path.iter().sum::<i64>().rem_euclid(slots as i64),
                    offset,
                    "{step} of {slots}"
                );
                assert_eq!(Some(path.len()), best[offset as usize], "{step} of {slots}");
            }
        }
        assert_eq!(compose(7, 16, |_| true).unwrap(), [8, -1]);
        assert_eq!(compose(3, 16, |_| true).unwrap(), [2, 1]);
        assert_eq!(compose(15, 16, |_| true).unwrap(), [-1]);
    }

    #[test]
    fn only_held_powers_are_used() {
        let forward = |power: i64| power > 0;
        assert_eq!(compose(7, 16, forward).unwrap(), [4, 2, 1]);
        assert_eq!(compose(-1, 16, forward).unwrap(), [8, 4, 2, 1]);
        assert_eq!(compose(7, 16, |p| [8, -1].contains(&p)).unwrap(), [8, -1]);
        assert_eq!(compose(7, 16, |p| [8, 1].contains(&p)), None);
        assert_eq!(compose(2, 16, |p| p.abs() == 1), None);
        assert_eq!(compose(16, 16, |_| false), Some(vec![]));
    }
}
