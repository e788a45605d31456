//! Parameters follow from the job and never leave the security table.

use cipherblas_ckks::{Error, Params, SecurityLevel};
use cipherblas_scheme::security::max_log_qp;

#[test]
fn every_job_gets_the_smallest_secure_ring() {
    for level in [
        SecurityLevel::Classical128,
        SecurityLevel::Classical192,
        SecurityLevel::Classical256,
    ] {
        let mut last = 0;
        for depth in [0, 1, 3, 6, 10, 15] {
            for precision in [10, 20, 25, 34] {
                let params = Params::builder()
                    .depth(depth)
                    .precision_bits(precision)
                    .security(level)
                    .build()
                    .unwrap();
                let limit = f64::from(max_log_qp(level, params.degree()).unwrap());
                assert!(params.log2_qp() <= limit, "{params}");
                assert_eq!(params.depth(), depth);
                for smaller in [params.degree() / 2, params.degree() / 4] {
                    let forced = Params::builder()
                        .depth(depth)
                        .precision_bits(precision)
                        .security(level)
                        .degree(smaller)
                        .build();
                    assert!(
                        matches!(forced, Err(Error::Parameter { .. })),
                        "{smaller} was possible for {params}"
                    );
                }
                if precision == 25 {
                    assert!(params.degree() >= last);
                    last = params.degree();
                }
            }
        }
    }
}

#[test]
fn jobs_that_do_not_exist_are_refused_with_the_reason() {
    let too_deep = Params::builder().depth(60).precision_bits(40).build();
    match too_deep {
        Err(Error::Parameter { got, expected, .. }) => {
            assert!(got.contains("depth 60"), "{got}");
            assert!(
                expected.contains("1747") || expected.contains("3523"),
                "{expected}"
            );
        }
        other => panic!("{other:?}"),
    }
    for bad in [
        Params::builder().depth(61),
        Params::builder().precision_bits(7),
        Params::builder().precision_bits(45),
        Params::builder().integer_bits(41),
        Params::builder().slots(0),
        Params::builder().slots(1 << 17),
        Params::builder().degree(5000),
        Params::builder().degree(1 << 11),
        Params::builder().insecure_degree(8),
        Params::builder().digit_len(0),
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
        .depth(4)
        .precision_bits(20)
        .build()
        .unwrap();
    let read = Params::from_bytes(&params.to_bytes()).unwrap();
    assert_eq!(read.id(), params.id());
    assert!(params.to_string().contains("128 bits classical"));
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
}
