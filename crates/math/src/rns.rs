//! rns
