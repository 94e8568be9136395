//! Simulated servers of known capacity.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::search::Range;
use super::verdict::Probe;

pub(super) const START: f64 = 1_000.0;
pub(super) const RANGE: Range =
    Range { start: START, min: START / 2.0, max: START * 256.0, precision: 0.03, error: 0.05 };

/// How long a disturbed spell of the machine lasts on average, in seconds.
const SPELL: f64 = 25.0;

/// How a server fails around its capacity.
#[derive(Clone, Copy, Debug)]
pub(super) enum Knee {
    /// At every rate from its capacity on, never below.
    Sharp,
    /// The probability of passing falls linearly from 1 to 0 while the rate grows by this share of the capacity.
    Soft(f64),
    /// Sharp, but every tenth probe fails whatever the rate.
    Stalls,
    /// Sharp, but this share of the probes goes the other way.
    Astray(f64),
    /// Sharp, while the capacity goes up and down by a fifth of its middle, with this period in probes.
    Drifting(f64),
    /// Sharp, but above this share of the capacity the generator is late.
    Late(f64),
    /// Sharp, but the generator is late, so that the limit is broken, in this share of the probes at the capacity, and in a share
    /// that grows with the square of the rate elsewhere.
    LateMore(f64),
    /// As soft as `Soft(0.2)`, and late in this share of the probes that would pass, but in none that would fail.
    LateWherePassing(f64),
    /// Sharp, but beyond the capacity the generator is late in a share of the probes that rises with the rate, to this at twice the
    /// capacity.
    LateBeyond(f64),
    /// As soft as `Soft(0.2)`, and a probe that fails is broken by so little near the capacity that a generator a little late cannot
    /// tell: in this share of them at the capacity, in fewer the higher the rate, in none from twice the capacity on.
    LateNear(f64),
    /// Sharp, but the machine is disturbed in this share of the time, in spells that last 25 s on average: then every other probe fails
    /// at any rate.
    FailingSpells(f64),
    /// The same, but then the generator is late in every other probe.
    LateSpells(f64),
    /// Sharp, but from 10 s on the capacity is a tenth.
    Slower,
}

/// A server, after some probes.
pub(super) struct Server {
    knee: Knee,
    /// In the middle, if it drifts.
    pub capacity: f64,
    phase: f64,
    pub probes: u32,
    /// How long they took: a second, and more where 200 messages take more.
    pub seconds: f64,
    /// Whether the machine is disturbed, and until when.
    spell: (bool, f64),
    /// What they showed.
    pub made: Vec<(f64, Probe)>,
    chance: SmallRng,
    /// The lowest and the highest capacity there was at any probe, and their sum.
    pub lowest: f64,
    pub highest: f64,
    sum: f64,
}

impl Server {
    /// Its capacity lies 10 to 100 times above where searches start.
    pub fn new(knee: Knee, seed: u64) -> Self {
        let mut chance = SmallRng::seed_from_u64(seed);
        let capacity = START * 10f64.powf(1.0 + chance.random::<f64>());
        let phase = chance.random();
        let made = Vec::new();
        let (seconds, spell) = (0.0, (true, 0.0));
        Self {
            knee,
            capacity,
            phase,
            probes: 0,
            seconds,
            spell,
            made,
            chance,
            lowest: f64::INFINITY,
            highest: 0.0,
            sum: 0.0,
        }
    }

    /// Whether the machine is disturbed now and in this probe, where it is so in this share of the time.
    fn disturbed(&mut self, share: f64) -> bool {
        while self.seconds >= self.spell.1 {
            let mean = if self.spell.0 { SPELL * (1.0 - share) / share } else { SPELL };
            let length = -mean * (1.0 - self.chance.random::<f64>()).ln();
            self.spell = (!self.spell.0, self.spell.1 + length);
        }
        self.spell.0 && self.chance.random()
    }

    pub fn probe(&mut self, rate: f64) -> Probe {
        let capacity = match self.knee {
            Knee::Drifting(period) => {
                let turn = f64::from(self.probes) / period + self.phase;
                self.capacity * (1.0 + 0.2 * (std::f64::consts::TAU * turn).sin())
            }
            Knee::Slower if self.seconds >= 10.0 => self.capacity / 10.0,
            _ => self.capacity,
        };
        self.lowest = self.lowest.min(capacity);
        self.highest = self.highest.max(capacity);
        self.sum += capacity;
        self.probes += 1;
        let disturbed = match self.knee {
            Knee::FailingSpells(share) | Knee::LateSpells(share) => self.disturbed(share),
            _ => false,
        };
        self.seconds += (200.0 / rate).max(1.0);
        let sharp = if rate < capacity { 1.0 } else { 0.0 };
        let passes = match self.knee {
            Knee::LateWherePassing(_) | Knee::LateNear(_) => (0.5 + (1.0 - rate / capacity) / 0.2).clamp(0.0, 1.0),
            Knee::Soft(width) => (0.5 + (1.0 - rate / capacity) / width).clamp(0.0, 1.0),
            Knee::Stalls if self.probes % 10 == (10.0 * self.phase) as u32 => 0.0,
            Knee::Astray(share) => share + (1.0 - 2.0 * share) * sharp,
            Knee::FailingSpells(_) | Knee::LateSpells(_) if disturbed => 0.0,
            _ => sharp,
        };
        let passed = self.chance.random::<f64>() < passes;
        let late = match self.knee {
            Knee::LateMore(share) => self.chance.random::<f64>() < share * (rate / capacity).powi(2),
            Knee::LateWherePassing(share) => passed && self.chance.random::<f64>() < share,
            Knee::LateBeyond(share) => !passed && self.chance.random::<f64>() < share * (rate / capacity - 1.0),
            Knee::LateNear(share) => !passed && self.chance.random::<f64>() < share * (2.0 - rate / capacity),
            Knee::Late(above) => !passed && rate > above * self.capacity,
            Knee::LateSpells(_) => disturbed,
            _ => false,
        };
        let probe = match passed {
            _ if late => Probe::CannotTell,
            true => Probe::Passed,
            false => Probe::Failed,
        };
        self.made.push((rate, probe));
        probe
    }

    /// The most probes at one rate.
    pub fn most_at_one(&self) -> usize {
        let mut rates: Vec<f64> = self.made.iter().map(|probe| probe.0).collect();
        rates.sort_by(f64::total_cmp);
        rates.chunk_by(|a, b| a == b).map(<[f64]>::len).max().unwrap_or(0)
    }

    /// The capacity on average over the probes so far.
    pub fn mean(&self) -> f64 {
        self.sum / f64::from(self.probes)
    }
}

/// How often to repeat what a test repeats `times` times.
pub(super) fn repetitions(times: usize) -> u64 {
    let more = std::env::var("FATHOM_REPETITIONS").ok().and_then(|more| more.parse().ok()).unwrap_or(1);
    (times * more) as u64
}
