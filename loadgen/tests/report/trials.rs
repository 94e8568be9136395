//! What `compare` and `sweep` make of the flags that they share with `run`, and of those that say how trials follow each
//! other.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::time::Duration;

use loadgen::plan::{Plan, Stop};
use loadgen::program::cli::{Comparing, Invocation, Sweeping, parse};
use loadgen::trials::course::{Restarts, Tempo};
use loadgen::trials::warming::Warmup;

fn invoke(arguments: &[&str]) -> Invocation {
    let arguments = ["loadgen"].iter().chain(arguments).map(OsString::from);
    parse(arguments, NonZeroUsize::new(3).unwrap()).unwrap()
}

fn comparing(arguments: &[&str]) -> Comparing {
    comparing_of(&[&["--aa"], arguments].concat())
}

fn comparing_of(arguments: &[&str]) -> Comparing {
    match invoke(&[&["compare"], arguments].concat()) {
        Invocation::Compare(comparing) => *comparing,
        other => panic!("{arguments:?} gave {other:?}"),
    }
}

fn sweeping(arguments: &[&str]) -> Sweeping {
    match invoke(&[&["sweep", "--vary", "threads=1,2"], arguments].concat()) {
        Invocation::Sweep(sweeping) => sweeping,
        other => panic!("{arguments:?} gave {other:?}"),
    }
}

/// The plan of a trial, with what is the tempo's left as a run has it.
fn as_run(trial: &Plan, run: &Plan) -> Plan {
    Plan { stop: run.stop, warmup: run.warmup, seed: run.seed, ..trial.clone() }
}

#[test]
fn a_load_is_the_same_whichever_command_has_it() {
    let loads: [&[&str]; 24] = [
        &["-c", "7"],
        &["--in-flight", "5"],
        &["--rate", "20k"],
        &["--rate", "20k", "--arrival", "poisson"],
        &["--pacing", "spin"],
        &["--timestamps", "off"],
        &["--realtime"],
        &["--drain-timeout", "3s"],
        &["--size", "9..99"],
        &["--payload", "json"],
        &["--text"],
        &["--verify", "length"],
        &["--skip-messages", "4"],
        &["--expect", "order"],
        &["--connect-rate", "9"],
        &["--connect-timeout", "3s"],
        &["-H", "X-A: b"],
        &["--subprotocol", "chat"],
        &["--tcp-nodelay", "off"],
        &["--source-ip", "127.0.0.2"],
        &["--threads", "2"],
        &["--permessage-deflate"],
        &["--permessage-deflate=prefer", "--deflate-level", "9", "--deflate-memory", "1", "--deflate-threshold", "9"],
        &["--permessage-deflate", "--deflate-context-takeover", "both", "--deflate-window-bits", "9"],
    ];
    let plan = |arguments: &[&str]| match invoke(&[&["run"], arguments].concat()) {
        Invocation::Run { plan, .. } => plan,
        other => panic!("{arguments:?} gave {other:?}"),
    };
    let plain = plan(&[]);
    for load in loads {
        let run = plan(load);
        assert_ne!(run, plain, "{load:?} is not ignored");
        assert_eq!(as_run(&comparing(load).plan, &run), run, "{load:?}");
        let arms = sweeping(load).arms;
        assert_eq!(arms.len(), 2);
        assert!(arms.iter().all(|(_, plan)| as_run(plan, &run) == run), "{load:?}: {arms:?}");
    }
    let udp = "--listen udp://127.0.0.1:0";
    for load in [["--udp-timeout", "3s"], ["--udp-offload", "off"]] {
        let run = plan(&[&["--server", udp][..], &load].concat());
        assert_ne!(run, plain, "{load:?} is not ignored");
        // One server of two is enough.
        let comparing = comparing_of(&[&["--a", "", "--b", udp][..], &load].concat());
        assert_eq!(as_run(&comparing.plan, &run), run, "{load:?}");
        let arms = sweeping(&[&["--server", udp][..], &load].concat()).arms;
        assert!(arms.iter().all(|(_, plan)| as_run(plan, &run) == run), "{load:?}: {arms:?}");
    }
}

