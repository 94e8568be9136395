//! A probe of a rate that the server does not hold ends before its time.

mod binary;

use binary::loadgen;

#[test]
fn a_probe_at_twice_the_capacity_is_over_once_the_rest_of_it_could_not_keep_the_limit() {
    // A millisecond of CPU time a message: no more than 1,000 messages a second.
    let server = ["--server", "--threads 1 --inject-cost 1000000", "-c", "5", "--threads", "1", "--warmup", "100ms"];
    let search = ["--slo", "latency.p99<20ms", "--min-rate", "2000", "--max-rate", "2001", "--probe", "2s"];
    let rest = ["--holdout", "0", "--max-time", "30s", "-q", "--format", "json"];
    // How many probes it takes to prove it is a matter of how busy the machine is.
    let report = loadgen(&[&["capacity"][..], &server, &search, &rest].concat()).json(&[95, 96, 98]);
    let probes = report.0["probes"].as_array().unwrap();
    let failed: Vec<_> = probes.iter().filter(|probe| probe["outcome"] == "failed").collect();
    assert!(!failed.is_empty(), "{probes:?}");
    assert!(failed.iter().any(|probe| probe["seconds"].as_f64().unwrap() < 2.0), "{failed:?}");
    assert!(failed.iter().all(|probe| probe["why"].as_str().unwrap().contains("latency.p99 < 20.0 ms")), "{failed:?}");
}
