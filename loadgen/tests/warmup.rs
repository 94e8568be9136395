//! Servers that are warmed up, trials of slow ones, starts that cost more than there is time for, and servers that are never
//! started anew.

mod binary;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{fs, io, process, thread};

use binary::{EmbeddedServer, assert_valid, comparison, loadgen};
use loadgen::judge::statistics::Change;
use loadgen::measure::metric::Metric;
use loadgen::report::comparison::{Comparison, Ended};
use loadgen::report::formats::Format;
use loadgen::report::repetition::RestartKind;
use loadgen::report::saved::Document;
use serde_json::json;

#[test]
fn a_time_that_holds_no_verdict_is_told_at_once_unless_it_is_forced() {
    // Nine starts at the least, none of which takes less than 300 ms.
    let flags = ["compare", "--a", "", "--b", "", "-c", "4", "--trial", "100ms", "--max-time", "2s"];
    let finished = loadgen(&flags).wait();
    assert_eq!(finished.code, Some(98), "{}", finished.stderr);
    let said = finished.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "inconclusive: 2.00 s are too short for any verdict",
        "9 starts at least would end after",
        "expected --max-time",
        "--force",
    ] {
        assert!(said.contains(words), "{words} is missing in\n{}", finished.stdout);
    }
    assert!(finished.stderr.contains("a verdict takes 9 starts at least"), "{}", finished.stderr);
    assert!(!finished.stdout.contains("95%"), "so few starts have no intervals\n{}", finished.stdout);
    let report = comparison(&loadgen(&[&flags[..], &["-q", "--format", "json"]].concat()).wait(), 98);
    assert_eq!((report.ended, report.change), (Ended::TooShort, Change::Inconclusive));
    assert!(report.starts.len() <= 3, "{} starts", report.starts.len());
    assert_valid(&json!(report));
    // What the exit code says JUnit says too.
    let junit = |report: &Comparison| {
        let parts = Format::named("junit").unwrap().render(&Document::Comparison(Box::new(report.clone()))).unwrap();
        String::from_utf8(parts.into_iter().next().unwrap().content).unwrap()
    };
    assert_eq!(junit(&report).matches("type=\"inconclusive\"").count(), 2, "{}", junit(&report));
    let allowed = ["--fail-on-regression", "--allow-inconclusive", "-q", "--format", "json"];
    let report = comparison(&loadgen(&[&flags[..], &allowed].concat()).wait(), 0);
    assert_eq!((report.ended, report.change), (Ended::TooShort, Change::Inconclusive));
    let text = junit(&report);
    assert!(text.contains("<skipped") && !text.contains("<failure"), "{text}");
    let report = comparison(&loadgen(&[&flags[..], &["--force", "-q", "--format", "json"]].concat()).wait(), 0);
    assert_eq!(report.ended, Ended::MaxTime);
}

#[test]
fn the_pairs_that_were_asked_for_are_counted_as_soon_as_it_is_known_what_they_take() {
    let flags = ["compare", "--a", "", "--b", "", "-c", "4", "--restart-every", "1000", "--max-time", "3s"];
    let report = comparison(&loadgen(&[&flags[..], &["-q", "--format", "json"]].concat()).wait(), 98);
    assert_eq!((report.ended, report.starts.len()), (Ended::TooShort, 1));
    // Ten pairs tell what a thousand take; a machine that stands still may leave no time for as many.
    assert!((1..=10).contains(&report.starts[0].pairs.len()), "{} pairs", report.starts[0].pairs.len());
    // Nine starts of a thousand pairs, none of which takes less than 24 ms.
    let repetition = report.repetition.unwrap();
    assert!(repetition.enough_seconds.unwrap() >= 216.0, "{repetition:?}");
}

/// Comparisons of servers that a command starts, which are none that loadgen knows, and of which each leaves a line.
struct Commands {
    started: PathBuf,
    command: String,
}

impl Commands {
    fn new(name: &str) -> Self {
        let started = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", process::id()));
        let binary = env!("CARGO_BIN_EXE_loadgen");
        let script =
            format!("echo started >> {}; exec {binary} embedded-server --listen 127.0.0.1:$1", started.display());
        Self { started, command: format!("sh -c '{script}' - {{port}}") }
    }

    fn compare(&self, flags: &[&str]) -> Comparison {
        let servers = ["compare", "--aa", "--a", &self.command, "-c", "4", "-q", "--format", "json"];
        let report = comparison(&loadgen(&[&servers[..], flags].concat()).wait(), 0);
        assert_valid(&json!(report));
        report
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.started);
    }
}

