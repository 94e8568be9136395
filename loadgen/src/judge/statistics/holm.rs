//! Holm's step-down correction: of several tests at level alpha, the chance that any true hypothesis is rejected stays
//! at alpha, however the tests depend on each other (Holm, Scandinavian Journal of Statistics 6, 1979).

/// The p-values, adjusted: those at or under alpha are the rejected ones.
pub fn adjusted(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&i, &j| p_values[i].total_cmp(&p_values[j]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least: f64 = 0.0;
    for (step, &i) in order.iter().enumerate() {
        least = least.max(p_values[i] * (p_values.len() - step) as f64).min(1.0);
        adjusted[i] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_r() {
        // p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.9), "holm"), R 4.2.2
        let figures = adjusted(&[0.01, 0.04, 0.03, 0.005, 0.9]);
        for (figure, expected) in figures.iter().zip([0.04, 0.09, 0.09, 0.025, 0.9]) {
            assert!((figure - expected).abs() < 1e-12, "{figures:?}");
        }
        assert!(adjusted(&[]).is_empty());
    }
}
