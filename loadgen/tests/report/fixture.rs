//! A run that never was, with figures that are the same everywhere.

use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use loadgen::host::environment::{CpuCount, Environment};
use loadgen::host::resources::{PeakOf, Usage};
use loadgen::measure::arrivals::Arrivals;
use loadgen::measure::counts::{Connections, Counts, Messages};
use loadgen::measure::encoded::Encoded;
use loadgen::measure::glimpse::Glimpse;
use loadgen::measure::growth::Growth;
use loadgen::measure::histogram::histogram;
use loadgen::measure::measured::{IntervalLatency, Measured};
use loadgen::measure::mismatch::{Mismatch, MismatchKind};
use loadgen::measure::paced::Paced;
use loadgen::measure::recorder::Slice;
use loadgen::measure::times::{Moments, Times};
use loadgen::plan::{Arrival, Kind, Load, Plan, Rate};
use loadgen::program::cli;
use loadgen::report::Report;
use loadgen::report::baseline::Request;
use loadgen::report::formats::Format;
use loadgen::report::saved::Document;

/// A closed loop that went well, 10 s of it.
pub fn how_fast() -> Report {
    Report::new("how fast", "ws://127.0.0.1:8181/", &measured(0), environment(plan()))
}

/// An open loop whose generator was late.
pub fn how_late() -> Report {
    let rate = Rate::try_from(20_200.0).unwrap();
    let plan = Plan { load: Load::Open { rate, arrival: Arrival::Poisson }, ..plan() };
    let mut measured = measured(700_000);
    measured.counts.messages.lost = 3;
    measured.counts.messages.verified -= 5;
    measured.counts.messages.corrupted = 5;
    measured.counts.mismatches.count(MismatchKind::Type, || Mismatch {
        kind: MismatchKind::Type,
        times: 5,
        got: Glimpse::new(Kind::Text, Some(12), b"{\"ok\": true}"),
        expected: Some(Glimpse::new(Kind::Binary, Some(64), &[0xe1; 64])),
        offset: 0,
    });
    measured.counts.connections.dropped = 1;
    measured.addresses.insert("[::1]:8181".parse().unwrap(), 100);
    measured.failures.insert("connection reset by the server".to_owned(), 1);
    Report::new("how late", "echo-server --tcp-nodelay off", &measured, environment(plan))
}

/// An open loop whose generator was late, with nothing else that was wrong.
pub fn bounded(thresholds: &[&str]) -> Report {
    let rate = Rate::try_from(20_000.0).unwrap();
    let plan = Plan { load: Load::Open { rate, arrival: Arrival::Uniform }, ..plan() };
    let thresholds: Vec<_> = thresholds.iter().map(|text| text.parse().unwrap()).collect();
    let mut measured = measured(700_000);
    // The kernel stamped the replies.
    measured.times.read_lag.saturating_record(20_000);
    Report::new("bounded", "ws://127.0.0.1:8181/", &measured, environment(plan)).judged_by(&thresholds).unwrap()
}

/// A closed loop with limits, one of which it crosses, compared with an earlier run on a slower machine.
pub fn gated() -> Report {
    let thresholds =
        ["latency.p99<5ms", "p(99.9) < 1", "throughput>=20k", "server.cpu<40us"].map(|t| t.parse().unwrap());
    let mut gated = how_fast().judged_by(&thresholds).unwrap();
    gated.name = "gated".to_owned();
    gated.resources.server = None;
    gated = gated.judged_by(&thresholds).unwrap();
    let mut before = how_fast();
    before.throughput.messages_per_second = 16_000.0;
    before.environment.kernel = "6.1.0".to_owned();
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/gated-baseline.json");
    std::fs::write(file, serde_json::to_string(&before).unwrap()).unwrap();
    let request = Request { file: file.into(), environment_may_change: true };
    let accepted = request.accept(request.read().unwrap(), &gated.environment).unwrap();
    let mut baseline = accepted.compare(&gated).unwrap();
    baseline.file = "before.json".into();
    gated.baseline = Some(baseline);
    gated
}

/// An open loop with two replies, 80 us and 120 us, in the first of its two seconds, held against these limits.
pub fn few(thresholds: &[&str]) -> Report {
    let rate = Rate::try_from(1.0).unwrap();
    let plan = Plan { load: Load::Open { rate, arrival: Arrival::Uniform }, ..plan() };
    let mut measured = measured(0);
    measured.times.reset();
    [&mut measured.connect, &mut measured.tcp, &mut measured.upgrade].into_iter().for_each(Histogram::reset);
    for ns in [80_000, 120_000] {
        let moments = Moments { due: 0, sent: ns / 1_000, arrived: ns, read: ns };
        measured.times.record(moments, 1);
        measured.times.record_least(moments, ns / 1_000, 1);
    }
    measured.connect.saturating_record(1_000_000);
    measured.intervals.truncate(2);
    let empty = histogram();
    for (interval, latency) in measured.intervals.iter_mut().zip([&measured.times.latency, &empty]) {
        interval.latency = Encoded::from(latency);
    }
    measured.slices.clear();
    measured.window = Duration::from_secs(2);
    measured.counts.replies_in_window = 2;
    measured.counts.messages = Messages { sent: 2, received: 2, verified: 2, ..Messages::default() };
    let thresholds: Vec<_> = thresholds.iter().map(|text| text.parse().unwrap()).collect();
    Report::new("few", "ws://127.0.0.1:8181/", &measured, environment(plan)).judged_by(&thresholds).unwrap()
}

