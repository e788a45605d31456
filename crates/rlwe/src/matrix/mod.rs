//! Encrypted matrices whose products are plain matrix products. The mathematics is in `docs/design/encrypted-matmul.md`.

pub mod transpose;
