//! UDP alone (`udp://`): runs against the embedded server and against echo servers of the tests' own, which lose, double,
//! reorder, change and refuse datagrams in chosen ways.

mod binary;
#[path = "../../server/tests/support/skipped.rs"]
mod skipped;
mod udp_server;

use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use binary::{Finished, Json, comparison, loadgen};
use nix::sys::socket::{setsockopt, sockopt};
use skipped::skipped;
use udp_server::{losing, server};

const LISTEN: &str = "--listen udp://127.0.0.1:0";

fn run(arguments: &[&str]) -> Finished {
    let fixed = ["run", "--connections", "3", "--warmup", "0s", "--threads", "1"];
    let usual: &[&str] = if arguments.contains(&"--messages") { &[] } else { &["--messages", "600"] };
    loadgen(&[&fixed[..], usual, arguments].concat()).wait()
}

/// The report of a run that measured; whether the machine was quiet enough is not the question here.
fn report(arguments: &[&str]) -> Json {
    let finished = run(&[&["--format", "json"], arguments].concat());
    assert!(matches!(finished.code, Some(0 | 98)), "{arguments:?}: {:?} {}", finished.code, finished.stderr);
    let report = Json(serde_json::from_str(&finished.stdout).expect("a report"));
    let schema = serde_json::from_str(include_str!("../schema/run-v2.schema.json")).unwrap();
    let errors: Vec<_> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&report.0).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    report
}

/// What became of the datagrams, in the order lost, late, duplicated, reordered.
fn fates(report: &Json) -> [f64; 4] {
    ["lost", "late", "duplicated", "reordered"].map(|fate| report.number(&format!("/datagrams/{fate}")))
}

#[test]
fn every_load_is_verified_to_the_byte() {
    for flags in [
        &[][..],
        &["--size", "8"],
        &["--size", "8..3000", "--in-flight", "9"],
        &["--size", "65507"],
        &["--text", "--payload", "json", "--size", "500"],
        // As many as a socket's queue holds while nobody is there to read them.
        &["--messages", "200", "--rate", "2000", "--timestamps", "off"],
        &["--messages", "200", "--rate", "2000", "--arrival", "poisson", "--verify", "sample"],
    ] {
        let report = report(&[&["--server", LISTEN], flags].concat());
        let all = if flags.contains(&"--messages") { 200.0 } else { 600.0 };
        assert_eq!(report.number("/messages/verified"), all, "{flags:?}");
        assert_eq!(fates(&report), [0.0; 4], "{flags:?}");
        assert_eq!(report.number("/datagrams/timeout_seconds"), 1.0);
        let bytes = |of: &str| report.number(&format!("/wire/received/{of}"));
        assert_eq!(bytes("frame_bytes"), bytes("message_bytes"), "{flags:?}");
        assert!(report.0["target"].as_str().unwrap().contains("at udp://127.0.0.1:"), "{}", report.0["target"]);
    }
}

#[test]
fn times_end_at_the_stamp_of_each_datagram() {
    for offload in ["on", "off"] {
        let flags = ["--server", LISTEN, "--in-flight", "8", "--timestamps", "on", "--udp-offload", offload];
        let report = report(&flags);
        assert_eq!(report.0["ends_at"], "kernel");
        assert_eq!(report.number("/arrivals/stamped"), 600.0);
        // Those that come merged share the stamp of the last.
        assert!(offload == "on" || report.number("/arrivals/shared") == 0.0);
    }
}

#[test]
fn datagrams_go_together_unless_that_is_switched_off() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    if setsockopt(&socket, sockopt::UdpGroSegment, &true).is_err() {
        return skipped("the kernel has no UDP_GRO");
    }
    drop(socket);
    for (flags, together) in [(&[][..], true), (&["--udp-offload", "on"], true), (&["--udp-offload", "off"], false)] {
        let (url, most) = merging_server();
        let report = report(&[&[&url, "--in-flight", "5"], flags].concat());
        assert_eq!((report.number("/messages/verified"), fates(&report)), (600.0, [0.0; 4]), "{flags:?}");
        assert_eq!(most.load(Ordering::Relaxed), if together { 5 * 64 } else { 64 }, "{flags:?}");
    }
    // In an open loop each goes when it is due.
    let (url, most) = merging_server();
    assert_eq!(report(&[&url, "--rate", "1000"]).number("/messages/verified"), 600.0);
    assert_eq!(most.load(Ordering::Relaxed), 64);
}

