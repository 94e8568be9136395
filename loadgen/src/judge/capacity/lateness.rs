//! From which rate on a generator was mostly late.

use super::verdict::Probe;

/// The lowest rate from which on probes were mostly late: of those from there to any higher rate, and of those at that rate alone, more
/// than half could not tell. A rate at which one happened to be late, amid others that could tell, is none.
pub fn late_from(probes: &[(f64, Probe)]) -> Option<f64> {
    let mut sorted = probes.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rates: Vec<&[(f64, Probe)]> = sorted.chunk_by(|a, b| a.0 == b.0).collect();
    (0..rates.len()).find(|&from| is_mostly_late(&rates[from..])).map(|from| rates[from][0].0)
}

fn is_mostly_late(rates: &[&[(f64, Probe)]]) -> bool {
    let (mut late, mut all) = (0, 0);
    rates.iter().all(|probes| {
        late += probes.iter().filter(|probe| probe.1 == Probe::CannotTell).count();
        all += probes.len();
        2 * late > all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_rate_from_which_on_most_were_late_and_not_the_first_at_which_one_was() {
        use Probe::{CannotTell, Failed, Passed};
        let of = |probes: &[(f64, Probe, usize)]| {
            let each = probes.iter().flat_map(|&(rate, probe, times)| std::iter::repeat_n((rate, probe), times));
            late_from(&each.collect::<Vec<_>>())
        };
        // In the order in which they were made, not in that of their rates.
        let stray =
            [(40e3, Failed, 1), (30e3, CannotTell, 5), (10e3, CannotTell, 1), (20e3, Passed, 6), (10e3, Passed, 0)];
        assert_eq!(of(&stray), Some(30e3));
        assert_eq!(of(&[(30e3, CannotTell, 5), (30e3, Failed, 5)]), None, "half is not most");
        assert_eq!(of(&[(30e3, CannotTell, 5), (60e3, Failed, 6)]), None, "at twice the rate it could tell");
        assert_eq!(of(&[(30e3, CannotTell, 5), (60e3, Failed, 6), (90e3, CannotTell, 2)]), Some(90e3));
        assert_eq!((of(&[]), of(&[(10e3, Passed, 5), (20e3, Failed, 5)])), (None, None));
    }
}
