use super::{PackedScheme, Sample, Suite, must, must_fail};
use crate::wire::{Expected, Header, Kind, seal};
use crate::{Decrypt, Encrypt, Error, Result};
use rand::{CryptoRng, RngExt};

fn malformed(error: &Error) -> bool {
    matches!(error, Error::Wire { .. } | Error::KeyMismatch { .. })
}

impl<S, K> Suite<'_, S, K>
where
    S: PackedScheme,
    K: Encrypt<Scheme = S> + Decrypt<Scheme = S>,
{
    /// Ciphertexts survive serialization; altered bytes do not.
    pub(super) fn wire<R: CryptoRng>(&self, rng: &mut R) {
        let s = self.evaluator;
        for depth in 0..=s.max_depth() {
            let (fresh, a) = self.sample(depth, rng);
            let computed = must(
                "add_plain",
                s.add_plain(&must("rotate", s.rotate(&fresh, 1)), &[S::Value::of(0.25)]),
            );
            let mut b: Vec<_> = a.iter().map(|&v| v + S::Value::of(0.25)).collect();
            b.rotate_left(1);
            for (name, ct, clear) in [("fresh", fresh, a), ("computed", computed, b)] {
                let what = format!("{name} ciphertext at depth {depth}, written and read");
                let bytes = s.write_ciphertext(&ct);
                let read = must(&what, s.read_ciphertext(&bytes));
                self.expect(&what, &read, &clear, depth);
                let (bound, magnitude) = (s.error_bound(&ct), s.magnitude_bound(&ct));
                assert_eq!(s.error_bound(&read), bound, "{what}: error bound");
                // Exact as declared; of a computation, a scheme may tell less than it knows.
                let most = if name == "fresh" { 1.0 } else { 1.25 };
                let kept = s.magnitude_bound(&read);
                assert!(
                    (magnitude..=most * magnitude).contains(&kept),
                    "{what}: magnitude bound {kept} of {magnitude}"
                );
                assert!(
                    s.write_ciphertext(&read) == bytes,
                    "{what}: written again, the bytes differ"
                );
                // The owner reads without evaluation keys.
                let owned = must(&what, self.key.scheme().read_ciphertext(&bytes));
                self.expect(&what, &owned, &clear, depth);
                corrupted(&bytes, rng, |bytes| s.read_ciphertext(bytes).map(drop));
            }
        }
    }
}

/// Altered, shortened and lengthened bytes of an object are refused by its reader: an error, never a panic.
pub(super) fn corrupted<R: CryptoRng>(
    bytes: &[u8],
    rng: &mut R,
    read: impl Fn(&[u8]) -> Result<()>,
) {
    let spots = Header::LEN.min(bytes.len());
    let random: Vec<usize> = (0..16).map(|_| rng.random_range(0..bytes.len())).collect();
    for spot in (0..spots).chain(random) {
        let mut altered = bytes.to_vec();
        altered[spot] ^= 1 << rng.random_range(0..8);
        let what = format!("byte {spot} of {} altered", bytes.len());
        must_fail(&what, read(&altered), "Wire or KeyMismatch", malformed);
        let what = format!("{} bytes cut to {spot}", bytes.len());
        must_fail(&what, read(&bytes[..spot]), "Wire", malformed);
    }
    let longer = [bytes, &[0]].concat();
    must_fail("one byte too many", read(&longer), "Wire", malformed);

    // With hashes made to fit, what is left are the scheme's own checks.
    let header = must("header", Header::peek(bytes));
    let expected = Expected {
        kind: header.kind,
        scheme: header.scheme,
        parameters: None,
        key: None,
    };
    let (_, payload) = must("payload", expected.open(bytes));
    let longer = [payload, &[0]].concat();
    must_fail(
        "payload one byte longer",
        read(&seal(&header, &longer)),
        "Wire",
        malformed,
    );
    for _ in 0..8 {
        let cut = rng.random_range(0..payload.len());
        let forged = seal(&header, &payload[..cut]);
        must_fail(
            &format!("payload cut to {cut}"),
            read(&forged),
            "Wire",
            malformed,
        );
        // An altered payload may be another valid ciphertext; otherwise it is refused, never a panic.
        let mut altered = payload.to_vec();
        altered[cut] = rng.random();
        if let Err(error) = read(&seal(&header, &altered)) {
            assert!(
                malformed(&error),
                "payload altered: got `{error}`, expected class Wire"
            );
        }
    }
    let ones = vec![0xff; payload.len()];
    must_fail(
        "payload of ones",
        read(&seal(&header, &ones)),
        "Wire",
        malformed,
    );
    let other = Header {
        kind: Kind::Vector,
        ..header
    };
    must_fail(
        "another kind",
        read(&seal(&other, payload)),
        "Wire",
        malformed,
    );
}
