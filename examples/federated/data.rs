//! The bundled data, as if three hospitals had them.

use cipherblas::models::Table;
use cipherblas::scheme::{Error, Result};

const CSV: &str = include_str!("../data/breast_cancer.csv");

/// Rows of each hospital: very different numbers.
const ROWS: [usize; 3] = [320, 180, 69];

/// Usual sizes of the features, agreed upon beforehand: public, so that no hospital's rows set them.
pub(crate) const UNITS: [f64; 30] = [
    15.0, 20.0, 100.0, 650.0, 0.1, 0.1, 0.1, 0.05, 0.2, 0.06, 0.4, 1.2, 3.0, 40.0, 0.007, 0.025,
    0.03, 0.01, 0.02, 0.004, 16.0, 25.0, 100.0, 900.0, 0.13, 0.25, 0.3, 0.1, 0.3, 0.08,
];

/// Number of features.
pub(crate) const FEATURES: usize = UNITS.len();

/// One hospital's rows and labels.
pub(crate) struct Hospital {
    x: Vec<f64>,
    /// 1 for malignant.
    pub(crate) labels: Vec<f64>,
}

impl Hospital {
    pub(crate) fn table(&self) -> Result<Table<'_>> {
        Table::new(self.labels.len(), FEATURES, &self.x)
    }

    pub(crate) fn rows(&self) -> usize {
        self.labels.len()
    }
}

/// The three, in the order of the file.
pub(crate) fn hospitals() -> Result<Vec<Hospital>> {
    let mut lines = CSV.lines().enumerate().skip(1);
    ROWS.iter()
        .map(|&rows| {
            let mut hospital = Hospital {
                x: Vec::new(),
                labels: Vec::new(),
            };
            for (index, line) in lines.by_ref().take(rows) {
                let invalid = || Error::Value {
                    index,
                    got: line.into(),
                    expected: format!("{FEATURES} numbers and a label, 0 or 1"),
                    hint: "restore examples/data/breast_cancer.csv",
                };
                let mut row = line
                    .split(',')
                    .map(|field| field.parse::<f64>().map_err(|_| invalid()))
                    .collect::<Result<Vec<f64>>>()?;
                let label = row.pop().ok_or_else(invalid)?;
                if row.len() != FEATURES || (label != 0.0 && label != 1.0) {
                    return Err(invalid());
                }
                hospital.x.extend(row);
                hospital.labels.push(label);
            }
            Ok(hospital)
        })
        .collect()
}

/// All rows in one place, which only the comparison at the end of an example has.
pub(crate) fn pooled(hospitals: &[Hospital]) -> Hospital {
    Hospital {
        x: hospitals.iter().flat_map(|h| h.x.clone()).collect(),
        labels: hospitals.iter().flat_map(|h| h.labels.clone()).collect(),
    }
}
