//! The settings that all models trained by descent share, as builder methods.

macro_rules! descent_settings {
    ($model:ident) => {
        impl $model {
            /// Number of gradient steps.
            #[must_use]
            pub fn max_iter(mut self, iterations: usize) -> Self {
                self.descent.iterations = iterations;
                self
            }

            /// Gradient descent or Nesterov's accelerated gradient (the default).
            #[must_use]
            pub fn solver(mut self, solver: $crate::Solver) -> Self {
                self.descent.solver = solver;
                self
            }

            /// The learning rates. Default: 1 at every step, which fits features of variance one that are not
            /// strongly correlated.
            #[must_use]
            pub fn learning_rate(mut self, rate: $crate::LearningRate) -> Self {
                self.descent.rate = rate;
                self
            }

            /// The rows that each step looks at. Default: all.
            #[must_use]
            pub fn batch(mut self, batch: $crate::Batch) -> Self {
                self.descent.batch = batch;
                self
            }

            /// Whether a constant term is fitted. Default: yes.
            #[must_use]
            pub fn intercept(mut self, intercept: $crate::Intercept) -> Self {
                self.descent.intercept = intercept;
                self
            }
        }
    };
}

pub(crate) use descent_settings;
