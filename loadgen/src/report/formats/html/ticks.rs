//! Where an axis has its lines, and what they are called.

/// Whole steps of 1, 2 or 5 times a power of ten from 0 up to `to`, about `count` of them.
pub(super) fn linear(to: f64, count: usize) -> Vec<f64> {
    within(0.0, to, count)
}

/// Whole steps of 1, 2 or 5 times a power of ten that lie in a range, about `count` of them.
pub(super) fn within(from: f64, to: f64, count: usize) -> Vec<f64> {
    let rough = (to - from) / count.max(1) as f64;
    if !rough.is_finite() || rough <= 0.0 {
        return vec![from];
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let first = (from / step - 1e-6).ceil();
    // Adding nothing makes 0 of -0.
    let ticks = (0..=2 * count).map(|i| (first + i as f64) * step + 0.0);
    ticks.take_while(|tick| *tick <= to + step * 1e-6).collect()
}

/// The logarithms of 1, 2 and 5 times the powers of ten that lie from `from` to `to`, which are logarithms themselves;
/// of the powers alone where those are enough, and of every other one where they are too many.
pub(super) fn logarithmic(from: f64, to: f64, most: usize) -> Vec<f64> {
    let inside = |factors: &[f64], every: u32| -> Vec<f64> {
        let decades =
            (from.floor() as i32..=to.ceil() as i32).filter(|decade| decade.unsigned_abs().is_multiple_of(every));
        let ticks = decades.flat_map(|decade| factors.iter().map(move |factor| f64::from(decade) + factor.log10()));
        ticks.filter(|tick| (from..=to).contains(tick)).collect()
    };
    [(&[1.0, 2.0, 5.0][..], 1), (&[1.0, 3.0][..], 1), (&[1.0][..], 1), (&[1.0][..], 2)]
        .into_iter()
        .map(|(factors, every)| inside(factors, every))
        .find(|ticks| ticks.len() <= most)
        .unwrap_or_default()
}

/// A time whose logarithm in ns is given, `200 us`.
pub(super) fn time(log_ns: f64) -> String {
    let ns = 10f64.powf(log_ns);
    // Ticks are round: what is left is the error of going through the logarithm.
    let (value, unit) = match ns {
        ns if ns < 999.0 => (ns, "ns"),
        ns if ns < 999e3 => (ns / 1e3, "us"),
        ns if ns < 999e6 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    format!("{value:.0} {unit}")
}

/// The share of messages at `x` nines, `99.9%`.
pub(super) fn nines(x: f64) -> String {
    let decimals = (x.round() as usize).saturating_sub(2);
    format!("{:.decimals$}%", 100.0 * (1.0 - 10f64.powf(-x)))
}

/// A number with its thousands as k and millions as M, `150k`.
pub(super) fn short(value: f64) -> String {
    let (value, suffix) = match value.abs() {
        v if v >= 999_999.0 => (value / 1e6, "M"),
        v if v >= 999.9 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    // Ticks have two digits at most after the unit was chosen.
    let text = format!("{value:.2}");
    format!("{}{suffix}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Seconds, `12 s`.
pub(super) fn seconds(value: f64) -> String {
    format!("{} s", short(value))
}

/// A share, `99.5%`.
pub(super) fn percent(value: f64) -> String {
    format!("{}%", short(value * 100.0))
}

/// A change as a share, `+1.5%`.
pub(super) fn signed_percent(value: f64) -> String {
    if value > 0.0 { format!("+{}", percent(value)) } else { percent(value) }
}

/// A multiple whose logarithm to base 2 is given and whole, `4x` or `1/4`.
pub(super) fn ratio(log2: f64) -> String {
    if log2 < 0.0 { format!("1/{:.0}", (-log2).exp2()) } else { format!("{:.0}x", log2.exp2()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_whole_or_one_of_so_many() {
        assert_eq!([-2.0, -1.0, 0.0, 3.0].map(ratio), ["1/4", "1/2", "1x", "8x"]);
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(linear(10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(linear(0.9, 4), [0.0, 0.5]);
        assert_eq!(linear(187_000.0, 4), [0.0, 50_000.0, 100_000.0, 150_000.0]);
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(linear(odd, 4), [0.0]);
        }
        assert_eq!(within(-0.5, 0.9, 4), [-0.5, 0.0, 0.5]);
        let shares: Vec<String> = within(0.94, 1.06, 4).into_iter().map(percent).collect();
        assert_eq!(shares, ["95%", "100%", "105%"]);
        let labels = |from: f64, to: f64| logarithmic(from, to, 7).into_iter().map(time).collect::<Vec<_>>();
        assert_eq!(labels(4.9, 6.0), ["100 us", "200 us", "500 us", "1 ms"]);
        assert_eq!(labels(4.9, 8.1), ["100 us", "300 us", "1 ms", "3 ms", "10 ms", "30 ms", "100 ms"]);
        assert!(logarithmic(0.0, 13.0, 7).len() <= 7);
    }

    #[test]
    fn labels_are_short() {
        assert_eq!([0.0, 1.0, 2.0, 3.0, 5.0].map(nines), ["0%", "90%", "99%", "99.9%", "99.999%"]);
        assert_eq!(
            [0.0, 0.25, 500.0, 1_000.0, 150_000.0, 2_500_000.0].map(short),
            ["0", "0.25", "500", "1k", "150k", "2.5M"]
        );
        assert_eq!(percent(0.995), "99.5%");
    }
}
