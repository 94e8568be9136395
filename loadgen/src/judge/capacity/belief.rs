//! Where the capacity seems to be: a posterior distribution over the capacity and over how gradually a server fails around it.
//! It decides which rates are asked for and how much is bet on a probe, never what counts as proven.

use super::verdict::Probe;

/// One way in which a server may behave around its capacity.
struct Shape {
    /// The probability of this shape before anything is known.
    prior: f64,
    /// The scale of the logistic function by which the failing spreads around the capacity, in steps.
    scale: f64,
    /// The share of probes that go the wrong way far below the capacity, because of a stall or a late generator, say, and far
    /// above it.
    astray: (f64, f64),
    /// The share of the possibilities that moves with each probe, half up and half down, and by how many steps.
    moves: (f64, usize),
}

const fn shape(prior: f64, scale: f64, astray: (f64, f64), moves: (f64, usize)) -> Shape {
    Shape { prior, scale, astray, moves }
}

const SHAPES: [Shape; 11] = [
    shape(0.27, 0.4, (0.01, 0.01), (0.05, 1)),
    shape(0.13, 1.5, (0.01, 0.01), (0.05, 1)),
    shape(0.07, 5.0, (0.01, 0.01), (0.05, 1)),
    shape(0.05, 14.0, (0.01, 0.01), (0.05, 1)),
    shape(0.14, 0.4, (0.1, 0.1), (0.05, 1)),
    shape(0.09, 1.5, (0.1, 0.1), (0.05, 1)),
    shape(0.05, 5.0, (0.1, 0.1), (0.05, 1)),
    shape(0.03, 14.0, (0.1, 0.1), (0.05, 1)),
    shape(0.05, 0.4, (0.3, 0.01), (0.05, 1)),
    shape(0.04, 5.0, (0.3, 0.01), (0.05, 1)),
    shape(0.08, 1.0, (0.03, 0.03), (0.6, 4)),
];

impl Shape {
    /// The probability of passing where it is `clear` without the probes that go astray.
    fn passes(&self, clear: f64) -> f64 {
        let (below, above) = self.astray;
        above + (1.0 - below - above) * clear
    }
}

/// What a probe adds to every possibility, as a share of all: the capacity may have moved anywhere meanwhile, so that no
/// possibility is ever ruled out for good.
const LEAK: f64 = 0.002;

/// What a probe counts in which the generator was late, where one that failed counts 1: the rate may have little to do with it.
const LATE_COUNTS: f64 = 0.75;

/// Steps beyond either end of the range where the capacity may be.
const BEYOND: i32 = 40;

#[derive(Clone, Debug)]
pub(super) struct Belief {
    lowest: i32,
    /// For each shape, the probability of each step, all together 1.
    shapes: Vec<Vec<f64>>,
    /// For each shape, the probability that the capacity lies below each step, and last that of the shape.
    below: Vec<Vec<f64>>,
    /// For each shape, the probability that a probe passes, by how many steps it lies below the capacity: from -far to far,
    /// beyond which it is the same. Apart from probes that go astray.
    tables: Vec<Vec<f64>>,
}

impl Belief {
    pub fn new(lowest: i32, highest: i32) -> Self {
        let steps = (highest - lowest + 1 + 2 * BEYOND) as usize;
        let shapes = SHAPES.iter().map(|shape| vec![shape.prior / steps as f64; steps]).collect();
        let mut belief =
            Self { lowest: lowest - BEYOND, shapes, below: Vec::new(), tables: SHAPES.iter().map(table).collect() };
        belief.sum_up();
        belief
    }

    /// Takes in what a probe at `step` showed.
    pub fn add(&mut self, step: i32, probe: Probe) {
        let lowest = self.lowest;
        let mut all = 0.0;
        for ((shape, table), masses) in SHAPES.iter().zip(&self.tables).zip(&mut self.shapes) {
            drift(masses, shape.moves);
            for (mass, capacity) in masses.iter_mut().zip(lowest..) {
                let passes = shape.passes(look_up(table, capacity - step));
                *mass *= match probe {
                    Probe::Passed => passes,
                    Probe::Failed => 1.0 - passes,
                    Probe::CannotTell => (1.0 - passes).powf(LATE_COUNTS),
                };
                all += *mass;
            }
        }
        for (shape, masses) in SHAPES.iter().zip(&mut self.shapes) {
            let leak = LEAK * shape.prior / masses.len() as f64;
            masses.iter_mut().for_each(|mass| *mass = *mass / all * (1.0 - LEAK) + leak);
        }
        self.sum_up();
    }

