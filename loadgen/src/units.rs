//! How figures are written for people: three significant digits with a fitting unit, counts with thousands grouped.

/// A time in nanoseconds, as `912 us` or `1.24 ms`.
pub fn time(ns: f64) -> String {
    // Each limit is where three digits would round up to the next unit.
    let (value, unit) = match ns {
        ns if ns < 999.5 => (ns, "ns"),
        ns if ns < 999.5e3 => (ns / 1e3, "us"),
        ns if ns < 999.5e6 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    if unit == "ns" { format!("{value:.0} ns") } else { format!("{} {unit}", significant(value)) }
}

/// What lies between two times in nanoseconds: `1.20..1.31 ms`, `912 us..1.24 ms`, or one time where both look alike.
pub fn times(from: f64, to: f64) -> String {
    let (from, to) = (if from < 0.5 { "0 ns".to_owned() } else { time(from) }, time(to));
    match (from.split_once(' '), to.split_once(' ')) {
        _ if from == to => to,
        (Some((value, unit)), Some((_, same))) if unit == same || value == "0" => format!("{value}..{to}"),
        _ => format!("{from}..{to}"),
    }
}

/// A time in seconds, as [`time`] writes it.
pub fn seconds(seconds: f64) -> String {
    time(seconds * 1e9)
}

/// A rate or another positive number: `104,312` or `3.25`.
pub fn number(value: f64) -> String {
    if value < 999.5 { significant(value) } else { count(value.round() as u64) }
}

/// A count with its thousands grouped: `1,234,567`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// How often something happened: `once`, `2,000 times`.
pub fn often(times: u64) -> String {
    if times == 1 { "once".to_owned() } else { format!("{} times", count(times)) }
}

/// So many of a thing, whose plural has an s: `1 start`, `2 starts`.
pub fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `1 start is too few`, `2 starts are too few`.
pub fn too_few(number: u64, thing: &str) -> String {
    format!("{} {} too few", counted(number, thing), if number == 1 { "is" } else { "are" })
}

/// Bytes per second in powers of ten, as network links count them: `6.68 MB/s`.
pub fn byte_rate(bytes_per_second: f64) -> String {
    scaled(bytes_per_second, 1e3, &["B/s", "kB/s", "MB/s", "GB/s"])
}

/// Bytes on the wire in powers of ten, as network links count them: `6.68 MB`.
pub fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, 1e3, &["B", "kB", "MB", "GB", "TB"])
}

/// Bits per second in powers of ten, as network links are named: `6.68 Gbit/s`.
pub fn bit_rate(bits_per_second: f64) -> String {
    scaled(bits_per_second, 1e3, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
}

/// Bytes of memory in powers of two: `21.4 MiB`.
pub fn memory(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB"])
}

/// A size as it is asked for, exactly: `64 B`, `1,500 B`, `16 KiB`, `1 MiB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0 => "0 B".to_owned(),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", count(bytes >> 20)),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", count(bytes >> 10)),
        _ => format!("{} B", count(bytes)),
    }
}

/// What lies between two sizes: `64..128 B`, `64 B..4 KiB`, or one size where both are alike.
pub fn sizes(from: u64, to: u64) -> String {
    let (from, to) = (size(from), size(to));
    match (from.split_once(' '), to.split_once(' ')) {
        _ if from == to => to,
        (Some((value, unit)), Some((_, same))) if unit == same || value == "0" => format!("{value}..{to}"),
        _ => format!("{from}..{to}"),
    }
}

/// A share of the whole as a percentage: `97.5%`; never `100%` of what is not whole, nor `0.0%` of what is there.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if (99.95..100.0).contains(&percent) {
        format!("{:.2}%", (percent * 100.0).floor() / 100.0)
    } else if (0.01..0.05).contains(&percent) {
        format!("{percent:.2}%")
    } else if percent > 0.0 && percent < 0.01 {
        "<0.01%".to_owned()
    } else {
        format!("{percent:.1}%")
    }
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while value >= step - 0.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} {}", units[0]) } else { format!("{} {}", significant(value), units[unit]) }
}

/// Three significant digits of a number of at most four before the point.
fn significant(value: f64) -> String {
    let decimals = match value {
        value if value == 0.0 || value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_two_times() {
        for (from, to, text) in [
            (1.2e6, 1.31e6, "1.20..1.31 ms"),
            (912e3, 1.24e6, "912 us..1.24 ms"),
            (0.0, 1.24e6, "0..1.24 ms"),
            (1.2e6, 1.2001e6, "1.20 ms"),
        ] {
            assert_eq!(times(from, to), text);
        }
    }

    #[test]
    fn times_keep_three_digits_and_move_to_the_next_unit_where_rounding_does() {
        let cases = [
            (0.0, "0 ns"),
            (850.0, "850 ns"),
            (999.6, "1.00 us"),
            (9_994.0, "9.99 us"),
            (9_996.0, "10.0 us"),
            (99_960.0, "100 us"),
            (999_600.0, "1.00 ms"),
            (12_345_678.0, "12.3 ms"),
            (3_600e9, "3600 s"),
        ];
        for (ns, text) in cases {
            assert_eq!(time(ns), text);
        }
    }

    #[test]
    fn counts_are_grouped_and_sizes_scaled() {
        assert_eq!([count(0), count(999), count(1_000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([number(0.5), number(104_311.6), number(12.34)], ["0.50", "104,312", "12.3"]);
        assert_eq!([byte_rate(640.0), byte_rate(6_675_968.0)], ["640 B/s", "6.68 MB/s"]);
        assert_eq!([bit_rate(640.0), bit_rate(2.5e9)], ["640 bit/s", "2.50 Gbit/s"]);
        assert_eq!([memory(22_439_526), memory(0)], ["21.4 MiB", "0 B"]);
        assert_eq!([percent(0.99999), percent(1.0), percent(0.5)], ["99.99%", "100.0%", "50.0%"]);
        let small = [0.0, 1e-9, 0.000099, 0.0001, 0.00025, 0.000499, 0.0005].map(percent);
        assert_eq!(small, ["0.0%", "<0.01%", "<0.01%", "0.01%", "0.03%", "0.05%", "0.1%"]);
    }

    #[test]
    fn sizes_are_as_they_were_asked_for() {
        assert_eq!(
            [0, 64, 1_500, 1_024, 16 << 10, 1 << 20].map(size),
            ["0 B", "64 B", "1,500 B", "1 KiB", "16 KiB", "1 MiB"]
        );
        for (from, to, text) in [
            (64, 64, "64 B"),
            (64, 128, "64..128 B"),
            (0, 4_096, "0..4 KiB"),
            (64, 4_096, "64 B..4 KiB"),
            (1 << 10, 16 << 10, "1..16 KiB"),
        ] {
            assert_eq!(sizes(from, to), text);
        }
    }
}
