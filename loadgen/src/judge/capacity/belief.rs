//! Where the capacity seems to be: a posterior distribution over the capacity and over how gradually a server fails around it.
//! It decides which rates are asked for and how much is bet on a probe, never what counts as proven.

/// One way in which a server may behave around its capacity.
struct Shape {
    /// The probability of this shape before anything is known.
    prior: f64,
    /// The scale of the logistic function by which the failing spreads around the capacity, in steps.
    scale: f64,
    /// The share of probes that go the wrong way far away from the capacity, a stall below it, say.
    astray: f64,
    /// The share of the possibilities that moves with each probe, half up and half down, and by how many steps.
    moves: (f64, usize),
}

const fn shape(prior: f64, scale: f64, astray: f64, moves: (f64, usize)) -> Shape {
    Shape { prior, scale, astray, moves }
}

const SHAPES: [Shape; 9] = [
    shape(0.30, 0.4, 0.01, (0.05, 1)),
    shape(0.15, 1.5, 0.01, (0.05, 1)),
    shape(0.08, 5.0, 0.01, (0.05, 1)),
    shape(0.05, 14.0, 0.01, (0.05, 1)),
    shape(0.15, 0.4, 0.1, (0.05, 1)),
    shape(0.10, 1.5, 0.1, (0.05, 1)),
    shape(0.05, 5.0, 0.1, (0.05, 1)),
    shape(0.03, 14.0, 0.1, (0.05, 1)),
    shape(0.09, 1.0, 0.03, (0.6, 4)),
];

/// What a probe adds to every possibility, as a share of all: the capacity may have moved anywhere meanwhile, so that no
/// possibility is ever ruled out for good.
const LEAK: f64 = 0.002;

/// Steps beyond either end of the range where the capacity may be.
const BEYOND: i32 = 40;

#[derive(Clone, Debug)]
pub(super) struct Belief {
    lowest: i32,
    /// For each shape, the probability of each step, all together 1.
    shapes: Vec<Vec<f64>>,
    /// For each shape, the probability that a probe passes, by how many steps it lies below the capacity: from -FAR to FAR.
    passes: Vec<Vec<f64>>,
}

impl Belief {
    pub fn new(lowest: i32, highest: i32) -> Self {
        let steps = (highest - lowest + 1 + 2 * BEYOND) as usize;
        let passes = SHAPES.iter().map(|shape| (-FAR..=FAR).map(|above| passes(shape, above)).collect()).collect();
        Self {
            lowest: lowest - BEYOND,
            shapes: SHAPES.iter().map(|shape| vec![shape.prior / steps as f64; steps]).collect(),
            passes,
        }
    }

    /// Takes in what a probe at `step` showed.
    pub fn add(&mut self, step: i32, passed: bool) {
        let lowest = self.lowest;
        let mut all = 0.0;
        for ((shape, table), masses) in SHAPES.iter().zip(&self.passes).zip(&mut self.shapes) {
            drift(masses, shape.moves);
            for (mass, capacity) in masses.iter_mut().zip(lowest..) {
                let passes = look_up(table, capacity - step);
                *mass *= if passed { passes } else { 1.0 - passes };
                all += *mass;
            }
        }
        for (shape, masses) in SHAPES.iter().zip(&mut self.shapes) {
            let leak = LEAK * shape.prior / masses.len() as f64;
            masses.iter_mut().for_each(|mass| *mass = *mass / all * (1.0 - LEAK) + leak);
        }
    }

    /// The probability that a probe at `step` passes.
    pub fn passes(&self, step: i32) -> f64 {
        let each = self.passes.iter().zip(&self.shapes).map(|(table, masses)| {
            masses.iter().zip(self.lowest..).map(|(mass, capacity)| mass * look_up(table, capacity - step)).sum::<f64>()
        });
        each.sum()
    }

    /// The same without the probes that go astray.
    fn clear(&self, step: i32) -> f64 {
        let each = SHAPES.iter().zip(&self.passes).zip(&self.shapes).map(|((shape, table), masses)| {
            let masses = masses.iter().zip(self.lowest..);
            let (all, passed) = masses.fold((0.0, 0.0), |(all, passed), (mass, capacity)| {
                (all + mass, passed + mass * look_up(table, capacity - step))
            });
            (passed - shape.astray * all) / (1.0 - 2.0 * shape.astray)
        });
        each.sum()
    }

    /// The step below which the capacity lies with this probability.
    pub fn quantile(&self, share: f64) -> i32 {
        let mut below = 0.0;
        for index in 0..self.shapes[0].len() {
            below += self.shapes.iter().map(|masses| masses[index]).sum::<f64>();
            if below >= share {
                return self.lowest + index as i32;
            }
        }
        self.lowest + self.shapes[0].len() as i32 - 1
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
        let each =
            SHAPES.iter().zip(&self.shapes).map(|(shape, masses)| 2.77 * shape.scale * masses.iter().sum::<f64>());
        each.sum()
    }
}

const FAR: i32 = 150;

fn look_up(table: &[f64], above: i32) -> f64 {
    table[(above.clamp(-FAR, FAR) + FAR) as usize]
}

/// The probability that a probe passes `above` steps below the capacity.
fn passes(&Shape { scale, astray, .. }: &Shape, above: i32) -> f64 {
    let share = 1.0 / (1.0 + (-f64::from(above) / scale).exp());
    astray + (1.0 - 2.0 * astray) * share
}

fn drift(masses: &mut [f64], (share, by): (f64, usize)) {
    let before = masses.to_vec();
    for (index, mass) in masses.iter_mut().enumerate() {
        let below = before[index.saturating_sub(by)];
        let above = before[(index + by).min(before.len() - 1)];
        *mass = (1.0 - share) * before[index] + share / 2.0 * (below + above);
    }
}
