//! A strict reader of Go's benchmark format.
#![allow(dead_code, unreachable_pub, reason = "a module of several test binaries, each of which uses a part of it")]

use std::collections::BTreeMap;

/// What a file in Go's benchmark format holds.
pub struct Benchmarks {
    /// Name, figures by unit.
    pub results: Vec<(String, BTreeMap<String, f64>)>,
    /// Which way each unit is better.
    pub units: BTreeMap<String, String>,
    pub configuration: Vec<(String, String)>,
}

/// A result line and a unit line of Go's benchmark format, by the rules of its proposal
/// (golang.org/design/14313-benchmark-format, and golang/go#43744 for units); anything else is ignored by its readers,
/// so anything else is a mistake here.
pub fn benchmarks(text: &str) -> Benchmarks {
    let (mut results, mut units, mut configuration) = (Vec::new(), BTreeMap::new(), Vec::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Unit ") {
            let [unit, better] = rest.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let better = better.strip_prefix("better=").filter(|better| ["higher", "lower"].contains(better));
            units.insert(unit.to_owned(), better.unwrap_or_else(|| panic!("{line}")).to_owned());
        } else if line.starts_with("Benchmark") {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let name = fields[0].strip_prefix("Benchmark").unwrap();
            assert!(!name.starts_with(char::is_lowercase), "{line}");
            assert!(name.split('/').skip(1).all(|part| part.split_once('=').is_some()), "{line}");
            assert!(fields[1].parse::<u64>().unwrap() > 0, "{line}");
            assert!(fields.len() > 2 && fields.len().is_multiple_of(2), "{line}");
            let pairs = fields[2..].chunks(2).map(|pair| (pair[1].to_owned(), pair[0].parse().unwrap()));
            let figures: BTreeMap<String, f64> = pairs.collect();
            assert_eq!(figures.len(), (fields.len() - 2) / 2, "units are told apart: {line}");
            results.push((fields[0].to_owned(), figures));
        } else {
            let (key, value) =
                line.split_once(": ").unwrap_or_else(|| panic!("neither result nor configuration: {line}"));
            assert!(
                key.starts_with(char::is_lowercase) && !key.contains(|c: char| c.is_whitespace() || c.is_uppercase())
            );
            configuration.push((key.to_owned(), value.to_owned()));
        }
    }
    Benchmarks { results, units, configuration }
}