#[test]
fn servers_are_studied_until_they_have_settled_and_longer_where_they_have_not() {
    let report = Commands::new("studied").compare(&["--max-warmup", "1s", "--max-time", "15s"]);
    let warmup = report.warmup.unwrap();
    assert_eq!(warmup.max_seconds, Some(1.0));
    // Three times each, unless there was no time for as many starts.
    let of = |server: usize| warmup.studies.iter().filter(move |study| study.server == server).count();
    assert!(of(0) == of(1) && (1..=3).contains(&of(0)), "{:?}", warmup.studies);
    for study in &warmup.studies {
        let slices = study.cost.len();
        // Ten of 100 ms, and none more after a second; fewer where the machine stood still.
        assert!((1..=10).contains(&slices) && study.rate.len() == slices, "{study:?}");
        assert!(study.settled_after_seconds.is_some() != study.unsteady.is_some(), "{study:?}");
        assert!(study.cost.iter().any(|cost| *cost > 0.0) && study.rate.iter().any(|rate| *rate > 0.0), "{study:?}");
    }
    assert!(warmup.seconds <= 1.0);
}

#[test]
fn a_warm_up_of_a_given_time_takes_that_long_for_each_server() {
    let commands = Commands::new("given");
    let before_a_pair = |report: &Comparison| report.starts[0].pairs[0].at_seconds - report.starts[0].at_seconds;
    let report = commands.compare(&["--warmup", "700ms", "--max-time", "3s"]);
    assert!(before_a_pair(&report) >= 1.4, "{} s", before_a_pair(&report));
    let warmup = report.warmup.unwrap();
    assert_eq!((warmup.seconds, warmup.max_seconds, warmup.studies), (0.7, None, Vec::new()));
}

#[test]
fn servers_that_are_never_restarted_are_started_once() {
    let commands = Commands::new("never");
    let report = commands.compare(&["--warmup", "200ms", "--restart-every", "never", "--max-time", "4s"]);
    assert_eq!(fs::read_to_string(&commands.started).unwrap().lines().count(), 2, "A and B");
    // On a busy machine the first stretch may take all the time.
    assert!(!report.starts.is_empty());
    assert_eq!(report.repetition.unwrap().restarts, RestartKind::Never);
    let notes = &report.trust.notes;
    assert!(notes.iter().any(|note| note.contains("two starts of one server")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("ran under the load for 200 ms, once, before")), "{notes:?}");
    // A life has one figure of its memory, which has no interval.
    for metric in report.metrics.iter().filter(|metric| metric.metric.is_of_starts()) {
        assert_eq!((metric.a.count, metric.b.count, metric.log_ratios.len()), (1, 1, 1), "{metric:?}");
        assert_eq!(metric.shown.and_then(|shown| shown.low), None, "{metric:?}");
    }
    let shown = String::from_utf8(
        Format::named("markdown")
            .unwrap()
            .render(&Document::Comparison(Box::new(report.clone())))
            .unwrap()
            .remove(0)
            .content,
    );
    assert!(shown.unwrap().contains(" block"), "stretches of one start are no starts");
    let sum: u64 = report.a.messages.sent;
    assert!(sum > 0 && report.a.messages.verified <= sum, "{:?}", report.a.messages);
}

#[test]
fn a_slow_server_has_longer_trials_with_replies_enough() {
    // 1,000 messages/s: in 10 ms there would be ten.
    let slow = "--inject-cost 1000000";
    let flags = ["compare", "-c", "4", "--a", "", "--b", slow, "--max-time", "20s", "-q", "--format", "json"];
    let report = comparison(&loadgen(&flags).wait(), 0);
    let notes = &report.trust.notes;
    let milliseconds = |server: &str| -> Option<f64> {
        let took = notes.iter().find_map(|note| note.strip_prefix(&format!("trials of {server} took ")))?;
        took.split_once(" ms,").map(|(milliseconds, _)| milliseconds.parse().unwrap())
    };
    let slow = milliseconds("B").unwrap_or_else(|| panic!("nothing of B in {notes:?}"));
    // A server that a busy machine has made slow has longer trials too.
    assert!(milliseconds("A").is_none_or(|fast| fast < slow), "{notes:?}");
    // 50 replies take as long, and longer on a machine that is slower still.
    assert!(slow >= 45.0, "{notes:?}");
    let pair = &report.starts[0].pairs[0];
    assert!(pair.b[&Metric::Throughput] < 1_100.0 && pair.b.contains_key(&Metric::ServerCpu), "{pair:?}");
}