/// The URL of a server that receives datagrams merged and sends back each by itself; and the most bytes that it has received
/// at a time.
fn merging_server() -> (String, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    setsockopt(&socket, sockopt::UdpGroSegment, &true).unwrap();
    let url = format!("udp://{}", socket.local_addr().unwrap());
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
            seen.fetch_max(bytes, Ordering::Relaxed);
            for datagram in buffer[..bytes].chunks(64) {
                // Whoever has ended gets nothing.
                let _ = socket.send_to(datagram, from);
            }
        }
    });
    (url, most)
}

#[test]
fn a_server_by_url_over_either_family_and_by_name() {
    let [four, six] = ["127.0.0.1:0", "[::1]:0"].map(|address| UdpSocket::bind(address).unwrap());
    let port = six.local_addr().unwrap().port();
    let urls = [format!("udp://{}", four.local_addr().unwrap()), format!("udp://[::1]:{port}")];
    // A name that stands for both families, of which only one has a server.
    let named = format!("udp://localhost:{port}");
    for socket in [four, six] {
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            loop {
                let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
                socket.send_to(&buffer[..bytes], from).unwrap();
            }
        });
    }
    for url in &urls {
        assert_eq!(report(&[url]).number("/messages/verified"), 600.0, "{url}");
    }
    let knows_six = std::net::ToSocketAddrs::to_socket_addrs(&("localhost", port)).unwrap().any(|at| at.is_ipv6());
    if knows_six {
        assert_eq!(report(&[&named]).number("/messages/verified"), 600.0, "{named}");
    }
}

#[test]
fn what_is_lost_is_given_up_after_the_timeout_and_the_loop_goes_on() {
    for load in [&["--in-flight", "4"][..], &["--rate", "1000"]] {
        let began = Instant::now();
        let report = report(&[&[&losing(100), "--udp-timeout", "2s"], load].concat());
        assert_eq!((fates(&report)[0], report.number("/messages/verified")), (6.0, 594.0), "{load:?}");
        assert_eq!(report.number("/messages/lost"), 6.0);
        assert_eq!(report.number("/datagrams/timeout_seconds"), 2.0);
        // With the default, a second would do.
        assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(report.0["messages"]["reordered"] == 0 && report.0["messages"]["unexpected"] == 0);
    }
}

#[test]
fn losses_are_no_failure_unless_a_threshold_says_so() {
    let lossy = || losing(200);
    let outcome = |threshold: &[&str]| {
        let finished = run(&[&[&lossy(), "--udp-timeout", "2s"], threshold].concat());
        assert!(finished.stdout.contains("3 without a reply within 2.00 s (0.5%)"), "{}", finished.stdout);
        let of_datagrams =
            finished.stdout.lines().filter(|line| line.contains("reply within") || line.contains("reordered"));
        assert!(of_datagrams.clone().all(|line| line.chars().count() <= 80), "{}", finished.stdout);
        assert!(of_datagrams.count() > 1, "it needs more than one line: {}", finished.stdout);
        let crossed = finished.stdout.contains("CROSSED");
        // On a machine that is busy, what was measured may not be valid.
        assert!(matches!(finished.code, Some(98)) || finished.code == Some(if crossed { 99 } else { 0 }));
        crossed
    };
    assert!(!outcome(&[]));
    assert!(!outcome(&["--threshold", "datagrams.lost<0.6%"]));
    assert!(outcome(&["--threshold", "datagrams.lost<0.4%"]));
    assert!(!outcome(&["--threshold", "errors==0"]), "they are no errors");
    let finished = run(&["--server", "", "--threshold", "datagrams.lost<9%"]);
    assert_eq!(finished.code, Some(98), "{}", finished.stderr);
    assert!(finished.stdout.contains("only UDP (udp://) has datagrams"), "{}", finished.stdout);
}

