//! Keys and numbers of python-paillier (`phe` 1.5, data61), in its JSON forms, both ways.
//!
//! * Keys are JSON web keys of type `DAJ`: the modulus `n`, and in private keys the primes `p` and `q`, as base64url of the
//!   big-endian bytes, without padding.
//! * An encrypted number is `{"v": "<ciphertext, decimal>", "e": <exponent>}`, as its command line writes it; a list is
//!   `{"public_key": {"n": <modulus>}, "values": [["<ciphertext, decimal>", <exponent>], ...]}`, as its users serialise it.
//!
//! Its numbers are `m 16^e` with a signed integer `m`, negative ones as `n - |m|`, and results beyond `n / 3` are refused: but
//! for the base of the exponent the same as here, one value to a ciphertext. Exponents are aligned exactly, by multiplying
//! the ciphertext by a power of two, or refused. It encodes a float with as fine an exponent as its mantissa needs (`0.1` is
//! at `16^-14`: 56 bits) unless told otherwise (`encrypt(x, precision=2**-32)`), and its command line always brings it to
//! `16^-32`: 128 bits of fraction, `fraction_bits * (1 + depth)` of the parameters.
//!
//! Nothing here blinds: see [`Evaluator::rerandomize`].

use crate::ciphertext::Ciphertext;
use crate::encrypt::{PublicKey, SecretKey};
use crate::evaluator::Evaluator;
use crate::keys;
use crate::params::{Params, invalid};
use base64ct::{Base64UrlUnpadded, Encoding};
use cipherblas_scheme::{Error, Result};
use num_bigint::{BigInt, BigUint};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use zeroize::Zeroizing;

const KEY_TYPE: &str = "DAJ";
const ALGORITHM: &str = "PAI-GN1";
/// Exponents are to base 16.
const BASE_BITS: i64 = 4;
/// Exponents of doubles reach neither end.
const EXPONENTS: std::ops::RangeInclusive<i64> = -1024..=1024;

#[derive(Serialize, Deserialize)]
struct PublicJson<'a> {
    #[serde(borrow)]
    kty: Cow<'a, str>,
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(default)]
    key_ops: Vec<String>,
    #[serde(borrow)]
    n: Cow<'a, str>,
    #[serde(borrow, default)]
    kid: Cow<'a, str>,
}

/// The primes stay where they are in the input: base64url has nothing to unescape.
#[derive(Serialize, Deserialize)]
struct PrivateJson<'a> {
    #[serde(borrow)]
    kty: Cow<'a, str>,
    #[serde(default)]
    key_ops: Vec<String>,
    p: &'a str,
    q: &'a str,
    #[serde(borrow)]
    r#pub: PublicJson<'a>,
    #[serde(borrow, default)]
    kid: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct NumberJson<'a> {
    #[serde(borrow)]
    v: Cow<'a, str>,
    e: i64,
}

#[derive(Deserialize)]
struct ListJson<'a> {
    #[serde(borrow)]
    public_key: ListKeyJson<'a>,
    #[serde(borrow)]
    values: Vec<(Cow<'a, str>, i64)>,
}

#[derive(Deserialize)]
struct ListKeyJson<'a> {
    /// A number of any length, or a string of digits.
    #[serde(borrow)]
    n: &'a RawValue,
}

/// An encrypted number of python-paillier: `m 16^exponent` under the ciphertext of `m`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedNumber {
    /// Below `n^2`.
    pub ciphertext: BigUint,
    /// To base 16.
    pub exponent: i64,
}

/// `got` of a malformed text: the place, never the contents.
fn parse<'a, T: Deserialize<'a>>(what: &'static str, json: &'a str, form: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| Error::Wire {
        what,
        got: format!("another form at line {}, column {}", e.line(), e.column()),
        expected: form.into(),
    })
}

fn expect(what: &'static str, got: &str, expected: &str) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::Wire {
        what,
        got: format!("{:?}", got.chars().take(32).collect::<String>()),
        expected: format!("{expected:?}"),
    })
}

