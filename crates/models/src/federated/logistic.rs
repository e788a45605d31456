use super::{check_rows, check_totals};
use crate::clear::exact::{Normal, log_loss, split, unknowns};
use crate::schedule::{Batch, Intercept, Step};
use crate::sigmoid::sigmoid;
use crate::table::{Table, check_finite, check_labels, check_parameter, dot};
use crate::{Kind, LogisticRegression, PlainModel};
use cipherblas_scheme::{Error, Result};

/// What the owners are asked for in each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The gradient: few values, many rounds, with the solver and rates of the model.
    Gradient,
    /// Gradient and Hessian: `n (n + 1) / 2` more values for `n` weights, and the optimum after five to ten rounds.
    Newton,
}

/// What the key's holder asks of all owners: public to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Weights, the constant term last where there is one.
    point: Vec<f64>,
    intercept: Intercept,
    method: Method,
}

impl Question {
    /// From parts that came over a network.
    ///
    /// # Errors
    /// `Shape` without a weight for a feature; `Value` for NaN or infinity.
    pub fn new(point: Vec<f64>, intercept: Intercept, method: Method) -> Result<Self> {
        if point.len() < 1 + usize::from(intercept == Intercept::Fit) {
            return Err(Error::Shape {
                operation: "question",
                got: format!("{} weights", point.len()),
                expected: "one for each feature, at least one, and one for the intercept".into(),
                hint: "pass the parts of the key holder's question",
            });
        }
        check_finite(&point)?;
        Ok(Self {
            point,
            intercept,
            method,
        })
    }

    /// The weights asked about, the constant term last where there is one.
    pub fn point(&self) -> &[f64] {
        &self.point
    }
    /// Whether a constant term is fitted.
    pub fn intercept(&self) -> Intercept {
        self.intercept
    }
    /// What is asked for.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Values of an answer.
    pub fn values(&self) -> usize {
        let n = self.point.len();
        2 + n
            + match self.method {
                Method::Gradient => 0,
                Method::Newton => Normal::lower_len(n),
            }
    }

    /// The owner's answer over its rows, to be encrypted: number of rows, sum of the logistic loss, its negative gradient,
    /// and for [`Method::Newton`] the lower triangle of its Hessian, all at [`point`](Self::point), with the sigmoid itself.
    /// For features of magnitude one, no value exceeds the number of rows times the largest loss.
    ///
    /// # Errors
    /// `Shape` for another number of features or labels; `Value` for labels other than 0 and 1.
    pub fn answer(&self, x: &Table<'_>, y: &[f64]) -> Result<Vec<f64>> {
        let d = self.point.len() - usize::from(self.intercept == Intercept::Fit);
        x.check_features("answer", d)?;
        x.check_targets("answer", y)?;
        check_labels(y)?;
        let n = self.point.len();
        let mut loss = 0.0;
        let mut normal = Normal::zero(n);
        for (row, &target) in x.iter().zip(y) {
            let score = dot(row, &self.point[..d]) + self.point.get(d).copied().unwrap_or_default();
            let p = sigmoid(score);
            loss += log_loss(score, target);
            match self.method {
                Method::Newton => normal.add(row, p * (1.0 - p), target - p),
                Method::Gradient => normal.add_moment(row, target - p),
            }
        }
        let mut out = vec![x.rows() as f64, loss];
        out.extend_from_slice(&normal.moment);
        if self.method == Method::Newton {
            out.extend(normal.lower());
        }
        Ok(out)
    }
}

/// An owner's guard: answers a limited number of questions about weights of limited size.
///
/// With features of variance one the weights of a useful model are of moderate size; huge ones turn the sigmoid into a
/// step, whose place tells rows apart (see [the module page](super#what-is-not-hidden)).
///
/// ```
/// use cipherblas_models::federated::{Method, Question, Respondent};
/// use cipherblas_models::{Intercept, Table};
///
/// let (x, y) = ([0.5, -1.0], [1.0, 0.0]);
/// let x = Table::new(2, 1, &x)?;
/// let mut owner = Respondent::new(2, 20.0)?;
/// let fair = Question::new(vec![0.7], Intercept::Omit, Method::Gradient)?;
/// assert_eq!(owner.answer(&fair, &x, &y)?.len(), 3);
/// let probing = Question::new(vec![1e6], Intercept::Omit, Method::Newton)?;
/// assert!(owner.answer(&probing, &x, &y).is_err());
/// owner.answer(&fair, &x, &y)?;
/// assert!(owner.answer(&fair, &x, &y).is_err());
/// # Ok::<(), cipherblas_scheme::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Respondent {
    rounds: usize,
    answered: usize,
    max_weight: f64,
}