#[test]
fn what_comes_twice_late_or_out_of_turn_is_told_apart() {
    let twice = server(|_, bytes, from| vec![(bytes.to_vec(), from); 2]);
    let told = report(&[&twice]);
    assert_eq!(told.number("/messages/verified"), 600.0);
    let [lost, late, duplicated, reordered] = fates(&told);
    // The second reply to the last message of all may come when the run is over.
    assert!((597.0..=600.0).contains(&duplicated) && (lost, late, reordered) == (0.0, 0.0, 0.0), "{duplicated}");
    // Two of each connection at a time, the second one first.
    let mut held = HashMap::new();
    let backwards = server(move |_, bytes, from| match held.remove(&from) {
        None => {
            held.insert(from, bytes.to_vec());
            vec![]
        }
        Some(first) => vec![(bytes.to_vec(), from), (first, from)],
    });
    let told = report(&[&backwards, "--in-flight", "2"]);
    let ([lost, late, duplicated, reordered], verified) = (fates(&told), told.number("/messages/verified"));
    // The last message of a connection may have none to be swapped with.
    assert!(lost <= 3.0 && verified + lost == 600.0, "{lost} lost, {verified} verified");
    assert_eq!((late, duplicated, reordered), (0.0, 0.0, verified / 2.0));
    // Every hundredth comes 50 messages later, when it is lost already.
    let mut kept = Vec::new();
    let late = server(move |number, bytes, from| {
        let reply = (bytes.to_vec(), from);
        match number % 100 {
            10 => {
                kept.push(reply);
                vec![]
            }
            60 => [kept.pop().into_iter().collect(), vec![reply]].concat(),
            _ => vec![reply],
        }
    });
    // That is 2 s: a machine that is busy for less than one moves no reply to the other side of the limit.
    let told = report(&[&late, "--udp-timeout", "1s", "--rate", "25", "--messages", "100"]);
    assert_eq!((told.number("/messages/verified"), fates(&told)), (99.0, [1.0, 1.0, 0.0, 0.0]));
}

#[test]
fn wrong_bytes_and_strays_are_failures() {
    let wrong = server(|number, bytes, from| {
        let mut reply = bytes.to_vec();
        if number % 100 == 0 {
            reply[20] ^= 0xff;
        }
        vec![(reply, from)]
    });
    let finished = run(&[&wrong]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stdout.contains("corrupted: 6"), "{}", finished.stdout);
    assert!(finished.stdout.contains("594 verified"), "{}", finished.stdout);
    let stray = server(|number, bytes, from| match number % 100 {
        0 => vec![(bytes.to_vec(), from), (vec![], from), (b"no reply".to_vec(), from)],
        _ => vec![(bytes.to_vec(), from)],
    });
    let finished = run(&[&stray]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stdout.contains("unexpected: 1"), "{}", finished.stdout);
    let lengths = server(|_, bytes, from| vec![([&bytes[..8], &vec![0; bytes.len() - 8]].concat(), from)]);
    let report = report(&[&lengths, "--verify", "length"]);
    assert_eq!((report.number("/messages/verified"), report.number("/verification/length")), (600.0, 600.0));
}

#[test]
fn a_server_that_is_not_there_or_dies_is_told_of_in_words() {
    let words = "nothing receives datagrams there (ICMP: port";
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let finished = run(&[&format!("udp://{free}")]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    let all = finished.stdout + &finished.stderr;
    assert!(all.contains(words), "{all}");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}", socket.local_addr().unwrap());
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        for _ in 0..100 {
            let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
            socket.send_to(&buffer[..bytes], from).unwrap();
        }
    });
    let finished = run(&[&url]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    let all = finished.stdout + &finished.stderr;
    assert!(all.contains(words), "{all}");
    // One that takes all and answers nothing.
    let finished = run(&[&server(|_, _, _| vec![]), "--udp-timeout", "5ms"]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stdout.contains("no message was answered"), "{}", finished.stdout);
}

#[test]
fn what_no_datagram_can_be_is_refused_by_its_flag() {
    let command = shell_words::join(["sh", "-c", "echo listening on udp://127.0.0.1:$1; exec sleep 60", "-", "{port}"]);
    for (flags, words) in [
        (&["-H", "a: b"][..], "--header is for WebSocket, and the server is for UDP alone (udp://)"),
        (&["--permessage-deflate"], "--permessage-deflate is for WebSocket"),
        (&["--expect", "order"], "--expect template or order is for WebSocket"),
        (&["--proxy", "http://127.0.0.1:1"], "--proxy is for TCP, and the server is for UDP alone (udp://)"),
        (&["--size", "7"], "--size: 7 B for UDP (udp://), where a message has from 8 bytes, its number, to 65507"),
        (&["--size", "8..65508"], "--size: 8..65,508 B for UDP"),
    ] {
        for (server, code) in
            [(&["udp://127.0.0.1:1"][..], 2), (&["--server", LISTEN], 2), (&["--server", &command], 1)]
        {
            let finished = run(&[server, flags].concat());
            assert_eq!(finished.code, Some(code), "{server:?} {flags:?}: {}", finished.stderr);
            assert!(finished.stderr.contains(words), "{server:?} {flags:?}: {}", finished.stderr);
        }
    }
    let small = std::env::temp_dir().join(format!("loadgen-udp-small-{}", std::process::id()));
    std::fs::write(&small, "seven b").unwrap();
    let finished = run(&["--server", LISTEN, "--payload", small.to_str().unwrap()]);
    std::fs::remove_file(&small).unwrap();
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("--payload: 7 B for UDP"), "{}", finished.stderr);
    for (command, words) in [
        (&["connections", "--server", LISTEN][..], "udp:// has no connections that could be held"),
        (&["fanout", "udp://127.0.0.1:1"], "udp:// has no rooms"),
    ] {
        let finished = loadgen(command).wait();
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
}