#[test]
fn tls_and_a_proxy_are_the_same_whichever_command_has_them() {
    let ways: [&[&str]; 7] = [
        &["--cacert", "x"],
        &["--insecure"],
        &["--tls-server-name", "x"],
        &["--tls-resume", "on"],
        &["--client-cert", "x", "--client-key", "y"],
        &["--tls-versions", "1.3"],
        &["--proxy", "http://127.0.0.1:1"],
    ];
    let plan = |arguments: &[&str]| match invoke(&[&["run", "wss://h/"], arguments].concat()) {
        Invocation::Run { plan, .. } => plan,
        other => panic!("{arguments:?} gave {other:?}"),
    };
    let plain = plan(&[]);
    for way in ways {
        let run = plan(way);
        assert_ne!(run, plain, "{way:?} is not ignored");
        // One server of two over TLS is enough.
        let comparing = comparing_of(&[&["--a", "ws://h/", "--b", "wss://h/"], way].concat());
        assert_eq!(as_run(&comparing.plan, &run), run, "{way:?}");
        let sweep = [&["sweep", "--server", "wss://h/", "--vary-load", "timestamps=auto,off"][..], way].concat();
        let Invocation::Sweep(sweeping) = invoke(&sweep) else { panic!("{sweep:?} is no sweep") };
        assert_eq!(sweeping.arms[1].1.connect, run.connect, "{way:?}");
    }
}

#[test]
fn a_load_that_contradicts_itself_is_refused_whichever_command_has_it() {
    for command in [&["run"][..], &["compare", "--aa"], &["sweep", "--vary", "threads=1,2"]] {
        let arguments = ["loadgen"].iter().chain(command).chain(&["--text", "--binary"]).map(OsString::from);
        let said = parse(arguments, NonZeroUsize::MIN).unwrap_err().to_string();
        assert!(said.contains("--text") && said.contains("--binary"), "{said}");
    }
}

#[test]
fn trials_follow_each_other_as_they_are_told_to() {
    let flags = ["--max-time", "9s", "--trial", "40ms", "--settle", "3ms", "--restart-every", "5", "--seed", "8"];
    let tempo = Tempo {
        trial: Duration::from_millis(40),
        settle: Duration::from_millis(3),
        replies: 0,
        warmup: Warmup::Auto { at_most: Duration::from_secs(10) },
        restarts: Restarts::Every(5),
        max_time: Duration::from_secs(9),
        seed: 8,
    };
    let (compare, sweep) = (comparing(&flags), sweeping(&flags));
    assert_eq!((compare.question.tempo, sweep.question.tempo), (tempo, tempo));
    for plan in sweep.arms.iter().map(|(_, plan)| plan).chain([&compare.plan]) {
        assert_eq!((plan.stop, plan.warmup, plan.seed), (Stop::After(tempo.trial), tempo.settle, tempo.seed));
    }
}

#[test]
fn without_flags_trials_are_short_and_servers_are_started_often() {
    let (compare, sweep) = (comparing(&[]).question.tempo, sweeping(&["--vary-load", "in-flight=1,2"]).question.tempo);
    let times = |tempo: Tempo| [tempo.trial, tempo.settle, tempo.max_time].map(|time| time.as_millis());
    assert_eq!([times(compare), times(sweep)], [[10, 2, 60_000]; 2]);
    // About 600 ms: rounds of two servers, or of four, with 12 ms for each.
    assert_eq!((compare.restarts, sweep.restarts, compare.seed), (Restarts::Auto(25), Restarts::Auto(12), 1));
    assert_eq!((compare.replies, compare.warmup), (50, Warmup::Auto { at_most: Duration::from_secs(10) }));
    // However short or long a round is, between 1 and 1000 of them.
    assert_eq!(comparing(&["--trial", "2s"]).question.tempo.restarts, Restarts::Auto(1));
    assert_eq!(comparing(&["--trial", "1us", "--settle", "0s"]).question.tempo.restarts, Restarts::Auto(1000));
}