impl Respondent {
    /// Answers up to `rounds` questions (a refused one does not count) about weights of at most `max_weight` in absolute
    /// value, the intercept included.
    ///
    /// # Errors
    /// `Parameter` for a limit that is not positive and finite.
    pub fn new(rounds: usize, max_weight: f64) -> Result<Self> {
        check_parameter("max_weight", max_weight, 0.0, true)?;
        Ok(Self {
            rounds,
            answered: 0,
            max_weight,
        })
    }

    /// [`Question::answer`], within the limits.
    ///
    /// # Errors
    /// `Parameter` for larger weights or more questions; otherwise as [`Question::answer`].
    pub fn answer(&mut self, question: &Question, x: &Table<'_>, y: &[f64]) -> Result<Vec<f64>> {
        if self.answered == self.rounds {
            return Err(Error::Parameter {
                what: "rounds",
                got: format!("question {}", self.answered + 1),
                expected: format!("at most {}, as agreed", self.rounds),
                hint: "agree on more rounds, if there is a reason for them",
            });
        }
        let largest = question.point.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
        if largest > self.max_weight {
            return Err(Error::Parameter {
                what: "question",
                got: format!("a weight of {largest:e}"),
                expected: format!("at most {}", self.max_weight),
                hint: "huge weights single rows out; scale the features, or add an L2 penalty",
            });
        }
        let answer = question.answer(x, y)?;
        self.answered += 1;
        Ok(answer)
    }
}

/// What a round brought, over all owners' rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// Answered rounds so far.
    pub number: usize,
    /// Mean loss plus penalty at the weights that were asked about.
    pub objective: f64,
    /// Largest change of a weight from those to the next.
    pub change: f64,
    /// Whether no weight would change by more than the tolerance.
    pub converged: bool,
    /// Whether this was the last round: by convergence of Newton's method, or because there are no more.
    pub finished: bool,
}

/// The key holder's half of federated logistic regression: asks, takes the totals, moves the weights.
///
/// ```
/// use cipherblas_models::federated::{Method, Rounds};
/// use cipherblas_models::{LogisticRegression, Table};
///
/// let model = LogisticRegression::new().max_iter(20).l2(0.1);
/// let mut rounds = Rounds::new(&model, Method::Newton, 1, 1e-9)?;
/// let x = Table::new(4, 1, &[-1.0, -0.5, 0.5, 1.0])?;
/// while !rounds.finished() {
///     // Each owner encrypts its answer, the coordinator adds up, the key's holder decrypts the total.
///     let total = rounds.question()?.answer(&x, &[0.0, 0.0, 1.0, 1.0])?;
///     rounds.take(&total)?;
/// }
/// let difference = rounds.model()?.max_difference(&model.fit_exact(&x, &[0.0, 0.0, 1.0, 1.0])?)?;
/// assert!(difference < 1e-8);
/// # Ok::<(), cipherblas_scheme::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rounds {
    features: usize,
    intercept: Intercept,
    method: Method,
    l2: f64,
    tolerance: f64,
    steps: Vec<Step>,
    taken: usize,
    finished: bool,
    /// The weights that are asked about.
    point: Vec<f64>,
    /// For descent the weights behind `point`; for Newton the last ones that were an improvement.
    base: Vec<f64>,
    /// Newton's: objective at `base`, the full step from there, the part of it that `point` is at.
    best: f64,
    step: Vec<f64>,
    length: f64,
}

/// Halvings of a Newton step before it counts as no improvement.
const SHORTEST: f64 = 1.0 / 1024.0;

impl Rounds {
    /// Starts at zero weights. `max_iter` of the model bounds the rounds; its solver and rates are those of
    /// [`Method::Gradient`]. Newton's method ends when no weight changes by more than `tolerance`, which should be no less
    /// than the precision of the encryption, in units of the weights; descent takes all its rounds.
    ///
    /// # Errors
    /// `Parameter` for impossible settings, a tolerance that is not positive, or batches (a round looks at all rows);
    /// `Shape` without features.
    pub fn new(
        model: &LogisticRegression,
        method: Method,
        features: usize,
        tolerance: f64,
    ) -> Result<Self> {
        check_parameter("l2", model.l2, 0.0, false)?;
        check_parameter("tolerance", tolerance, 0.0, true)?;
        if model.descent.batch != Batch::Full {
            return Err(Error::Parameter {
                what: "batch",
                got: format!("{:?}", model.descent.batch),
                expected: "Batch::Full".into(),
                hint: "every owner answers for all its rows in each round",
            });
        }
        let intercept = model.descent.intercept;
        let n = unknowns(features, intercept);
        Question::new(vec![0.0; n], intercept, method)?;
        Ok(Self {
            features,
            intercept,
            method,
            l2: model.l2,
            tolerance,
            steps: model.descent.steps(1, 1)?,
            taken: 0,
            finished: false,
            point: vec![0.0; n],
            base: vec![0.0; n],
            best: f64::INFINITY,
            step: vec![0.0; n],
            length: 1.0,
        })
    }