#[test]
fn flags_of_udp_are_refused_where_no_server_is_for_it() {
    let [timeout, offload] = [["--udp-timeout", "50ms"], ["--udp-offload", "off"]];
    for flags in [timeout, offload] {
        for command in [
            &["run", "ws://127.0.0.1:1/"][..],
            &["run", "wss://127.0.0.1:1/"],
            &["run", "tcp://127.0.0.1:1"],
            &["run"],
            &["compare", "--a", "", "--b", "tcp://127.0.0.1:1"],
            &["sweep", "--vary", "threads=1,2"],
            &["capacity", "--slo", "latency.p99<5ms"],
        ] {
            let finished = loadgen(&[command, &flags].concat()).wait();
            assert_eq!(finished.code, Some(2), "{command:?}: {}", finished.stderr);
            let said = format!("{} is for UDP, and the server's URL is not udp://", flags[0]);
            assert!(finished.stderr.contains(&said), "{command:?}: {}", finished.stderr);
        }
        // What a command starts is known only later.
        let finished = run(&[&["--server", "exit 3; # {port}"][..], &flags].concat());
        assert!(!finished.stderr.contains("is for UDP"), "{}", finished.stderr);
    }
    let finished = run(&["--server", "", "--udp-timeout", "1s", "--udp-offload", "on", "--messages", "30"]);
    assert!(matches!(finished.code, Some(0 | 98)), "the default asks for nothing: {}", finished.stderr);
}

#[test]
fn comparisons_sweeps_and_capacities_are_of_udp_too() {
    let short = ["--trial", "100ms", "--max-time", "3s", "-c", "4", "--format", "json", "--force", "-q"];
    let finished = loadgen(&[&["compare", "--a", "", "--b", LISTEN][..], &short].concat()).wait();
    let compared = comparison(&finished, 0);
    binary::assert_valid(&serde_json::to_value(&compared).unwrap());
    // Trials that lose datagrams are trials.
    let lossy = losing(50);
    let finished =
        loadgen(&[&["compare", "--a", &lossy, "--b", &lossy, "--udp-timeout", "20ms"][..], &short].concat()).wait();
    assert!(matches!(finished.code, Some(0 | 98)), "{:?}: {}", finished.code, finished.stderr);
    let flags = ["sweep", "--server", LISTEN, "--vary", "threads=1,2", "--format", "json", "-q", "-c", "4"];
    let finished = loadgen(&[&flags[..], &["--trial", "100ms", "--max-time", "4s"]].concat()).wait();
    assert!(matches!(finished.code, Some(0 | 98)), "{:?}: {}", finished.code, finished.stderr);
}

#[test]
fn a_capacity_has_a_limit_on_losses_where_one_is_asked_for() {
    let capacity = |slos: &[&str]| {
        let lossy = losing(5);
        let fixed = ["capacity", &lossy, "--max-rate", "200", "--min-rate", "100", "-c", "4", "--udp-timeout", "20ms"];
        let quick = ["--max-time", "20s", "--warmup", "0s", "--probe", "300ms", "--format", "json", "-q"];
        let slos = slos.iter().flat_map(|slo| ["--slo", slo]);
        loadgen(&fixed.into_iter().chain(quick).chain(slos).collect::<Vec<_>>()).wait()
    };
    // A message in 5 is lost: no rate is held where none may be, and the highest one where half of them may.
    let finished = capacity(&["latency.p90<500ms"]);
    assert_eq!(finished.code, Some(96), "{}", finished.stderr);
    let finished = capacity(&["latency.p90<500ms", "errors.rate<50%"]);
    assert_eq!(finished.code, Some(96), "losses are no errors: {}", finished.stderr);
    let finished = capacity(&["latency.p90<500ms", "datagrams.lost<50%"]);
    assert_eq!(finished.code, Some(97), "{}", finished.stderr);
}