/// A number of at most `bits` bits from base64url. Constant time in the digits; never shows them.
fn decode_number(what: &'static str, text: &str, bits: u32) -> Result<BigUint> {
    let malformed = |got: String| Error::Wire {
        what,
        got,
        expected: format!("a number of at most {bits} bits in base64url, without padding"),
    };
    let longest = (bits as usize / 8 + 1).div_ceil(3) * 4;
    if text.is_empty() || text.len() > longest {
        return Err(malformed(format!("{} characters", text.len())));
    }
    let bytes = Base64UrlUnpadded::decode_vec(text)
        .map(Zeroizing::new)
        .map_err(|_| malformed("other characters".into()))?;
    let number = BigUint::from_bytes_be(&bytes);
    if number.bits() > u64::from(bits) {
        return Err(malformed(format!("{} bits", number.bits())));
    }
    Ok(number)
}

/// A number of at most `bits` bits from decimal digits: public, checked for length before it is converted.
fn decode_decimal(what: &'static str, text: &str, bits: u32) -> Result<BigUint> {
    let malformed = |got: String| Error::Wire {
        what,
        got,
        expected: format!("a number of at most {bits} bits in decimal digits"),
    };
    // log10(2) < 0.3011
    let longest = bits as usize * 3011 / 10_000 + 1;
    if text.is_empty() || text.len() > longest {
        return Err(malformed(format!("{} characters", text.len())));
    }
    if !text.bytes().all(|c| c.is_ascii_digit()) {
        return Err(malformed("other characters".into()));
    }
    BigUint::parse_bytes(text.as_bytes(), 10).ok_or_else(|| malformed("no number".into()))
}

fn write_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and integers only")
}

impl<'a> PublicJson<'a> {
    fn of(key: &PublicKey, kid: &'a str) -> Self {
        Self {
            kty: KEY_TYPE.into(),
            alg: ALGORITHM.into(),
            key_ops: vec!["encrypt".into()],
            n: Base64UrlUnpadded::encode_string(&key.key().n().to_bytes_be()).into(),
            kid: kid.into(),
        }
    }
    fn modulus(&self, params: &Params) -> Result<BigUint> {
        expect("key type of python-paillier", &self.kty, KEY_TYPE)?;
        expect("algorithm of python-paillier", &self.alg, ALGORITHM)?;
        decode_number("modulus of python-paillier", &self.n, params.bits())
    }
}

impl PublicKey {
    /// A public key that python-paillier wrote (`pheutil extract`), its modulus checked.
    ///
    /// # Errors
    /// `Wire` for another form; `Parameter` for a modulus of another size than the parameters have, or not secure.
    pub fn from_phe_json(params: &Params, json: &str) -> Result<Self> {
        let what = "public key of python-paillier";
        let key: PublicJson<'_> = parse(what, json, "a JSON object with `kty`, `alg` and `n`")?;
        Self::from_modulus(params, &key.modulus(params)?)
    }
    /// The key as python-paillier reads it; `kid` is any text that names it.
    pub fn to_phe_json(&self, kid: &str) -> String {
        write_json(&PublicJson::of(self, kid))
    }
}