    /// What to ask every owner in this round.
    ///
    /// # Errors
    /// `Value` if the weights have overflowed: the rates diverge.
    pub fn question(&self) -> Result<Question> {
        Question::new(self.point.clone(), self.intercept, self.method)
    }

    /// Whether the model is ready.
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Takes the decrypted total of all owners' answers and moves the weights.
    ///
    /// # Errors
    /// `Shape` for another number of values or no rows; `Value` for NaN or infinity; `Parameter` if Newton's method finds
    /// no optimum (separable classes or dependent features without a penalty), or after the last round.
    pub fn take(&mut self, total: &[f64]) -> Result<Round> {
        if self.finished {
            return Err(Error::Parameter {
                what: "max_iter",
                got: format!("a total after round {}, the last", self.taken),
                expected: "no more than `max_iter` rounds".into(),
                hint: "ask for more iterations",
            });
        }
        let question = self.question()?;
        check_totals("total of answers", total, question.values())?;
        let rows = check_rows("total of answers", total[0])?;
        let n = self.point.len();
        let mut gradient: Vec<f64> = total[2..2 + n].iter().map(|g| g / rows).collect();
        for (g, w) in gradient.iter_mut().zip(&self.point).take(self.features) {
            *g -= self.l2 * w;
        }
        let penalized = &self.point[..self.features];
        let objective = total[1] / rows + self.l2 / 2.0 * dot(penalized, penalized);
        let asked = self.point.clone();
        let mut converged = false;
        match self.method {
            Method::Gradient => self.descend(&gradient),
            Method::Newton => {
                let hessian: Vec<f64> = total[2 + n..].iter().map(|h| h / rows).collect();
                converged = self.newton(objective, &gradient, &hessian)?;
            }
        }
        self.taken += 1;
        let moved = asked.iter().zip(&self.point).map(|(a, b)| (a - b).abs());
        let change = moved.fold(0.0, f64::max);
        match self.method {
            Method::Gradient => converged = change <= self.tolerance,
            Method::Newton => self.finished = converged,
        }
        self.finished |= self.taken == self.steps.len();
        Ok(Round {
            number: self.taken,
            objective,
            change,
            converged,
            finished: self.finished,
        })
    }

    fn descend(&mut self, gradient: &[f64]) {
        let step = &self.steps[self.taken];
        for ((v, w), g) in self.point.iter_mut().zip(&mut self.base).zip(gradient) {
            let ahead = *v + step.rate * g;
            *v = (1.0 - step.eta) * ahead + step.eta * *w;
            *w = ahead;
        }
    }

    /// Whether the step from here is within the tolerance.
    fn newton(&mut self, objective: f64, gradient: &[f64], hessian: &[f64]) -> Result<bool> {
        // Totals are as precise as the encryption: near the optimum the objective may seem to rise by that much.
        let slack = self.tolerance * (1.0 + self.best.abs());
        if objective > self.best + slack {
            self.length /= 2.0;
            if self.length < SHORTEST {
                return Err(no_optimum("steps that do not lower the loss"));
            }
        } else {
            self.best = objective;
            self.base.clone_from(&self.point);
            self.length = 1.0;
            self.step = Normal::from_lower(hessian, gradient)
                .solve(self.features, self.l2)
                .map_err(|_| no_optimum("a singular Hessian"))?;
        }
        for ((v, w), s) in self.point.iter_mut().zip(&self.base).zip(&self.step) {
            *v = w + self.length * s;
        }
        Ok(self.length == 1.0 && self.step.iter().all(|s| s.abs() <= self.tolerance))
    }

    /// The model so far.
    ///
    /// # Errors
    /// `Value` if the weights have overflowed: the rates diverge.
    pub fn model(&self) -> Result<PlainModel> {
        let (coef, bias) = split(self.point.clone(), self.features);
        PlainModel::new(Kind::Logistic, coef, bias)
    }
}

fn no_optimum(got: &str) -> Error {
    Error::Parameter {
        what: "l2",
        got: got.into(),
        expected: "a problem with a finite optimum".into(),
        hint: "the classes are separable or features are dependent; add an L2 penalty, or lower the tolerance",
    }
}
