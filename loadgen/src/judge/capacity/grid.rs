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

    /// The rate at a step. The first and the last step are the ends of the range, less than a whole step from the next.
    pub fn rate(&self, step: i32) -> f64 {
        if step >= self.highest() {
            self.max
        } else if step <= self.lowest() {
            self.min
        } else {
            self.start * (f64::from(step) / f64::from(self.per_doubling)).exp2()
        }
    }

    /// The step of a rate that [`Self::rate`] gave, or the nearest to another.
    pub fn step(&self, rate: f64) -> i32 {
        let (lowest, highest) = (self.lowest(), self.highest());
        if rate >= self.max {
            highest
        } else if rate <= self.min {
            lowest
        } else {
            (self.steps_to(rate).round() as i32).clamp(lowest, highest)
        }
    }

    pub fn lowest(&self) -> i32 {
        (self.steps_to(self.min) + ROUNDING).floor() as i32
    }

    pub fn highest(&self) -> i32 {
        (self.steps_to(self.max) - ROUNDING).ceil() as i32
    }

    /// From the start, whole or not.
    fn steps_to(&self, rate: f64) -> f64 {
        (rate / self.start).log2() * f64::from(self.per_doubling)
    }

    pub fn per_doubling(&self) -> i32 {
        self.per_doubling
    }
}

/// Steps: more than a floating point number is off by, so that an end of the range that is a whole step has no second one.
const ROUNDING: f64 = 1e-6;
