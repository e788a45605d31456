//! What is done to a score before it is compared with the target: nothing, or a polynomial sigmoid.

use crate::sigmoid::Sigmoid;

/// `f(t) = offset + odd[0] t + odd[1] t^3 + ...`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    pub(crate) offset: f64,
    pub(crate) odd: Vec<f64>,
}

impl Link {
    /// The score itself.
    pub(crate) fn identity() -> Self {
        Self {
            offset: 0.0,
            odd: vec![1.0],
        }
    }

    /// The polynomial in place of the sigmoid.
    pub(crate) fn sigmoid(sigmoid: &Sigmoid) -> Self {
        Self {
            offset: 0.5,
            odd: sigmoid.odd_coefficients().to_vec(),
        }
    }

    pub(crate) fn evaluate(&self, t: f64) -> f64 {
        let t2 = t * t;
        self.offset + t * self.odd.iter().rev().fold(0.0, |acc, c| acc * t2 + c)
    }

    /// Levels between the score and the gradient.
    pub(crate) fn depth(&self) -> usize {
        match self.odd.len() {
            1 => 1,
            2 => 2,
            _ => 3,
        }
    }
}
