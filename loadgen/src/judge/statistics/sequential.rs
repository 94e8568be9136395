//! When a comparison may look at its figures, and how much of its error each look may use up.
//!
//! The error alpha is spent over time by alpha * t^3, t being the part of the time that has passed (the power family of
//! Kim & DeMets, Biometrika 74, 1987). A look tests at the level that was added since the look before, and the levels
//! add up to alpha: by the union bound the chance of any wrong verdict, at any look, is alpha at the most, whatever the
//! figures' distribution and however the looks depend on each other. The last look keeps half of it, so that looking
//! early costs little.
//!
//! A comparison may announce that it will be tried several times, each attempt with all the figures of those before. Then
//! each attempt has an equal share of alpha and spends it like that, so that all looks of all attempts add up to alpha. A
//! share that grew with time would leave the later attempts more, and the first, which mostly is the only one, too little.

/// The parts of the time after which there is a look; fixed beforehand, since an error rate holds for fixed looks.
pub const LOOKS: [f64; 5] = [0.2, 0.4, 0.6, 0.8, 1.0];

/// The error that a comparison may make, and how much of it is spent.
#[derive(Debug, Clone, Copy)]
pub struct Spending {
    alpha: f64,
    /// Attempts that share it.
    attempts: u32,
    /// The time up to which it is spent, in attempts.
    until: f64,
}

impl Spending {
    /// Nothing spent of `alpha`.
    pub fn new(alpha: f64) -> Self {
        Self::of_attempts(alpha, 1, 0.0)
    }

    /// That which `attempts` share, spent up to this time, in attempts.
    pub fn of_attempts(alpha: f64, attempts: u32, until: f64) -> Self {
        Self { alpha, attempts, until: until.clamp(0.0, f64::from(attempts)) }
    }

    /// The level of a look at this time, in attempts: 1.2 is after a fifth of the second.
    pub fn level(&self, time: f64) -> f64 {
        let spent = |time: f64| time.floor() + time.fract().powi(3);
        let share = self.alpha / f64::from(self.attempts);
        share * (spent(time.clamp(self.until, f64::from(self.attempts))) - spent(self.until))
    }

    /// A look was taken then.
    pub fn spend(&mut self, time: f64) {
        self.until = time.clamp(self.until, f64::from(self.attempts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_add_up_to_alpha_whichever_looks_are_taken() {
        for looks in [&LOOKS[..], &[0.6, 1.0], &[1.0], &[0.33, 0.9, 1.2]] {
            let mut spending = Spending::new(0.01);
            let mut sum = 0.0;
            for &part in looks {
                sum += spending.level(part);
                spending.spend(part);
                assert_eq!(spending.level(part), 0.0, "twice is not allowed");
            }
            assert!((sum - 0.01).abs() < 1e-15, "{looks:?}");
        }
    }

    #[test]
    fn levels_of_all_attempts_add_up_to_alpha_and_each_has_an_equal_share() {
        let mut spending = Spending::of_attempts(0.01, 3, 0.0);
        let mut sum = 0.0;
        for (i, look) in (0..3).flat_map(|attempt| LOOKS.map(|look| f64::from(attempt) + look)).enumerate() {
            sum += spending.level(look);
            spending.spend(look);
            if (i + 1) % LOOKS.len() == 0 {
                let attempts = (i + 1) / LOOKS.len();
                assert!((sum - 0.01 * attempts as f64 / 3.0).abs() < 1e-15, "{sum} after {attempts}");
            }
        }
        assert_eq!(spending.level(4.0), 0.0, "there is no fourth");
        let resumed = Spending::of_attempts(0.01, 3, 1.4);
        assert!((resumed.level(2.0) - 0.01 / 3.0 * (1.0 - 0.4f64.powi(3))).abs() < 1e-15);
    }
}