    fn sum_up(&mut self) {
        self.below = self
            .shapes
            .iter()
            .map(|masses| {
                let mut sum = 0.0;
                std::iter::once(0.0)
                    .chain(masses.iter().map(|mass| {
                        sum += mass;
                        sum
                    }))
                    .collect()
            })
            .collect();
    }

    /// The probability that a probe at `step` passes.
    pub fn passes(&self, step: i32) -> f64 {
        let each = SHAPES.iter().enumerate().map(|(index, shape)| {
            let all = self.below[index].last().copied().unwrap_or(0.0);
            shape.astray.1 * all + (1.0 - shape.astray.0 - shape.astray.1) * self.clear_of(index, step)
        });
        each.sum()
    }

    /// The same without the probes that go astray.
    fn clear(&self, step: i32) -> f64 {
        (0..SHAPES.len()).map(|index| self.clear_of(index, step)).sum()
    }

    /// The part of one shape in [`Self::clear`].
    fn clear_of(&self, index: usize, step: i32) -> f64 {
        let (masses, below, table) = (&self.shapes[index], &self.below[index], &self.tables[index]);
        let far = (table.len() / 2) as i32;
        let at = |step: i32| (step - self.lowest).clamp(0, masses.len() as i32) as usize;
        let (from, to) = (at(step - far), at(step + far + 1));
        let near = masses[from..to].iter().zip(self.lowest + from as i32..);
        let near: f64 = near.map(|(mass, capacity)| mass * look_up(table, capacity - step)).sum();
        near + below[masses.len()] - below[to]
    }

    /// The step below which the capacity lies with this probability.
    pub fn quantile(&self, share: f64) -> i32 {
        let steps = self.shapes[0].len();
        let (mut from, mut to) = (1, steps);
        while from < to {
            let middle = from + (to - from) / 2;
            if self.below.iter().map(|below| below[middle]).sum::<f64>() >= share {
                to = middle;
            } else {
                from = middle + 1;
            }
        }
        self.lowest + from as i32 - 1
    }

    /// The lowest step from `lowest` to `highest` at which fewer than this share of probes pass; `highest + 1` if there is none.
    pub fn first_below(&self, share: f64, (lowest, highest): (i32, i32)) -> i32 {
        let (mut from, mut to) = (lowest, highest + 1);
        while from < to {
            let middle = from + (to - from) / 2;
            if self.clear(middle) >= share { from = middle + 1 } else { to = middle }
        }
        from
    }

    /// Over how many steps the server goes from passing 4 of 5 probes to failing 4 of 5, on average over what is possible.
    pub fn spread(&self) -> f64 {
        let each = SHAPES.iter().zip(&self.below).map(|(shape, below)| 2.77 * shape.scale * below[below.len() - 1]);
        each.sum()
    }
}

/// A shape's probabilities of passing, by distance from the capacity.
fn table(shape: &Shape) -> Vec<f64> {
    // Beyond 10 times its scale a logistic function differs from 0 or 1 by less than 1 in 20,000.
    let far = (10.0 * shape.scale).ceil() as i32;
    (-far..=far).map(|above| 1.0 / (1.0 + (-f64::from(above) / shape.scale).exp())).collect()
}

fn look_up(table: &[f64], above: i32) -> f64 {
    let far = (table.len() / 2) as i32;
    table[(above.clamp(-far, far) + far) as usize]
}

fn drift(masses: &mut [f64], (share, by): (f64, usize)) {
    let before = masses.to_vec();
    for (index, mass) in masses.iter_mut().enumerate() {
        let below = before[index.saturating_sub(by)];
        let above = before[(index + by).min(before.len() - 1)];
        *mass = (1.0 - share) * before[index] + share / 2.0 * (below + above);
    }
}
