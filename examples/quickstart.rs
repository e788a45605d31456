//! The README's example: an encrypted matrix times an encrypted vector.

use cipherblas::ckks::{Evaluator, Params, SecretKey};
use cipherblas::linalg::{EncryptedMatrix, EncryptedVector, Plan};

fn main() -> Result<(), cipherblas::Error> {
    let mut rng = rand::rng();

    // Owner: parameters from the job, the keys that the plan lists, encrypted data.
    let params = Params::builder().depth(2).precision_bits(25).build()?;
    println!("{params}");
    let secret = SecretKey::generate(&params, &mut rng)?;
    let plan = Plan::trace(params.slots(), params.depth(), |job| {
        let a = job.matrix(2, 3, &Default::default())?;
        a.matvec(&job.vector(3, &Default::default())?).map(drop)
    })?;
    let keys = secret.evaluation_keys(plan.keys(), &mut rng)?;
    let a = EncryptedMatrix::encrypt(&secret, 2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut rng)?;
    let v = EncryptedVector::encrypt(&secret, &[0.5, -1.0, 2.0], &mut rng)?;

    // Server: ciphertexts and evaluation keys, no secret.
    let server = Evaluator::new(&params, keys)?;
    let y = a.bind(&server)?.matvec(&v.bind(&server)?)?;

    // Owner.
    let y = y.decrypt(&secret)?;
    println!("{y:.6?}, expected [4.5, 9.0]");
    assert!((y[0] - 4.5).abs() < 1e-6 && (y[1] - 9.0).abs() < 1e-6);
    Ok(())
}
