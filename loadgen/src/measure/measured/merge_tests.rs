//! Made-up runs, recorded whole and in parts.

use std::time::SystemTime;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use wire::deflate::{Agreed, Direction, WindowBits};

use super::*;
use crate::host::resources::PeakOf;
use crate::host::withheld::{Throttled, Withheld};
use crate::measure::arrivals::Arrivals;
use crate::measure::collector::Collector;
use crate::measure::counts::{Checks, Connections, Counts, Messages, Traffic};
use crate::measure::datagrams::Datagrams;
use crate::measure::failures::Failures;
use crate::measure::glimpse::Glimpse;
use crate::measure::mismatch::{Mismatch, MismatchKind};
use crate::measure::paced::Paced;
use crate::measure::recorder::{Interval, SLICES};
use crate::measure::times::Moments;
use crate::plan::Kind;
use crate::plan::messages::Volume;

/// What one worker would hand over and report.
struct Worker {
    intervals: Vec<Interval>,
    counts: Counts,
    connect: Vec<u64>,
    agreed: Option<Agreed>,
    address: &'static str,
    why: Vec<String>,
    lost_all_at: Option<Duration>,
    busy: f64,
    paced: Paced,
    window: Duration,
    last_reply_after: Duration,
    began_at: SystemTime,
    interrupted: bool,
    aborted: bool,
    is_fathom: bool,
    loadgen: Usage,
    server: Option<Usage>,
    withheld: Withheld,
}

impl Worker {
    fn made_up(rng: &mut SmallRng, loses_all: bool) -> Self {
        let ns = |rng: &mut SmallRng| Duration::from_nanos(rng.random_range(0..10_000_000_000));
        let usage = |rng: &mut SmallRng| {
            let [max_rss_bytes, rss_bytes] = [0, 0].map(|_| rng.random_range(0..1 << 40));
            Usage { cpu: ns(rng), max_rss_bytes, max_rss_of: PeakOf::Life, rss_bytes: Some(rss_bytes) }
        };
        let side = |rng: &mut SmallRng| Direction {
            context_takeover: rng.random(),
            window: WindowBits::new(rng.random_range(14..=15)).unwrap(),
        };
        let window = ns(rng);
        let intervals = 1 + window.as_secs();
        let agreed = rng.random::<bool>().then(|| Agreed { server: side(rng), client: side(rng) });
        let why = ["reset", "closed by the server with code 1001", "closed by the server with code 1011"];
        Self {
            intervals: (0..intervals).map(|index| interval(rng, index)).collect(),
            counts: counts(rng),
            connect: (0..rng.random_range(0..20)).map(|_| rng.random_range(0..2_000_000_000)).collect(),
            agreed,
            address: ["127.0.0.1:8181", "127.0.0.2:8181", "[::1]:8181"][rng.random_range(0..3)],
            why: (0..rng.random_range(0..5)).map(|_| why[rng.random_range(0..3)].to_owned()).collect(),
            lost_all_at: (loses_all || rng.random_ratio(1, 4)).then(|| ns(rng)),
            busy: rng.random(),
            paced: Paced {
                spun: rng.random(),
                margin_ns: Some(rng.random_range(50_000..1_000_000)),
                ..Paced::default()
            },
            window,
            last_reply_after: ns(rng),
            began_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + ns(rng),
            interrupted: rng.random_ratio(1, 8),
            aborted: rng.random_ratio(1, 8),
            is_fathom: rng.random_ratio(1, 8),
            loadgen: usage(rng),
            server: rng.random::<bool>().then(|| usage(rng)),
            withheld: Withheld {
                elapsed: ns(rng),
                stolen: ns(rng),
                wanted: ns(rng),
                quotas: vec![Throttled {
                    group: "/limited".to_owned(),
                    cpus: Some(0.1),
                    periods: rng.random_range(0..1_000),
                    throttled: rng.random_range(0..1_000),
                    stalled: ns(rng),
                }],
            },
        }
    }
}

