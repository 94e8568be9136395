//! Whether something else than the rate broke the limits: rates that kept them often, and far lower ones that did not.

use super::verdict::Probe;

/// What does not go with a server whose probes fail because of the rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disturbance {
    /// At this rate or above so many probes passed.
    pub kept: f64,
    /// How many.
    pub passed: usize,
    /// Far below it, up to this rate, not all did.
    pub below: f64,
    /// How many did not.
    pub broken: usize,
    /// Of how many.
    pub probes: usize,
}

/// Looks at the rates of probes and at what they showed.
pub fn disturbance(probes: &[(f64, Probe)]) -> Option<Disturbance> {
    let mut passed: Vec<f64> = probes.iter().filter(|probe| probe.1 == Probe::Passed).map(|probe| probe.0).collect();
    passed.sort_by(|a, b| b.total_cmp(a));
    let kept = *passed.get(OFTEN - 1)?;
    let far_below: Vec<_> = probes.iter().filter(|probe| probe.0 <= kept * FAR_BELOW).collect();
    let below = far_below.iter().map(|probe| probe.0).fold(0.0, f64::max);
    let broken = far_below.iter().filter(|probe| probe.1 != Probe::Passed).count();
    let tells = far_below.len() >= ENOUGH && broken as f64 >= far_below.len() as f64 * MANY;
    let passed = passed.iter().filter(|rate| **rate >= kept).count();
    tells.then_some(Disturbance { kept, passed, below, broken, probes: far_below.len() })
}

/// So many probes of a rate or of higher ones do not pass by luck.
const OFTEN: usize = 5;

/// So far below it, as a share, even a server that fails gradually keeps the limits.
const FAR_BELOW: f64 = 0.8;

/// Of fewer probes there the share is no share.
const ENOUGH: usize = 10;

/// A stall in every tenth second breaks so many of them in one case of fifty.
const MANY: f64 = 0.3;

#[cfg(test)]
mod tests {
    use super::*;

    fn made(probes: &[(f64, Probe, usize)]) -> Vec<(f64, Probe)> {
        probes.iter().flat_map(|&(rate, probe, times)| std::iter::repeat_n((rate, probe), times)).collect()
    }

    #[test]
    fn rates_that_fail_far_below_those_that_pass_are_a_disturbance() {
        use Probe::{CannotTell, Failed, Passed};
        let often = [(20e3, Passed, 3), (18e3, Passed, 2), (9e3, Passed, 6), (9e3, Failed, 3), (8e3, CannotTell, 2)];
        let expected = Disturbance { kept: 18e3, passed: 5, below: 9e3, broken: 5, probes: 11 };
        assert_eq!(disturbance(&made(&often)), Some(expected));
        // The same as close below as a server fails that fails gradually.
        let close = [(20e3, Passed, 5), (17e3, Passed, 6), (17e3, Failed, 5)];
        assert_eq!(disturbance(&made(&close)), None);
        let seldom = [(20e3, Passed, 5), (9e3, Passed, 9), (9e3, Failed, 2)];
        assert_eq!(disturbance(&made(&seldom)), None);
        let luck = [(20e3, Passed, 4), (9e3, Failed, 12)];
        assert_eq!(disturbance(&made(&luck)), None);
    }
}
