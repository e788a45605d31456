//! The bundled data: parsing, and a split that is the same every time.

use cipherblas::scheme::{Error, Result};

const CSV: &str = include_str!("../data/breast_cancer.csv");

/// Rows of one part of the data.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) x: Vec<f64>,
    pub(crate) y: Vec<f64>,
}

impl Part {
    pub(crate) fn rows(&self) -> usize {
        self.y.len()
    }
}

/// Training and held-out rows.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) features: usize,
    pub(crate) train: Part,
    pub(crate) test: Part,
}

/// Every fifth row of each class is held out: 80 to 20, stratified, fixed.
pub(crate) fn load() -> Result<Split> {
    let mut lines = CSV.lines();
    let features = lines
        .next()
        .map_or(0, |header| header.split(',').count() - 1);
    let mut split = Split {
        features,
        train: Part::default(),
        test: Part::default(),
    };
    let mut seen = [0usize; 2];
    for (index, line) in lines.enumerate() {
        let invalid = |got: &str| Error::Value {
            index,
            got: got.into(),
            expected: format!("{features} numbers and a label, 0 or 1"),
            hint: "restore examples/data/breast_cancer.csv",
        };
        let mut row = line
            .split(',')
            .map(|field| field.parse::<f64>().map_err(|_| invalid(field)))
            .collect::<Result<Vec<f64>>>()?;
        let label = row.pop().ok_or_else(|| invalid(line))?;
        if row.len() != features || (label != 0.0 && label != 1.0) {
            return Err(invalid(line));
        }
        let count = &mut seen[label as usize];
        let part = if *count % 5 == 0 {
            &mut split.test
        } else {
            &mut split.train
        };
        *count += 1;
        part.x.extend(row);
        part.y.push(label);
    }
    Ok(split)
}
