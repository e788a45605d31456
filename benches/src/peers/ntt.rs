//! Transforms of `tfhe-ntt`, `concrete-ntt` and `fhe-math` over one prime, in place.

use crate::compare::{Absent, Entry};
use crate::contender::Local;
use rayon::ThreadPool;
use std::sync::Arc;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Coefficients to values.
    Forward,
    /// Values to coefficients.
    Inverse,
}

/// What is transformed.
#[derive(Debug, Clone)]
pub struct Job {
    /// The prime, 1 modulo twice the length.
    pub prime: u64,
    /// Canonical residues; a limb each.
    pub limbs: Vec<Vec<u64>>,
    /// Which way.
    pub direction: Direction,
    /// Where it runs.
    pub pool: Arc<ThreadPool>,
}

impl Job {
    /// Length of the transform.
    #[must_use]
    pub fn degree(&self) -> usize {
        self.limbs.first().map_or(0, Vec::len)
    }

    fn entry<P: Send + Sync + 'static>(
        &self,
        name: &str,
        plan: Option<P>,
        forward: impl Fn(&P, &mut [u64]) + Send + Sync + 'static,
        inverse: impl Fn(&P, &mut [u64]) + Send + Sync + 'static,
    ) -> Result<Local, Absent> {
        let reason = || {
            format!(
                "no plan for length {} and prime {}",
                self.degree(),
                self.prime
            )
        };
        let plan = plan.ok_or_else(|| Absent {
            name: name.into(),
            reason: reason(),
        })?;
        Ok(match self.direction {
            Direction::Forward => {
                Local::on_limbs(name, &self.pool, self.limbs.clone(), move |limb| {
                    forward(&plan, limb)
                })
            }
            Direction::Inverse => {
                Local::on_limbs(name, &self.pool, self.limbs.clone(), move |limb| {
                    inverse(&plan, limb)
                })
            }
        })
    }

    /// Whether the peer leaves the division by the length out of its inverse.
    fn unscaled(&self, local: Local) -> Local {
        if self.direction == Direction::Inverse {
            local.with_note("without the factor 1/n")
        } else {
            local
        }
    }
}

/// `tfhe-ntt`, 64-bit primes.
pub fn tfhe(job: &Job) -> Entry {
    use tfhe_ntt::prime64::Plan;
    let plan = Plan::try_new(job.degree(), job.prime);
    Ok(Box::new(job.unscaled(job.entry(
        "tfhe-ntt 0.7 prime64",
        plan,
        Plan::fwd,
        Plan::inv,
    )?)))
}

/// `concrete-ntt`, 64-bit primes.
pub fn concrete(job: &Job) -> Entry {
    use concrete_ntt::prime64::Plan;
    let plan = Plan::try_new(job.degree(), job.prime);
    Ok(Box::new(job.unscaled(job.entry(
        "concrete-ntt 0.2 prime64",
        plan,
        Plan::fwd,
        Plan::inv,
    )?)))
}

/// The transform of the crate `fhe`.
pub fn fhe(job: &Job) -> Entry {
    use fhe_math::{ntt::NttOperator, zq::Modulus};
    let plan = Modulus::new(job.prime)
        .ok()
        .and_then(|modulus| NttOperator::new(&modulus, job.degree()));
    Ok(Box::new(job.entry(
        "fhe 0.1 (fhe-math NTT)",
        plan,
        NttOperator::forward,
        NttOperator::backward,
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::pool;

    #[test]
    fn every_peer_runs_and_an_impossible_prime_is_said() {
        for direction in [Direction::Forward, Direction::Inverse] {
            let pool = pool(1).unwrap();
            let job = |prime| Job {
                prime,
                limbs: vec![vec![1; 64]],
                direction,
                pool: Arc::clone(&pool),
            };
            for peer in [tfhe, concrete, fhe] {
                assert!(
                    peer(&job(1_125_899_906_826_241))
                        .unwrap()
                        .sample(0.0)
                        .unwrap()[0]
                        > 0.0
                );
                let absent = peer(&job(1_125_899_906_826_243)).err().unwrap();
                assert!(absent.reason.contains("no plan"));
            }
        }
    }
}