#[test]
fn warm_up_and_restarts_are_as_asked_for() {
    let tempo = |flags: &[&str]| comparing(flags).question.tempo;
    assert_eq!(tempo(&["--warmup", "3s"]).warmup, Warmup::For(Duration::from_secs(3)));
    let auto = ["--warmup", "auto", "--max-warmup", "20s"];
    assert_eq!(tempo(&auto).warmup, Warmup::Auto { at_most: Duration::from_secs(20) });
    let swept = |flags: &[&str]| sweeping(&[&["--vary-load", "in-flight=1,2"], flags].concat()).question.tempo;
    assert_eq!(swept(&auto).warmup, Warmup::Auto { at_most: Duration::from_secs(20) });
    assert_eq!(swept(&["--warmup", "1s"]).warmup, Warmup::For(Duration::from_secs(1)));
    assert_eq!(tempo(&["--restart-every", "never"]).restarts, Restarts::Never(25));
    assert_eq!(tempo(&["--restart-every", "auto"]).restarts, Restarts::Auto(25));
    assert!(!comparing(&[]).question.force && comparing(&["--force"]).question.force);
    // Replies of a trial whose length was given are not counted, nor where the rate says how many there are.
    assert_eq!((tempo(&["--trial", "20ms"]).replies, tempo(&["--rate", "100"]).replies), (0, 0));
    let refused = |flags: &[&str]| {
        let arguments = ["loadgen", "compare", "--aa"].iter().chain(flags).map(OsString::from);
        parse(arguments, NonZeroUsize::MIN).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(refused(&["--restart-every", "0"]).contains("or auto, or never"));
    assert!(refused(&["--warmup", "soon"]).contains("expected a time or auto"));
}

#[test]
fn a_round_of_all_servers_has_room_in_the_time() {
    let refusal = |arguments: &[&str]| {
        let arguments = ["loadgen", "compare", "--aa", "--trial", "400ms", "--settle", "100ms"].iter().chain(arguments);
        parse(arguments.map(OsString::from), NonZeroUsize::MIN).err().map(|error| error.to_string())
    };
    assert_eq!(refusal(&["--max-time", "1s"]), None, "two servers with half a second each");
    let said = refusal(&["--max-time", "999ms"]).unwrap();
    assert!(
        said.contains("--max-time has no room for a --trial of each server, 400ms long, with its --settle"),
        "{said}"
    );
}

#[test]
fn a_trial_holds_just_as_many_messages_as_the_metric_needs() {
    let trial = |trial: &str| {
        let load = ["loadgen", "compare", "--aa", "--rate", "1000", "--gate", "latency-p99", "--trial", trial];
        parse(load.map(OsString::from), NonZeroUsize::MIN).map_err(|error| error.to_string())
    };
    assert!(trial("100ms").is_ok(), "a hundred messages");
    let said = trial("99ms").unwrap_err();
    assert!(said.contains("is 99 messages, and latency.p99, which is judged, needs 100 in a trial"), "{said}");
}

#[test]
fn judgement_is_by_the_rules_that_are_given() {
    let flags = ["--gate", "throughput", "--tolerance", "7%", "--alpha", "3%", "--require-conclusive"];
    let question = comparing(&flags).question;
    assert_eq!((question.tolerance, question.alpha), (0.07, 0.03));
    assert_eq!((question.require_conclusive, question.fail_on_regression, question.aa), (true, false, true));
    assert_eq!(question.gate.map(|gate| gate.len()), Some(1));
    let question = comparing(&["--fail-on-regression", "4%"]).question;
    assert_eq!((question.tolerance, question.alpha, question.fail_on_regression), (0.04, 0.01, true));
    assert_eq!((question.require_conclusive, question.gate), (false, None));
    let question = comparing(&["--fail-on-regression", "--tolerance", "4%", "--allow-inconclusive"]).question;
    assert_eq!((question.tolerance, question.fail_on_regression, question.allow_inconclusive), (0.04, true, true));
    assert_eq!(comparing(&["--fail-on-regression"]).question.tolerance, 0.02);
    assert_eq!((comparing(&[]).question.tolerance, sweeping(&[]).question.alpha), (0.02, 0.01));
    assert_eq!(sweeping(&["--alpha", "3%"]).question.alpha, 0.03);
}
