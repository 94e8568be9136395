//! The rates that a search may ask for: steps of equal ratio, counted from the rate that it starts at.

/// So many steps make up the precision.
pub(super) const STEPS: i32 = 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    start: f64,
    min: f64,
    max: f64,
    /// Doubling a rate is a whole number of steps, so that the ramp asks for round figures.
    per_doubling: i32,
}

impl Grid {
    /// `precision` as a share of the rate: 0.03 for 3%.
    pub fn new(start: f64, min: f64, max: f64, precision: f64) -> Self {
        assert!(min > 0.0 && min <= start && start <= max && max.is_finite(), "{min} <= {start} <= {max}");
        assert!(precision > 0.0 && precision <= 1.0, "a precision lies between 0 and 1, not at {precision}");
        let per_doubling = (f64::from(STEPS) / precision.ln_1p() * std::f64::consts::LN_2).ceil() as i32;
        Self { start, min, max, per_doubling }
    }

    /// The rate at a step, kept within the range.
    pub fn rate(&self, step: i32) -> f64 {
        let ratio = (f64::from(step) / f64::from(self.per_doubling)).exp2();
        (self.start * ratio).clamp(self.min, self.max)
    }

    /// The step nearest to a rate.
    pub fn step(&self, rate: f64) -> i32 {
        let step = (rate / self.start).log2() * f64::from(self.per_doubling);
        (step.round() as i32).clamp(self.lowest(), self.highest())
    }

    pub fn lowest(&self) -> i32 {
        ((self.min / self.start).log2() * f64::from(self.per_doubling)).floor() as i32
    }

    pub fn highest(&self) -> i32 {
        ((self.max / self.start).log2() * f64::from(self.per_doubling)).ceil() as i32
    }

    pub fn per_doubling(&self) -> i32 {
        self.per_doubling
    }
}
