//! The example's server cannot name a secret: neither by import nor by path.

const SERVER: [&str; 3] = [
    include_str!("../examples/encrypted_training/server.rs"),
    include_str!("../examples/encrypted_training/protocol.rs"),
    include_str!("../examples/federated/coordinator.rs"),
];

#[test]
fn the_server_side_names_nothing_that_decrypts() {
    for source in SERVER {
        for name in [
            "SecretKey",
            "Decrypt",
            "ClearKey",
            "owner::",
            "crate::owner",
            "ckks::keys",
            "rlwe",
            "::*",
        ] {
            let uses = source
                .lines()
                .filter(|l| !l.trim_start().starts_with("//"))
                .any(|l| l.contains(name));
            assert!(!uses, "the server side names {name}");
        }
    }
    assert!(SERVER[0].contains("fit_encrypted"), "this is the server");
    assert!(SERVER[2].contains("total("), "this is the coordinator");
}
