//! What the callback of a long computation answers.

use std::ops::ControlFlow;

/// Whether to go on: `()` always does, [`ControlFlow::Break`] stops.
pub trait Verdict {
    /// Whether the computation is to go on.
    fn goes_on(self) -> bool;
}

impl Verdict for () {
    fn goes_on(self) -> bool {
        true
    }
}

impl Verdict for ControlFlow<()> {
    fn goes_on(self) -> bool {
        self.is_continue()
    }
}