pub fn plan() -> Plan {
    let mut plan = cli::default_plan(NonZeroUsize::MIN);
    plan.connect.headers.push(("Authorization".to_owned(), "Bearer of a secret".to_owned()));
    plan
}

/// 200,000 replies in 10 s with a tail, each 80 us and more, and `lag` ns at most between due and sent.
pub fn measured(lag: u64) -> Measured {
    let mut times = Times::new();
    let mut intervals: Vec<Histogram<u64>> = vec![histogram(); 10];
    for i in 0..REPLIES {
        // Two uniform fractions from the golden ratio and the plastic number, which fill the unit square evenly.
        let (u, v) = ((i as f64 * 0.618_033_988_749_894_9).fract(), (i as f64 * 0.754_877_666_246_692_8).fract());
        let service = (80_000.0 + 40_000.0 * u + 9_000.0 / (1.001 - v)) as u64;
        let late = (lag as f64 * u * v) as u64;
        let moments = Moments { due: 0, sent: late, arrived: late + service, read: late + service };
        times.record(moments, 1);
        times.record_least(moments, late, 1);
        intervals[(i * 10 / REPLIES) as usize].saturating_record(service + late);
    }
    let [connect, tcp, upgrade] = [20_000, 4_000, 16_000].map(hundred);
    let interval = |(i, latency): (usize, Histogram<u64>)| IntervalLatency {
        start: Duration::from_secs(i as u64),
        length: Duration::from_secs(1),
        latency: Encoded::from(&latency),
    };
    Measured {
        growth: Growth::Seen(
            (1..=8)
                .map(|step| (step * 125, 4_194_304 + u64::from(step) * 700_000 / (8 + u64::from(step) % 2)))
                .collect(),
        ),
        began_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        window: Duration::from_secs(10),
        last_reply_after: Duration::from_secs(10),
        answered_after: Duration::from_secs(10),
        interrupted: false,
        aborted: false,
        times,
        arrivals: Arrivals { stamped: REPLIES, ..Arrivals::default() },
        connect,
        tcp,
        upgrade,
        intervals: intervals.into_iter().enumerate().map(interval).collect(),
        slices: vec![Slice { messages: REPLIES / 100, latency_ns: 200_000_000 }; 100],
        counts: Counts {
            connections: Connections { requested: 100, established: 100, failed: 0, dropped: 0 },
            messages: Messages { sent: REPLIES, received: REPLIES, verified: REPLIES, ..Messages::default() },
            replies_in_window: REPLIES,
            reply_bytes_in_window: REPLIES * 64,
            ..Counts::default()
        },
        all_lost: None,
        server_ended: None,
        agreements: Default::default(),
        tls: Default::default(),
        addresses: Default::default(),
        failures: Default::default(),
        worker_busy: vec![0.413],
        paced: vec![Paced::default()],
        loadgen: Usage {
            cpu: Duration::from_millis(4_130),
            max_rss_bytes: 22_439_526,
            max_rss_of: PeakOf::MeasuredPhase,
            rss_bytes: Some(20_971_520),
        },
        server: Some(Usage {
            cpu: Duration::from_millis(5_020),
            max_rss_bytes: 6_291_456,
            max_rss_of: PeakOf::MeasuredPhase,
            rss_bytes: Some(5_242_880),
        }),
        is_fathom: true,
        withheld: Default::default(),
    }
}

/// A hundred times, so far apart (ns).
fn hundred(step: u64) -> Histogram<u64> {
    let mut times = histogram();
    (1..=100).for_each(|i| times.saturating_record(i * step));
    times
}

pub const REPLIES: u64 = 200_000;

fn environment(plan: Plan) -> Environment {
    Environment {
        kernel: "6.18.44".to_owned(),
        architecture: "x86_64".to_owned(),
        cpu: Some("Intel(R) Xeon(R) Processor @ 2.80GHz".to_owned()),
        cores: CpuCount { online: Some(2), allowed: 2 },
        governor: None,
        memory_bytes: Some(8 << 30),
        fathom: "0.1.0".to_owned(),
        git_revision: "0123456789ab".to_owned(),
        rustc: "rustc 1.95.0".to_owned(),
        ..Environment::collect(&plan, Some("ab".repeat(32)), Some(serde_json::json!({ "threads": 1 })))
    }
}

/// A run in a format of one file.
pub fn rendered(report: &Report, format: &str) -> String {
    let document = Document::Runs(vec![report.clone()]);
    let parts = Format::named(format).expect("a format").render(&document).expect("a report that can be read");
    String::from_utf8(parts.into_iter().next().expect("one part").content).expect("text")
}
