//! primes
