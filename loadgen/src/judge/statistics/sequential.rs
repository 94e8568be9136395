//! When a comparison may look at its figures, and how much of its error each look may use up.
//!
//! The error alpha is spent over time by alpha * t^3, t being the part of the time that has passed (the power family of
//! Kim & DeMets, Biometrika 74, 1987). A look tests at the level that was added since the look before, and the levels
//! add up to alpha: by the union bound the chance of any wrong verdict, at any look, is alpha at the most, whatever the
//! figures' distribution and however the looks depend on each other. The last look keeps half of it, so that looking
//! early costs little.

/// The parts of the time after which there is a look; fixed beforehand, since an error rate holds for fixed looks.
pub const LOOKS: [f64; 5] = [0.2, 0.4, 0.6, 0.8, 1.0];

/// The error that a comparison may make, and how much of it is spent.
#[derive(Debug, Clone, Copy)]
pub struct Spending {
    alpha: f64,
    /// The part of the time up to which it is spent.
    until: f64,
}

impl Spending {
    /// Nothing spent of `alpha`.
    pub fn new(alpha: f64) -> Self {
        Self { alpha, until: 0.0 }
    }

    /// The level of a look after this part of the time (0..1).
    pub fn level(&self, part: f64) -> f64 {
        self.alpha * (part.clamp(self.until, 1.0).powi(3) - self.until.powi(3))
    }

    /// A look was taken then.
    pub fn spend(&mut self, part: f64) {
        self.until = part.clamp(self.until, 1.0);
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
}