impl SecretKey {
    /// A private key that python-paillier wrote (`pheutil genpkey`), its primes checked with bases from `rng`. It encrypts
    /// slower than a key generated here, as exactly.
    ///
    /// # Errors
    /// `Wire` for another form, or a modulus that is not the product of the primes; `Parameter` for primes that are none, or
    /// of another size than the parameters have.
    pub fn from_phe_json<R: CryptoRng + ?Sized>(
        params: &Params,
        json: &str,
        rng: &mut R,
    ) -> Result<Self> {
        let what = "private key of python-paillier";
        let form = "a JSON object with `kty`, `p`, `q` and `pub`";
        let json: PrivateJson<'_> = parse(what, json, form)?;
        expect("key type of python-paillier", &json.kty, KEY_TYPE)?;
        let n = json.r#pub.modulus(params)?;
        let p = decode_number("prime of python-paillier", json.p, params.bits() / 2)?;
        let q = decode_number("prime of python-paillier", json.q, params.bits() / 2)?;
        if &p * &q != n {
            return Err(Error::Wire {
                what,
                got: "a modulus that is not the product of the primes".into(),
                expected: "n = p q".into(),
            });
        }
        let key = if params.is_insecure() {
            keys::SecretKey::insecure_from_primes(&p, &q, rng)?
        } else {
            keys::SecretKey::from_primes(&p, &q, rng)?
        };
        Self::assemble(params, key)
    }
    /// **Exposes the secret key**: its primes, as python-paillier reads them, in clear.
    pub fn expose_to_phe_json(&self, kid: &str) -> Zeroizing<String> {
        let (p, q) = self.key.primes();
        let encode = |words: &[u64]| {
            let bytes: Zeroizing<Vec<u8>> =
                Zeroizing::new(words.iter().rev().flat_map(|w| w.to_be_bytes()).collect());
            let significant = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
            Zeroizing::new(Base64UrlUnpadded::encode_string(&bytes[significant..]))
        };
        let (p, q) = (encode(&p), encode(&q));
        let public = self.public_key();
        let json = PrivateJson {
            kty: KEY_TYPE.into(),
            key_ops: vec!["decrypt".into()],
            p: &p,
            q: &q,
            r#pub: PublicJson::of(&public, kid),
            kid: kid.into(),
        };
        // Room for all of it, so that no copy of a prime is left behind by growing.
        let room = 512 + self.params().bits() as usize + 12 * kid.len();
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *bytes, &json).expect("strings only");
        let text = std::str::from_utf8(&bytes).expect("JSON is UTF-8");
        Zeroizing::new(text.to_owned())
    }
}

impl Evaluator {
    fn one_slot(&self) -> Result<()> {
        if self.params.slots() == 1 {
            return Ok(());
        }
        Err(Error::Unsupported {
            scheme: "paillier",
            operation: "exchange of packed ciphertexts with python-paillier",
            hint: "build the parameters with `slots(1)`: it holds one value to a ciphertext",
        })
    }

    /// Takes an encrypted number of python-paillier, at the greatest depth whose fixed point is as fine. `bound` is the
    /// caller's word on the absolute value: the ciphertext cannot be asked. The error bound is zero: the number is exact.
    ///
    /// # Errors
    /// `Value` for an exponent that is finer or coarser than the parameters hold; `Parameter` for a bound that they do not;
    /// `Wire` for a number that is no ciphertext; `Unsupported` with more than one slot.
    pub fn import_phe(&self, number: &EncryptedNumber, bound: f64) -> Result<Ciphertext> {
        self.one_slot()?;
        let largest = self.params.max_value();
        if !(bound > 0.0 && bound <= largest) {
            return Err(invalid(
                "bound",
                bound,
                format!("a positive number of at most {largest}"),
                "raise `integer_bits`",
            ));
        }
        let finest = i64::from(self.params.exponent(0));
        let coarsest = i64::from(self.params.integer_bits());
        let bits = if EXPONENTS.contains(&number.exponent) {
            BASE_BITS * number.exponent
        } else {
            i64::MAX
        };
        if !(-finest..=coarsest).contains(&bits) {
            return Err(Error::Value {
                index: 0,
                got: format!("an encrypted multiple of 16^{}", number.exponent),
                expected: format!(
                    "of 16^{} to 16^{}: {finest} bits of fraction, {coarsest} of integer",
                    -finest / BASE_BITS,
                    coarsest / BASE_BITS
                ),
                hint: "encrypt with `precision=2**-fraction_bits` there, or raise `fraction_bits` or `depth` here",
            });
        }
        let depth = (0..=self.params.depth())
            .rev()
            .find(|&d| i64::from(self.params.exponent(d)) + bits >= 0)
            .unwrap_or(0);
        let shift = (i64::from(self.params.exponent(depth)) + bits) as u32;
        let element = self.key.element_from_biguint(&number.ciphertext)?;
        let element = self.key.scale(&element, &(BigInt::from(1) << shift))?;
        Ok(Ciphertext {
            element,
            depth,
            error: 0.0,
            magnitude: bound,
            params: self.params.id(),
            key: self.id,
        })
    }