fn interval(rng: &mut SmallRng, index: u64) -> Interval {
    let mut interval = Interval::new(index);
    let mut some = || rng.random_range(0..1 << 40);
    interval.arrivals = Arrivals { stamped: some(), shared: some(), unstamped: some(), dropped: some() };
    interval.times.longest_turn = some();
    interval.times.longest_lag = some();
    for _ in 0..rng.random_range(0..30) {
        let due = rng.random_range(0..1_000_000);
        let sent = due + rng.random_range(0..100_000);
        let arrived = sent + (1 << rng.random_range(0..43));
        let read = arrived + rng.random_range(0..100_000);
        let moments = Moments { due, sent, arrived, read };
        let count = rng.random_range(1..5);
        interval.record(rng.random_range(0..SLICES), moments, count);
        interval.times.record_least(moments, rng.random_range(0..200_000), count);
    }
    interval
}

fn counts(rng: &mut SmallRng) -> Counts {
    let mut some = || rng.random_range(0..1 << 40);
    let mut volume = || Volume { messages: some(), message_bytes: some(), payload_bytes: some(), frame_bytes: some() };
    let traffic = Traffic { sent: volume(), received: volume() };
    let messages = Messages {
        sent: some(),
        received: some(),
        verified: some(),
        corrupted: some(),
        reordered: some(),
        lost: some(),
        unexpected: some(),
    };
    let mut counts = Counts {
        connections: Connections { requested: some(), established: some(), failed: some(), dropped: some() },
        messages,
        datagrams: Some(Datagrams { lost: some(), late: some(), duplicated: some(), reordered: some() }),
        over_backlog: some(),
        full_sockets: some(),
        replies_in_window: some(),
        reply_bytes_in_window: some(),
        traffic,
        checks: Checks { inflated: some(), identical: some(), length: some(), frame: some(), order: some() },
        ..Counts::default()
    };
    for _ in 0..rng.random_range(0..5) {
        let kind = [MismatchKind::Type, MismatchKind::Length, MismatchKind::Unasked][rng.random_range(0..3)];
        let got = Glimpse::new(Kind::Binary, Some(2), &rng.random::<[u8; 2]>());
        counts.mismatches.count(kind, || Mismatch { kind, times: 1, got, expected: None, offset: 0 });
    }
    counts
}

