//! Experiments on UDP servers that lose datagrams: the time that is waited for them, and what reports say of them.

mod binary;
mod udp_server;

use std::fs;

use binary::{comparison, converted, loadgen};
use udp_server::losing;

#[test]
fn the_time_that_lost_datagrams_are_waited_for_is_counted() {
    let compare = |flags: &[&str]| {
        let fixed = ["compare", "-c", "1", "--trial", "50ms", "--force", "--format", "json", "-q"];
        serde_json::to_value(comparison(&loadgen(&[&fixed, flags].concat()).wait(), 0)).unwrap()
    };
    // Every load ends with the wait for a reply that does not come, a second long: of the 400 ms that there are to see whether a
    // server has settled, the first slice takes all.
    let compared = compare(&["--a", &losing(5), "--b", &losing(5), "--max-time", "4s"]);
    let studies = compared["warmup"]["studies"].as_array().unwrap();
    assert_eq!(studies.len(), 2, "{studies:#?}");
    assert!(studies.iter().all(|study| study["rate"].as_array().unwrap().len() == 1), "{studies:#?}");
    assert!(compared["trust"]["notes"].to_string().contains("whether A has settled after"), "{}", compared["trust"]);
    // After each start both servers are waited for twice: once they have shown how fast they are, and after their warm-up.
    let flags = ["--udp-timeout", "500ms", "--warmup", "50ms", "--restart-every", "1", "--max-time", "2s"];
    let limited = "--listen udp://127.0.0.1:0 --udp-limit 10";
    let compared = compare(&[&["--a", limited, "--b", limited][..], &flags].concat());
    let start = compared["repetition"]["start_seconds"].as_f64().unwrap();
    assert!(start >= 1.9, "a start takes {start} s before its first trial");
}

#[test]
fn comparisons_and_sweeps_say_what_udp_lost_in_every_format() {
    let file = |name: &str| format!("{}/lossy-{}-{name}.json", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let (first, second, swept) = (file("first"), file("second"), file("sweep"));
    let short = ["-c", "2", "--trial", "100ms", "--max-time", "2s", "--force", "-q"];
    let measured = |flags: &[&str], file: &str| {
        let finished = loadgen(&[flags, &short, &["-o", file]].concat()).wait();
        assert!(matches!(finished.code, Some(0 | 98)), "{:?}: {}", finished.code, finished.stderr);
        let document: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        document
    };
    let said = |file: &str, format: &str| {
        let said = converted(file, format);
        assert_eq!(said.code, Some(0), "{format}: {}", said.stderr);
        said.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (a, b) = (losing(50), losing(usize::MAX));
    let soon = ["--udp-timeout", "20ms"];
    let servers = ["compare", "--a", &a, "--b", &b, "--gate", "throughput", "--alpha", "0.01%", "--attempts", "2"];
    let servers = [&servers[..], &soon].concat();
    let lost = |side: &serde_json::Value| side["datagrams"]["lost"].as_u64().unwrap();
    let compared = measured(&servers, &first);
    // A machine that stands still for longer than 20 ms loses some of B's, too.
    assert!(lost(&compared["a"]) > lost(&compared["b"]), "{compared:#}");
    assert_eq!(compared["a"]["datagrams"]["lost"], compared["a"]["messages"]["lost"]);
    assert_eq!(compared["a"]["datagrams"]["timeout_seconds"], 0.02);
    let resumed = measured(&[&servers[..], &["--resume", &first]].concat(), &second);
    assert!(lost(&resumed["a"]) > lost(&compared["a"]), "what is saved is counted");
    let of_b = format!("B: {} without a reply within 20.0 ms", lost(&resumed["b"]));
    for format in ["text", "markdown", "html"] {
        let said = said(&second, format);
        for words in [" without a reply within 20.0 ms (", &of_b, NOTE] {
            assert!(said.contains(words), "{format}: expected {words} in {said}");
        }
    }
    let vary = ["--vary-load", "size=64,128"];
    let document = measured(&[&["sweep", "--server", &a][..], &vary, &soon].concat(), &swept);
    assert!(document["arms"].as_array().unwrap().iter().all(|arm| lost(arm) > 0), "{document:#}");
    for format in ["text", "markdown", "html"] {
        let said = said(&swept, format);
        assert!(said.contains("size=128: ") && said.contains(" without a reply within 20.0 ms ("), "{format}: {said}");
        assert!(said.contains(NOTE), "{format}: {said}");
    }
    assert!(!said(&swept, "junit").contains("<failure type=\"failed\""), "what UDP loses fails nothing");
    // Where nothing was lost one line says so.
    measured(&[&["sweep", "--server", &b, "--udp-timeout", "10s"][..], &vary].concat(), &swept);
    let said = said(&swept, "text");
    assert!(said.contains("datagrams 0 without a reply within 10.0 s, 0 late") && !said.contains(NOTE), "{said}");
    [first, second, swept].iter().for_each(|file| fs::remove_file(file).unwrap());
}

const NOTE: &str = "the latency tells nothing of ";
