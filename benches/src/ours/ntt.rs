//! The transform over one prime.

use super::{NAME, text};
use crate::compare::{Absent, Entry};
use crate::contender::Local;
use crate::peers::ntt::{Direction, Job};
use cipherblas_math::{AlignedVec, Modulus, NttPlan, primes};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::ThreadPool;
use std::sync::Arc;

/// Random residues modulo the largest prime below 2^50 that every compared length divides.
///
/// # Errors
/// If there is no such prime.
pub fn job(
    degree: usize,
    limbs: usize,
    direction: Direction,
    pool: &Arc<ThreadPool>,
) -> Result<Job, String> {
    let found = primes::primes_near(1 << 50, 1 << 17, 1, &[]).map_err(text)?;
    let prime = *found.first().ok_or("no prime of 50 bits")?;
    let mut rng = ChaCha20Rng::seed_from_u64(degree as u64);
    let limbs = (0..limbs)
        .map(|_| (0..degree).map(|_| rng.random_range(0..prime)).collect())
        .collect();
    Ok(Job {
        prime,
        limbs,
        direction,
        pool: Arc::clone(pool),
    })
}

fn contender_for(job: &Job) -> Result<Local, String> {
    let modulus = Modulus::new(job.prime).map_err(text)?;
    let plan = NttPlan::new(job.degree(), modulus).map_err(text)?;
    let limbs: Vec<AlignedVec> = job
        .limbs
        .iter()
        .map(|limb| AlignedVec::from_slice(&limb.iter().map(|&x| x as f64).collect::<Vec<_>>()))
        .collect();
    if let (Some(limb), Some(original)) = (limbs.first(), job.limbs.first()) {
        check(&plan, limb.clone(), original)?;
    }
    let note = format!("backend {}", plan.backend().name());
    Ok(match job.direction {
        Direction::Forward => {
            Local::on_limbs(NAME, &job.pool, limbs, move |limb| plan.forward(limb))
        }
        Direction::Inverse => {
            Local::on_limbs(NAME, &job.pool, limbs, move |limb| plan.inverse(limb))
        }
    }
    .with_note(note))
}

/// The values are those that `tfhe-ntt` finds, up to their order, and the inverse brings the residues back.
fn check(plan: &NttPlan, mut limb: AlignedVec, original: &[u64]) -> Result<(), String> {
    let modulus = plan.modulus();
    let canonical = |limb: &AlignedVec| {
        limb.iter()
            .map(|&x| modulus.canonical(x))
            .collect::<Vec<_>>()
    };
    plan.forward(&mut limb);
    let mut values = canonical(&limb);
    values.sort_unstable();
    let oracle = tfhe_ntt::prime64::Plan::try_new(plan.n(), modulus.value()).ok_or("no oracle")?;
    let mut expected = original.to_vec();
    oracle.fwd(&mut expected);
    expected.sort_unstable();
    if values != expected {
        return Err("the transform is wrong".into());
    }
    plan.inverse(&mut limb);
    if canonical(&limb) == original {
        Ok(())
    } else {
        Err("the inverse transform is wrong".into())
    }
}

/// This library's transform.
pub fn contender(job: &Job) -> Entry {
    match contender_for(job) {
        Ok(local) => Ok(Box::new(local)),
        Err(reason) => Err(Absent {
            name: NAME.into(),
            reason,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::pool;

    #[test]
    fn both_directions_are_checked_and_timed() {
        let pool = pool(1).unwrap();
        for direction in [Direction::Forward, Direction::Inverse] {
            let job = job(64, 2, direction, &pool).unwrap();
            assert!(contender(&job).unwrap().sample(0.0).unwrap()[0] > 0.0);
        }
    }
}