/// What a process with these workers would have measured, put together as a session and its run do, without `merge`.
fn recorded(workers: &[Worker]) -> Measured {
    let greatest = |of: fn(&Worker) -> Duration| workers.iter().map(of).max().unwrap();
    let server = || workers.iter().filter_map(|worker| worker.server);
    let began_at = workers.iter().map(|worker| worker.began_at).min().unwrap();
    let loadgen = Usage {
        cpu: workers.iter().map(|worker| worker.loadgen.cpu).sum(),
        max_rss_bytes: workers.iter().map(|worker| worker.loadgen.max_rss_bytes).sum(),
        max_rss_of: PeakOf::Life,
        rss_bytes: workers.iter().map(|worker| worker.loadgen.rss_bytes).sum(),
    };
    let mut whole = Measured::new(began_at, greatest(|worker| worker.window), Connections::default(), loadgen);
    whole.last_reply_after = greatest(|worker| worker.last_reply_after);
    whole.interrupted = workers.iter().any(|worker| worker.interrupted);
    whole.aborted = workers.iter().any(|worker| worker.aborted);
    whole.is_fathom = workers.iter().any(|worker| worker.is_fathom);
    whole.server = server().next().is_some().then(|| Usage {
        cpu: server().map(|usage| usage.cpu).max().unwrap(),
        max_rss_bytes: server().map(|usage| usage.max_rss_bytes).max().unwrap(),
        max_rss_of: PeakOf::Life,
        rss_bytes: server().map(|usage| usage.rss_bytes).max().unwrap(),
    });
    let quota = |worker: &Worker| worker.withheld.quotas[0].clone();
    whole.withheld = Withheld {
        elapsed: greatest(|worker| worker.withheld.elapsed),
        stolen: greatest(|worker| worker.withheld.stolen),
        wanted: greatest(|worker| worker.withheld.wanted),
        quotas: vec![Throttled {
            periods: workers.iter().map(|worker| quota(worker).periods).max().unwrap(),
            throttled: workers.iter().map(|worker| quota(worker).throttled).max().unwrap(),
            stalled: greatest(|worker| worker.withheld.quotas[0].stalled),
            ..quota(&workers[0])
        }],
    };
    let mut collector = Collector::new();
    let mut why = Failures::new();
    for worker in workers {
        worker.intervals.iter().for_each(|interval| collector.take(interval));
        for &ns in &worker.connect {
            whole.connect.saturating_record(ns);
            whole.tcp.saturating_record(ns / 3);
            whole.upgrade.saturating_record(ns - ns / 3);
        }
        worker.why.iter().for_each(|cause| failures::add(&mut why, cause, 1));
        whole.counts += worker.counts.clone();
        whole.agreements.add(worker.agreed, 3);
        *whole.addresses.entry(worker.address.parse().unwrap()).or_default() += 3;
        whole.worker_busy.push(worker.busy);
        whole.paced.push(worker.paced);
    }
    whole.failures.clone_from(&why);
    let all_lost_at: Option<Vec<Duration>> = workers.iter().map(|worker| worker.lost_all_at).collect();
    whole.all_lost = all_lost_at.map(|times| AllLost { after: times.into_iter().max().unwrap(), why });
    whole.server_ended = whole.all_lost.as_ref().map(|_| "exit status: 1".to_owned());
    collector.finish(&mut whole);
    whole
}

/// What another process gets to read.
fn sent(measured: &Measured) -> Measured {
    serde_json::from_str(&serde_json::to_string(measured).unwrap()).unwrap()
}

#[test]
fn a_run_recorded_in_three_processes_is_the_run_recorded_in_one() {
    let mut rng = SmallRng::seed_from_u64(11);
    for round in 0..24 {
        let loses_all = round % 3 == 0;
        let workers: Vec<Worker> = (0..6).map(|_| Worker::made_up(&mut rng, loses_all)).collect();
        let mut whole = recorded(&workers);
        // Of three parts, one may have lost all its connections while the others have not.
        let (first, rest) = workers.split_at(rng.random_range(1..4));
        let (second, third) = rest.split_at(rng.random_range(1..3));
        let parts = [first, second, third].map(|workers| sent(&recorded(workers)));
        let ended = parts.iter().any(|part| part.server_ended.is_some());
        whole.server_ended = ended.then(|| "exit status: 1".to_owned());
        let [first, second, third] = parts;
        let left = first.clone().merge(second.clone()).merge(third.clone());
        assert_eq!(left, whole, "round {round}");
        assert_eq!(first.merge(second.merge(third)), whole, "round {round}, the last two first");
        assert_eq!(whole.all_lost.is_some(), loses_all || workers.iter().all(|worker| worker.lost_all_at.is_some()));
    }
}

#[test]
fn what_is_measured_survives_its_way_through_json() {
    let mut rng = SmallRng::seed_from_u64(12);
    let worker = Worker::made_up(&mut rng, true);
    let measured = recorded(&[worker]);
    assert!(!measured.times.latency.is_empty() && !measured.intervals.is_empty());
    assert_eq!(sent(&measured), measured);
}

#[test]
fn an_interval_that_holds_no_histogram_of_ours_is_refused_when_it_is_read() {
    let mut rng = SmallRng::seed_from_u64(13);
    let mut json = serde_json::to_value(recorded(&[Worker::made_up(&mut rng, false)])).unwrap();
    json["intervals"][0]["latency"] = "AAAA".into();
    let error = serde_json::from_value::<Measured>(json).unwrap_err().to_string();
    assert!(error.contains("not in HdrHistogram's V2 encoding"), "{error}");
}
