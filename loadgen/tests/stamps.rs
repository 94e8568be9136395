//! Where latencies end: at the kernel's receive stamps, whatever travels, or where replies are read.

mod binary;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use binary::{EmbeddedServer, loadgen};
use hdrhistogram::Histogram;
use loadgen::host::addresses::Addresses;
use loadgen::host::target::Spec;
use loadgen::load::live::Live;
use loadgen::load::run::{World, measure};
use loadgen::measure::arrivals::EndsAt;
use loadgen::measure::measured::Measured;
use loadgen::plan::messages::Corpus;
use loadgen::program::cli::{Invocation, parse};
use rustix::process::Signal;

/// A short run in this process; all replies must be right.
fn measured(server: &EmbeddedServer, load: &[&str]) -> Measured {
    let arguments = ["loadgen", "run", &server.url, "--warmup", "200ms", "-d", "500ms"];
    let arguments = arguments.iter().chain(load).map(OsString::from);
    let Ok(Invocation::Run { plan, server: Spec::Url(url), .. }) = parse(arguments, NonZeroUsize::MIN) else {
        panic!("{load:?} is no run")
    };
    let world = World {
        url: &url,
        addresses: &Addresses::find(&url, &plan.connect, &AtomicBool::new(false)).unwrap(),
        server_pids: &[],
        corpus: &Corpus::new(&plan, None),
        cores: None,
        interrupted: &AtomicBool::new(false),
        abort: &|_| false,
        live: &Live::default(),
        show: &mut |_| (),
    };
    let measured = measure(&plan, world).unwrap();
    assert!(measured.counts.messages.sent > 0, "{load:?}: nothing was sent");
    assert_eq!(measured.counts.messages.verified, measured.counts.messages.sent, "{load:?}");
    let arrivals = measured.arrivals;
    let counted = arrivals.stamped + arrivals.unstamped + arrivals.dropped;
    assert_eq!(counted, measured.counts.messages.verified, "{load:?}: {arrivals:?}");
    assert!(arrivals.shared <= arrivals.stamped, "{load:?}: {arrivals:?}");
    measured
}

/// Values in `histogram` above `time`.
fn above(histogram: &Histogram<u64>, time: Duration) -> u64 {
    histogram.len() - histogram.count_between(0, time.as_nanos() as u64)
}

#[test]
fn every_reply_is_stamped_whatever_travels() {
    let deflate = ["--permessage-deflate", "--payload", "json", "--size", "200", "--in-flight", "4"];
    for (server, load) in [
        (&["--listen", "[::1]:0"][..], &["-c", "4"][..]),
        (&[], &["-c", "4", "--rate", "2000"]),
        (&["--lane", "off"], &["-c", "4"]),
        (&["--permessage-deflate", "on"], &deflate),
        // More than one read of the receive buffer takes.
        (&[], &["-c", "2", "--size", "2MiB"]),
        (&[], &["-c", "4", "--verify", "length"]),
    ] {
        let server = if server.first() == Some(&"--listen") {
            EmbeddedServer::start_at(server[1], &[])
        } else {
            EmbeddedServer::start(server)
        };
        let measured = measured(&server, &[load, &["--timestamps", "on"]].concat());
        let (arrivals, times) = (measured.arrivals, &measured.times);
        assert_eq!((arrivals.unstamped, measured.ends_at()), (0, EndsAt::Kernel), "{load:?}: {arrivals:?}");
        assert!(arrivals.stamped > 0, "{load:?}");
        assert!(times.latency.max() <= times.seen.max(), "{load:?}");
        // That it takes time shows in what it takes alone: beside a latency of a second it is less than a histogram tells apart.
        assert!(
            times.latency.mean() <= times.seen.mean() && times.read_lag.mean() > 0.0,
            "{load:?}: reading takes time"
        );
    }
}

#[test]
fn replies_that_share_a_stamp_are_counted() {
    let server = EmbeddedServer::start(&[]);
    let one = measured(&server, &["-c", "4"]);
    assert_eq!(one.arrivals.shared, 0, "there is nothing else in a read");
    let many = measured(&server, &["-c", "4", "--in-flight", "16"]);
    assert!(many.arrivals.shared > 0, "{:?}", many.arrivals);
    assert!(many.arrivals.shared < many.arrivals.stamped, "the last of each read has its own: {:?}", many.arrivals);
}

#[test]
fn without_stamps_latency_ends_with_the_reading() {
    let server = EmbeddedServer::start(&[]);
    let measured = measured(&server, &["-c", "4", "--timestamps", "off"]);
    assert_eq!(measured.ends_at(), EndsAt::Read);
    assert_eq!(measured.arrivals.unstamped, measured.counts.messages.verified);
    assert_eq!(measured.times.latency, measured.times.seen);
    assert_eq!(measured.times.read_lag.max(), 0);
}

#[test]
fn a_generator_that_stands_still_adds_nothing_to_latency() {
    const CONNECTIONS: u64 = 100;
    // Much longer than a busy machine keeps the server from its core, which is latency indeed.
    const STOP: Duration = Duration::from_secs(2);
    let server = EmbeddedServer::start(&[]);
    let latencies = |timestamps: &str| {
        let arguments = ["run", &server.url, "-c", "100", "--threads", "1", "--warmup", "500ms", "-d", "6s"];
        let before = server.sockets();
        let run = loadgen(&[&arguments[..], &["--timestamps", timestamps, "--format", "json"]].concat());
        server.wait_for_sockets(before, CONNECTIONS as usize);
        std::thread::sleep(Duration::from_millis(1500));
        run.signal(Signal::STOP);
        let stopped = Instant::now();
        std::thread::sleep(STOP);
        run.signal(Signal::CONT);
        let stop = stopped.elapsed();
        (run.json(&[0, 98]).histogram("/latency"), stop)
    };
    let (read, stop) = latencies("off");
    let late = above(&read, stop / 2);
    assert!(late >= CONNECTIONS / 2, "{late} replies waited in their sockets meanwhile");
    let (arrived, stop) = latencies("on");
    // One message may have been due and not yet sent.
    let late = above(&arrived, stop / 2);
    assert!(late <= 1, "{late} latencies of {} have the stop in them", arrived.len());
}
