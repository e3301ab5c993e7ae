//! The one statistic: the lower quartile.

/// The value below which a quarter of `values` lies; 0 for none.
///
/// A quarter, because disturbances only ever add time: the upper part of the samples says what the
/// machine did, the lower quartile what the program did, and unlike the minimum it does not hang on
/// one lucky sample.
pub(crate) fn lower_quartile(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 4).copied().unwrap_or(0.0)
}

/// The value in the middle; 0 for none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_values_lies_below_the_lower_quartile() {
        let values: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert_eq!(lower_quartile(&values), 25.0);
    }

    #[test]
    fn slow_outliers_do_not_move_it() {
        assert_eq!(lower_quartile(&[10.0, 10.0, 10.0, 9000.0, 9000.0, 9000.0]), 10.0);
    }

    #[test]
    fn the_median_has_as_many_values_on_both_sides() {
        assert_eq!(median(&[5.0, 1.0, 9.0]), 5.0);
    }
}