/// Starts a server that sends back the bytes of TCP connections, after what it is told to do for each read so many seconds from its
/// first bytes on; its URL. It ends with the test.
fn tcp_server(before_a_reply: fn(f64)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let began = Arc::new(OnceLock::new());
    let serve = move |mut stream: TcpStream, began: &OnceLock<Instant>| -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut bytes = [0; 4096];
        loop {
            let read = stream.read(&mut bytes)?;
            if read == 0 {
                return Ok(());
            }
            before_a_reply(began.get_or_init(Instant::now).elapsed().as_secs_f64());
            stream.write_all(&bytes[..read])?;
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming() {
            let began = began.clone();
            // A connection ends with an error here whenever loadgen closes it first.
            thread::spawn(move || serve(stream?, &began));
        }
        io::Result::Ok(())
    });
    url
}

/// One that burns CPU time for each read which falls from 2 ms to nothing within seconds.
fn warming_server() -> String {
    tcp_server(|since| {
        let until = Instant::now() + Duration::from_secs_f64(0.002 * (-since / 0.5).exp());
        while Instant::now() < until {}
    })
}

#[test]
fn a_server_whose_replies_take_longer_than_the_time_for_a_look_does_not_run_on_while_the_other_is_looked_at() {
    let (quick, slow) = (tcp_server(|_| ()), tcp_server(|_| thread::sleep(Duration::from_secs(1))));
    let flags = ["compare", "--a", &quick, "--b", &slow, "-c", "1", "--max-time", "3s", "--force"];
    let report = comparison(&loadgen(&[&flags[..], &["-q", "--format", "json"]].concat()).wait(), 0);
    let studies = report.warmup.unwrap().studies;
    let slices = |server: usize| {
        let own = studies.iter().filter(|study| study.server == server);
        own.map(|study| study.cost.len()).collect::<Vec<_>>()
    };
    // There are 200 ms to look at each; the slow one is waited for after its first slice.
    assert_eq!(slices(1), [1], "{studies:?}");
    assert!(slices(0)[0] > 1, "{studies:?}");
}

#[test]
fn trials_of_a_server_that_warms_up_come_when_it_has() {
    let servers = ["--a", "--listen tcp://127.0.0.1:0", "--b", &warming_server()];
    let flags = [&servers[..], &["-c", "2", "--trial", "10ms", "--max-time", "25s"]].concat();
    let brief = [
        "compare",
        "--alpha",
        "20%",
        "--tolerance",
        "95%",
        "--restart-every",
        "5",
        "--force",
        "-q",
        "--format",
        "json",
    ];
    let report = comparison(&loadgen(&[&brief[..], &flags].concat()).wait(), 0);
    let studies = report.warmup.unwrap().studies;
    let [study] = &studies[..] else {
        panic!("a URL is looked at once, and flags of echo-server are not: {studies:?}")
    };
    assert_eq!(study.server, 1);
    // After a second it still costs several times what it will: the first look, after ten slices, cannot have been enough.
    assert!(study.cost.len() > 10, "{study:?}");
    let first = study.rate[0];
    assert!(study.rate.last().is_some_and(|last| *last > 3.0 * first), "{study:?}");
    let pair = &report.starts[0].pairs[0];
    assert!(pair.at_seconds >= study.slice_seconds * study.cost.len() as f64, "at {} s", pair.at_seconds);
    assert!(pair.b[&Metric::Throughput] > 3.0 * first, "{pair:?}, and {first}/s at first");
}

#[test]
fn servers_by_their_urls_have_blocks_and_it_is_said_what_those_do_not_cover() {
    let [a, b] = [0, 1].map(|_| EmbeddedServer::start(&[]));
    let flags = ["compare", "--a", &a.url, "--b", &b.url, "-c", "4", "--warmup", "0s", "--max-time", "4s", "--force"];
    let finished = loadgen(&[&flags[..], &["--alpha", "20%", "--format", "json"]].concat()).wait();
    let report = comparison(&finished, 0);
    assert!(
        finished.stderr.contains("blocks at least") && !finished.stderr.contains("starts at least"),
        "{}",
        finished.stderr
    );
    assert_eq!(report.repetition.unwrap().restarts, RestartKind::Never);
    let notes = &report.trust.notes;
    let words = "the servers were not started anew: by how much two starts of one server differ is not covered";
    assert!(notes.iter().any(|note| note.starts_with(words)), "{notes:?}");
    assert!(!notes.iter().any(|note| note.contains("a start costs")), "{notes:?}");
    let document = Document::Comparison(Box::new(report));
    let text = Format::named("text").unwrap().render(&document).unwrap().remove(0).content;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(" block") && !text.contains("starts,"), "{text}");
}