    /// The ciphertext as an encrypted number of python-paillier, exactly.
    ///
    /// # Errors
    /// `KeyMismatch`; `Unsupported` with more than one slot; `Overflow` if there is no room to align the exponent.
    pub fn export_phe(&self, ct: &Ciphertext) -> Result<EncryptedNumber> {
        self.guard("export", &[ct])?;
        self.one_slot()?;
        let bits = i64::from(self.params.exponent(ct.depth));
        let aligned = (bits + BASE_BITS - 1) / BASE_BITS * BASE_BITS;
        let shift = (aligned - bits) as u32;
        let width = self.params.slot_width() + shift;
        if width > self.params.bits() - 2 {
            return Err(Error::Overflow {
                operation: "export",
                bound: format!("an integer of {width} bits"),
                capacity: format!("{} bits", self.params.bits() - 2),
            });
        }
        let element = self.key.scale(&ct.element, &(BigInt::from(1) << shift))?;
        Ok(EncryptedNumber {
            ciphertext: self.key.element_to_biguint(&element),
            exponent: -aligned / BASE_BITS,
        })
    }

    fn number(&self, digits: &str, exponent: i64) -> Result<EncryptedNumber> {
        let what = "encrypted number of python-paillier";
        Ok(EncryptedNumber {
            ciphertext: decode_decimal(what, digits, 2 * self.params.bits())?,
            exponent,
        })
    }

    /// As [`import_phe`](Self::import_phe), from `{"v": ..., "e": ...}`.
    ///
    /// # Errors
    /// As [`import_phe`](Self::import_phe); `Wire` for another form.
    pub fn import_phe_json(&self, json: &str, bound: f64) -> Result<Ciphertext> {
        let what = "encrypted number of python-paillier";
        let json: NumberJson<'_> = parse(what, json, "a JSON object with `v` and `e`")?;
        self.import_phe(&self.number(&json.v, json.e)?, bound)
    }
    /// As [`export_phe`](Self::export_phe), to `{"v": ..., "e": ...}`.
    ///
    /// # Errors
    /// As [`export_phe`](Self::export_phe).
    pub fn export_phe_json(&self, ct: &Ciphertext) -> Result<String> {
        let number = self.export_phe(ct)?;
        Ok(write_json(&NumberJson {
            v: number.ciphertext.to_string().into(),
            e: number.exponent,
        }))
    }

    /// Many numbers, from `{"public_key": {"n": ...}, "values": [[..., ...], ...]}`.
    ///
    /// # Errors
    /// As [`import_phe`](Self::import_phe), an index being that of the number; `Wire` for another form; `KeyMismatch` for
    /// another modulus.
    pub fn import_phe_list(&self, json: &str, bound: f64) -> Result<Vec<Ciphertext>> {
        let what = "encrypted numbers of python-paillier";
        let form = "a JSON object with `public_key` and `values`";
        let json: ListJson<'_> = parse(what, json, form)?;
        let n = decode_decimal(
            "modulus of python-paillier",
            json.public_key.n.get().trim_matches('"'),
            self.params.bits(),
        )?;
        if n != *self.key.n() {
            return Err(Error::KeyMismatch {
                operation: "import",
                got: "numbers under another modulus".into(),
                expected: format!("key {}", self.id),
            });
        }
        let import = |(index, (digits, exponent)): (usize, &(Cow<'_, str>, i64))| {
            let number = self.number(digits, *exponent)?;
            self.import_phe(&number, bound).map_err(|e| match e {
                Error::Value {
                    got,
                    expected,
                    hint,
                    ..
                } => Error::Value {
                    index,
                    got,
                    expected,
                    hint,
                },
                e => e,
            })
        };
        json.values.iter().enumerate().map(import).collect()
    }
    /// Many numbers, to `{"public_key": {"n": ...}, "values": [[..., ...], ...]}`.
    ///
    /// # Errors
    /// As [`export_phe`](Self::export_phe).
    pub fn export_phe_list(&self, cts: &[&Ciphertext]) -> Result<String> {
        let values = cts
            .iter()
            .map(|ct| {
                let number = self.export_phe(ct)?;
                Ok(format!(r#"["{}", {}]"#, number.ciphertext, number.exponent))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(format!(
            r#"{{"public_key": {{"n": {}}}, "values": [{}]}}"#,
            self.key.n(),
            values.join(", ")
        ))
    }
}
