//! Primes: sieving, Miller-Rabin, primes `p` with a known factorization of `p - 1`.
