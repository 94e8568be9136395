//! The one shape of histogram that everything is recorded into.

use hdrhistogram::Histogram;

/// The one shape of histogram that Fathom records into: nanoseconds, 1 ns to [`HIGHEST_NS`], 3 significant digits, so
/// that any two of them add up exactly, bucket for bucket.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HIGHEST_NS, 3).expect("the bounds are constants that HdrHistogram accepts")
}

/// Adds bucket for bucket.
pub fn add(total: &mut Histogram<u64>, part: &Histogram<u64>) {
    total.add(part).expect("all histograms are of one shape");
}

/// The highest value that is told apart, one hour in ns: longer than any stall that a run could outlive.
pub const HIGHEST_NS: u64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_histograms_equal_one_recorded_together_bucket_for_bucket() {
        let (mut a, mut b, mut together) = (histogram(), histogram(), histogram());
        let mut x = 7u64;
        for i in 0..100_000 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let value = (x >> 33) >> (x % 24);
            if i % 3 == 0 { &mut a } else { &mut b }.saturating_record(value);
            together.saturating_record(value);
        }
        let mut merged = histogram();
        merged.add(&a).unwrap();
        merged.add(&b).unwrap();
        assert_eq!(merged, together);
        let buckets = |h: &Histogram<u64>| {
            h.iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value())).collect::<Vec<_>>()
        };
        assert_eq!(buckets(&merged), buckets(&together));
    }
}
