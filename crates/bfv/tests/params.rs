//! Parameters follow from the job and never leave the security table.

use cipherblas_bfv::{Error, Params, SecurityLevel};
use cipherblas_scheme::security::max_log_qp;

#[test]
fn every_job_gets_a_secure_ring_and_room_for_its_noise() {
    for level in [
        SecurityLevel::Classical128,
        SecurityLevel::Classical192,
        SecurityLevel::Classical256,
    ] {
        let mut last = 0;
        for depth in [0, 1, 2, 4, 7] {
            for bits in [2, 16, 20, 33, 49, 62] {
                let params = Params::builder()
                    .depth(depth)
                    .plaintext_bits(bits)
                    .security(level)
                    .build()
                    .unwrap();
                let limit = f64::from(max_log_qp(level, params.degree()).unwrap());
                assert!(params.log2_qp() <= limit, "{params}");
                assert_eq!(params.depth(), depth);
                let product: u128 = params
                    .plaintext_moduli()
                    .iter()
                    .map(|&t| u128::from(t))
                    .product();
                assert!(product > 1 << bits && product < 1 << 63);
                for l in 0..=depth {
                    let sums = 2f64.powi(params.headroom_bits() as i32);
                    assert!(
                        sums * params.noise_unit(l) <= params.noise_limit(l),
                        "{params}"
                    );
                }
                if bits == 33 {
                    assert!(params.degree() >= last);
                    last = params.degree();
                }
            }
        }
    }
}

#[test]
fn common_jobs_fit_small_rings() {
    for (depth, bits, degree) in [(0, 20, 4096), (1, 40, 8192), (2, 20, 8192), (5, 20, 16384)] {
        let params = Params::builder().depth(depth).plaintext_bits(bits);
        let params = params.degree(degree).build().unwrap();
        assert_eq!(params.plaintext_moduli().len(), 1, "{params}");
    }
}

/// Chains are found for any amount of headroom, in rings where primes are dense and where they are rare.
#[test]
fn every_headroom_has_its_chain() {
    for degree in [16, 128, 4096] {
        for headroom in 0..=40 {
            for (depth, bits) in [(0, 2), (1, 16), (3, 30)] {
                let params = Params::builder()
                    .depth(depth)
                    .plaintext_bits(bits)
                    .headroom_bits(headroom)
                    .insecure_degree(degree)
                    .build()
                    .unwrap();
                let sums = 2f64.powi(headroom as i32);
                for level in 0..=depth {
                    let (unit, limit) = (params.noise_unit(level), params.noise_limit(level));
                    assert!(sums * unit <= limit);
                    // And not by much more than is needed, at the bottom.
                    assert!(
                        level > 0 || sums * unit * 8.0 > limit || depth > 1,
                        "{params}"
                    );
                }
            }
        }
    }
}

#[test]
fn jobs_that_do_not_exist_are_refused_with_the_reason() {
    match Params::builder().depth(60).plaintext_bits(62).build() {
        Err(Error::Parameter { got, expected, .. }) => {
            assert!(got.contains("depth 60"), "{got}");
            assert!(expected.contains("3523"), "{expected}");
        }
        other => panic!("{other:?}"),
    }
    // Ciphertexts of more primes than conversions take, where no security table is in the way.
    let deep = Params::builder()
        .plaintext_bits(49)
        .plaintext_moduli(1)
        .insecure_degree(16);
    let wide = deep.headroom_bits(30);
    assert_eq!(wide.clone().depth(49).build().unwrap().ring().q_len(), 100);
    let wider = wide.clone().headroom_bits(40);
    for wider in [wide.depth(50), wider.depth(49)] {
        match wider.build() {
            Err(Error::Parameter { expected, .. }) => assert!(expected.contains("100 primes")),
            other => panic!("{other:?}"),
        }
    }
    for bad in [
        Params::builder().depth(61),
        Params::builder().plaintext_bits(1),
        Params::builder().plaintext_bits(63),
        Params::builder().headroom_bits(41),
        Params::builder().slots(0),
        Params::builder().slots(1 << 17),
        Params::builder().slots(1 << 14).degree(1 << 13),
        Params::builder().degree(5000),
        Params::builder().degree(1 << 11),
        Params::builder().insecure_degree(8),
        Params::builder().digit_len(0),
        Params::builder().plaintext_moduli(0),
        Params::builder().plaintext_moduli(9),
        Params::builder().plaintext_bits(60).plaintext_moduli(1),
        Params::builder().plaintext_bits(10).plaintext_moduli(2),
    ] {
        assert!(
            matches!(bad.clone().build(), Err(Error::Parameter { .. })),
            "{bad:?}"
        );
    }
}

#[test]
fn parameters_survive_the_wire_and_say_what_they_are() {
    let params = Params::builder()
        .depth(2)
        .plaintext_bits(40)
        .build()
        .unwrap();
    let read = Params::from_bytes(&params.to_bytes()).unwrap();
    assert_eq!(read.id(), params.id());
    assert_eq!(read, params);
    let shown = params.to_string();
    for part in ["BFV", "128 bits classical", "2^39", "depth          2"] {
        assert!(shown.contains(part), "{shown}");
    }
    let toy = Params::builder()
        .depth(1)
        .insecure_degree(64)
        .build()
        .unwrap();
    assert!(toy.to_string().contains("INSECURE"));
    assert!(matches!(
        Params::from_bytes(&toy.to_bytes()),
        Err(Error::Parameter { .. })
    ));
    assert_eq!(
        Params::insecure_from_bytes(&toy.to_bytes()).unwrap().id(),
        toy.id()
    );
    let id = |headroom: u32, bits: u32| {
        let builder = Params::builder().insecure_degree(64).depth(1);
        let builder = builder.headroom_bits(headroom).plaintext_bits(bits);
        builder.build().unwrap().id()
    };
    assert_ne!(id(16, 20), id(15, 20));
    assert_ne!(id(16, 20), id(16, 21));
}
