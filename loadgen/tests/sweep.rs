//! The real program sweeping flags: effects with the right sign, interactions, refusals, and a report that is what its
//! schema says.

mod benchfmt;
mod binary;

use std::fs;
use std::path::PathBuf;

use benchfmt::{Benchmarks, benchmarks};
use binary::{Finished, converted, loadgen};
use loadgen::judge::statistics::Change;
use loadgen::measure::metric::Metric;
use loadgen::report::comparison::Ended;
use loadgen::report::estimate::Estimate;
use loadgen::report::scaling::Scaled;
use loadgen::report::sweep::Effect;
use loadgen::report::sweep::Sweep;
use loadgen::report::warmup::WarmupLimit;
use serde_json::{Value, json};

fn sweep(flags: &[&str]) -> Finished {
    loadgen(&[&["sweep", "-c", "4", "--restart-every", "1", "--alpha", "20%", "--force", "-q"], flags].concat()).wait()
}

fn report(finished: &Finished) -> Sweep {
    assert_eq!(finished.code, Some(0), "{}\n{}", finished.stdout, finished.stderr);
    serde_json::from_str(&finished.stdout).expect("a sweep")
}

#[track_caller]
fn assert_valid(document: &Value) {
    let schema = serde_json::from_str(include_str!("../schema/sweep-v1.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

fn effect<'a>(sweep: &'a Sweep, metric: Metric, steps: &[(&str, &str)]) -> &'a Effect {
    let is = |effect: &&Effect| {
        effect.metric == metric
            && effect.steps.iter().map(|step| (step.name.as_str(), step.to.as_str())).eq(steps.iter().copied())
    };
    sweep.effects.iter().find(is).unwrap_or_else(|| panic!("no effect of {steps:?} on {metric}"))
}

/// A sweep of these flags whose every effect is judged by so many starts at least. A busy machine needs more time for them,
/// since a start counts for nothing where a trial of it had no reply: three times as much in the second attempt, nine times in
/// the third.
fn judged_by(least: usize, flags: &[&str]) -> Sweep {
    for seconds in [10, 30, 90] {
        let sweep = report(&sweep(&[flags, &["--max-time", &format!("{seconds}s"), "--format", "json"]].concat()));
        let starts = sweep.effects.iter().map(|effect| effect.log_ratios.len()).min().unwrap_or(0);
        if starts >= least {
            return sweep;
        }
        eprintln!("{starts} starts of {} count in {seconds} s, and it takes {least}", sweep.starts);
    }
    panic!("not {least} starts in 90 s");
}

#[test]
fn effects_have_the_right_sign_and_come_in_order() {
    // 50 us for each message are several times what it costs otherwise: no neighbour on the machine hides that.
    let vary = ["--vary", "write=cork,per-frame", "--vary", "inject-cost=0,50000"];
    let flags = ["--server", "--lane off", "--in-flight", "16", "--trial", "40ms"];
    // That all of seven starts agree is by chance with 2 * 2^-7, which the six effects share: less than alpha.
    let sweep = judged_by(7, &[&flags[..], &vary].concat());
    assert_valid(&json!(sweep));
    assert_eq!((sweep.arms.len(), sweep.factors.len(), sweep.effects.len()), (4, 2, 6));
    assert_eq!(sweep.arms[0].target, "embedded server --lane off --write cork --inject-cost 0");
    assert!(sweep.arms.iter().all(|arm| arm.messages.verified > 0 && arm.messages_per_cpu_second.is_some()));
    for metric in [Metric::Throughput, Metric::ServerCpu] {
        let dearer = effect(&sweep, metric, &[("inject-cost", "50000")]);
        assert_eq!(dearer.change, Change::Regressed, "each message costs more: {dearer:?}");
        let change = dearer.estimate.change.unwrap();
        assert!(if metric == Metric::Throughput { change < -0.5 } else { change > 1.0 }, "{dearer:?}");
        assert_eq!(*sweep.effects.iter().find(|effect| effect.metric == metric).unwrap(), *dearer, "the largest first");
    }
    assert_eq!(sweep.effects[0].metric, Metric::Throughput);
    let slower = effect(&sweep, Metric::ServerCpu, &[("write", "per-frame")]);
    assert_ne!(slower.change, Change::Improved, "one write per frame costs: {slower:?}");
    effect(&sweep, Metric::Throughput, &[("write", "per-frame"), ("inject-cost", "50000")]);
}

#[test]
fn the_load_is_varied_too_one_at_a_time_and_as_text() {
    let vary = ["--vary-load", "in-flight=1,4,8", "--vary", "inject-cost=0..100000:50000", "--one-at-a-time"];
    // A busy machine needs more time for an effect to be told.
    let in_time = |time| {
        let finished = sweep(&[&vary[..], &["--max-time", time]].concat());
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        Some(finished).filter(|finished| finished.stdout.contains("worse"))
    };
    let finished = ["9s", "30s", "90s"].into_iter().find_map(in_time).expect("what costs 100 us more is worse");
    for words in [
        "sweep: closed loop, 4 connections with 1 or 4 or 8 in flight",
        "inject-cost=0 in-flight=1",
        "in-flight=8",
        "msgs/CPU-s",
        "reference",
        "effects on throughput",
        "inject-cost 0 -> 100000",
        "  scaling     in-flight: scalability law (Gunther): alpha ",
        "gamma",
    ] {
        assert!(finished.stdout.contains(words), "{words} is missing in\n{}", finished.stdout);
    }
    assert!(!finished.stdout.contains(" with inject"), "no interactions: {}", finished.stdout);
    assert!(finished.stdout.lines().all(|line| line.chars().count() <= 80), "{}", finished.stdout);
}

#[test]
fn the_scalability_law_is_fitted_along_messages_in_flight_and_threads() {
    let flags = ["-c", "2", "--vary-load", "in-flight=1,2,4,8", "--vary", "threads=1,2", "--max-time", "9s"];
    let sweep = report(&sweep(&[&flags[..], &["--format", "json"]].concat()));
    assert_valid(&json!(sweep));
    let [scaling] = &sweep.scaling[..] else { panic!("threads have two values: {:?}", sweep.scaling) };
    assert_eq!((scaling.name.as_str(), scaling.of), ("in-flight", Scaled::InFlight));
    assert_eq!(scaling.points.iter().map(|point| point.load).collect::<Vec<_>>(), [2, 4, 8, 16]);
    let law = scaling.scalability.law.as_ref().unwrap_or_else(|| panic!("{scaling:?}"));
    // By the law itself, what is left of each rate is that beside its value there.
    let [alpha, beta, gamma] = [law.alpha, law.beta, law.gamma].map(|fitted| fitted.estimate);
    for (point, residual) in scaling.points.iter().zip(&law.residuals) {
        let of_reference = sweep.arms.iter().any(|arm| {
            arm.settings.iter().any(|setting| setting.to_string() == "threads=1")
                && arm.shown[&Metric::Throughput] == point.rate
        });
        assert!(of_reference, "{point:?} is of no combination with the reference's threads");
        let n = point.load as f64;
        let fitted = gamma * n / (1.0 + alpha * (n - 1.0) + beta * n * (n - 1.0));
        assert!((point.rate - fitted - residual).abs() < 1e-6 * point.rate, "{point:?}: {fitted} and {residual}");
    }
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("law-{}.json", std::process::id()));
    fs::write(&file, json!(sweep).to_string()).unwrap();
    let saved = |format: &str| converted(file.to_str().unwrap(), format).stdout;
    let (junit, openmetrics) = (saved("junit"), saved("openmetrics"));
    let property = r#"<property name="scaling along in-flight" value="scalability law (Gunther): alpha "#;
    assert!(junit.contains(property) && junit.contains("; by it, the rate "), "{junit}");
    let labels = r#"along="in-flight",of="in-flight",coefficient="gamma",unit="messages/s",bound="#;
    let sample = format!("fathom_sweep_scalability{{{labels}\"estimate\"}} {gamma}\n");
    assert!(openmetrics.contains(&sample), "{sample} is missing in\n{openmetrics}");
    fs::remove_file(file).unwrap();
}

#[test]
fn refusals_name_the_flag_and_what_was_expected() {
    for (flags, words) in [
        (&[][..], ["nothing to sweep", "--vary"]),
        (&["--vary", "threads"], ["--vary", "FLAG=VALUE"]),
        (&["--vary", "threads=1"], ["--vary", "two values"]),
        (&["--vary", "threads=1,1"], ["--vary", "1 is there twice"]),
        (&["--vary", "listen=a,b"], ["--vary", "loadgen's choice"]),
        (&["--vary", "threads=1,2", "--vary", "threads=3,4"], ["threads", "varied twice"]),
        (&["--vary", "threads=1,2", "--server", "ws://127.0.0.1:1/"], ["--vary", "URL"]),
        (&["--vary", "threads=1..100"], ["65 combinations or more", "--one-at-a-time"]),
        (&["--vary", "threads=1,2", "--server", "--threads 3"], ["--server has --threads", "--vary threads"]),
        (&["--vary", "no-such-flag=1,2"], ["--no-such-flag", "embedded server"]),
        (&["--vary", "threads=1,many"], ["--threads", "'many'"]),
        (&["--server", "--no-such-flag", "--vary", "threads=1,2"], ["--server", "--no-such-flag"]),
        (&["--vary-load", "seed=1,2"], ["--vary-load", "in-flight"]),
        (&["--vary", "threads=1,2", "--restart-every", "1001"], ["--restart-every", "1001"]),
        (&["--vary-load", "in-flight=0,1"], ["--in-flight", "'0'"]),
        (&["--vary-load", "rate=10,20", "--in-flight", "2"], ["--rate", "--in-flight"]),
        (&["--vary", "threads=1,2", "--max-time", "20ms"], ["--max-time", "no room"]),
        (&["--vary", "threads=1,2", "--gate", "latency.p99"], ["--gate latency.p99", "--rate"]),
        (&["--vary", "threads=1,2", "--gate", "throughput", "--rate", "9"], ["--gate throughput", "no --rate"]),
        (&["--vary", "threads=1,2", "--gate", "errors"], ["--gate errors", "expected throughput"]),
        (
            &["--vary", "threads=1,2", "--gate", "connection.memory", "--connections", "49"],
            ["--gate connection.memory with --connections 49", "--connections 50"],
        ),
        (&["--vary", "threads=1,2", "--gate", "server.cpu,server-cpu"], ["--gate server.cpu", "twice"]),
    ] {
        let finished = sweep(flags);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{flags:?}: {}", finished.stderr);
        let said = &finished.stderr;
        assert!(words.iter().all(|word| said.contains(word)), "{flags:?} misses one of {words:?} in:\n{said}");
    }
}

#[test]
fn a_time_in_which_no_effect_can_be_told_ends_it_at_once_unless_it_is_forced() {
    // Nine starts at the least, none of which takes less than 400 ms.
    let flags = ["sweep", "-c", "4", "--vary-load", "in-flight=1,2", "--trial", "200ms", "--max-time", "2s"];
    let finished = loadgen(&flags).wait();
    assert_eq!(finished.code, Some(98), "{}", finished.stderr);
    let said = finished.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in
        ["2.00 s are too short to tell any effect: 9 starts at least would end after", "expected --max-time", "--force"]
    {
        assert!(said.contains(words), "{words} is missing in\n{}", finished.stdout);
    }
    assert!(finished.stderr.contains("to tell an effect takes 9 starts at least"), "{}", finished.stderr);
    let json = ["-q", "--format", "json"];
    let finished = loadgen(&[&flags[..], &json].concat()).wait();
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(98), ""));
    let ended: Sweep = serde_json::from_str(&finished.stdout).unwrap();
    assert_valid(&json!(ended));
    assert!(ended.ended == Ended::TooShort && ended.starts <= 3, "{:?} after {} starts", ended.ended, ended.starts);
    let needs = ended.needs.unwrap();
    assert!(needs.starts == 9 && needs.seconds > 2.0 && needs.start_seconds >= 0.4, "{needs:?}");
    let forced = report(&loadgen(&[&flags[..], &json, &["--force"]].concat()).wait());
    assert_eq!(forced.ended, Ended::MaxTime);
}

#[test]
fn a_first_start_that_takes_all_the_time_is_too_short_as_well() {
    // Two servers take a second each until they answer, and there is no time for a second start.
    let server = format!(
        "sh -c 'sleep 1; exec {} embedded-server --listen 127.0.0.1:$1 $2 $3' - {{port}}",
        env!("CARGO_BIN_EXE_loadgen")
    );
    let flags = ["--server", &server, "--vary", "threads=1,2", "-c", "4", "--max-time", "3s"];
    let finished = loadgen(&[&["sweep", "-q"], &flags[..]].concat()).wait();
    assert_eq!(finished.code, Some(98), "{}", finished.stderr);
    assert!(finished.stdout.contains("expected --max-time"), "{}", finished.stdout);
}

#[test]
fn effects_are_judged_on_the_metrics_that_were_asked_for() {
    let flags = ["--vary", "inject-cost=0,100000", "--gate", "server.cpu", "--gate", "server.memory"];
    let sweep = judged_by(5, &flags);
    let metrics: Vec<Metric> = sweep.effects.iter().map(|effect| effect.metric).collect();
    assert_eq!(metrics, [Metric::ServerCpu, Metric::ServerMemory]);
    assert_valid(&json!(sweep));
    let dearer = effect(&sweep, Metric::ServerCpu, &[("inject-cost", "100000")]);
    assert!(dearer.estimate.change.is_some_and(|change| change > 0.5), "{dearer:?}");
    assert!(sweep.arms[0].figures.contains_key(&Metric::Throughput), "it is measured all the same");
}

#[test]
fn a_sweep_without_a_reply_fails_and_names_the_combination() {
    // A trial is over before the first reply to it can come.
    let slow = ["--server", "--inject-cost 1000000", "--vary", "tcp-nodelay=on,off"];
    let finished = sweep(&[&slow[..], &["--trial", "100us", "--settle", "0s", "--max-time", "6s"]].concat());
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{}", finished.stderr);
    for words in ["no trial of tcp-nodelay=on (100 us long) had a figure", "--trial"] {
        assert!(finished.stderr.contains(words), "{words} is missing in {}", finished.stderr);
    }
}

#[test]
fn a_saved_sweep_has_its_own_formats() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("sweep-{}.json", std::process::id()));
    let name = file.to_str().unwrap();
    let vary = ["--vary", "inject-cost=0,100000", "--vary-load", "in-flight=1,8"];
    let tempo = ["--max-time", "9s", "--trial", "9ms", "--settle", "1ms", "--seed", "7"];
    let finished = sweep(&[&vary[..], &tempo, &["-o", name]].concat());
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let saved: Sweep = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let rules = saved.rules;
    assert_eq!((rules.max_time_seconds, rules.trial_seconds, rules.settle_seconds), (9.0, 0.009, 0.001));
    assert_eq!((rules.alpha, rules.restart_every, rules.seed), (0.2, 1, 7));
    assert_eq!(saved.rounds, saved.starts, "one of each start");
    for effect in &saved.effects {
        assert_eq!(effect.change != Change::Inconclusive, effect.p_value <= rules.alpha, "{effect:?}");
    }
    let converted = |format: &str| {
        let finished = loadgen(&["report", name, "--to", format]).wait();
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{format}");
        finished.stdout
    };
    assert_eq!(format!("{}\n", converted("text")), finished.stdout);
    assert_eq!(serde_json::from_str::<Sweep>(&converted("json")).unwrap(), saved);
    let table = converted("csv");
    let mut table = csv::Reader::from_reader(table.as_bytes());
    assert_eq!(
        table.headers().unwrap().iter().take(3).collect::<Vec<_>>(),
        ["server inject-cost", "load in-flight", "metric"]
    );
    let figures: usize = saved.arms.iter().map(|arm| arm.figures.len()).sum();
    assert_eq!(table.records().filter(Result::is_ok).count(), figures);
    let markdown = converted("markdown");
    assert!(markdown.starts_with("### Sweep of inject-cost, in-flight\n"), "{markdown}");
    assert!(markdown.contains("| inject-cost 0 -&gt; 100000 |"), "{markdown}");
    let page = converted("html");
    assert!(page.contains("effects on server.cpu") && page.contains("inject-cost=100000 in-flight=8"), "{page}");
    let junit = quick_junit::Report::deserialize_from_str(&converted("junit")).unwrap();
    assert_eq!((junit.tests, junit.failures + junit.errors), (5, 0), "trust, and replies of four combinations");
    let Benchmarks { results, units, .. } = benchmarks(&converted("benchfmt"));
    let names: Vec<&str> = results.iter().map(|(name, _)| name.as_str()).collect();
    let of = "/loop=closed/connections=4/size=64";
    assert_eq!(names[0], format!("BenchmarkSweep/inject-cost=0/in-flight=1{of}"));
    assert_eq!(names.len(), 4);
    assert!(results.iter().all(|(_, figures)| figures.keys().all(|unit| units.contains_key(unit))), "{units:?}");
    let reference = saved.arms[0].shown[&Metric::Throughput];
    let bmf: Value = serde_json::from_str(&converted("bmf")).unwrap();
    assert_eq!(bmf["inject-cost=0 in-flight=1"]["throughput"]["value"], reference, "{bmf}");
    let other = &bmf["inject-cost=100000 in-flight=1"]["throughput"];
    is_the_reference_changed(other, reference, &saved.arms[1].change[&Metric::Throughput]);
    let openmetrics = converted("openmetrics");
    let sample = r#"fathom_sweep_figure{combination="inject-cost=0 in-flight=1",metric="throughput","#;
    assert!(openmetrics.contains(sample) && openmetrics.contains("fathom_sweep_effect_ratios{"), "{openmetrics}");
    let directory = file.with_extension("lists");
    let to = ["report", name, "--to", "github-action-benchmark", "-o", directory.to_str().unwrap()];
    assert_eq!(loadgen(&to).wait().code, Some(0));
    let bigger: Value = serde_json::from_slice(&fs::read(directory.join("bigger-is-better.json")).unwrap()).unwrap();
    assert_eq!(bigger[0]["value"], reference, "{bigger}");
    for (flags, words) in [
        (&["report", name, "--to", "hgrm"][..], "a sweep"),
        (&["report", name, name], "cannot be merged"),
        (&["run", "--baseline", name], "it holds a sweep"),
    ] {
        let refused = loadgen(flags).wait();
        assert_eq!(refused.code, Some(2), "{flags:?}");
        assert!(refused.stderr.contains(words), "{words} is missing in {}", refused.stderr);
    }
    fs::remove_dir_all(directory).unwrap();
    fs::remove_file(file).unwrap();
}

/// A figure in Bencher's format is that of the reference changed by the change, and so are the ends of its interval.
fn is_the_reference_changed(told: &Value, reference: f64, change: &Estimate) {
    for (key, share) in [("value", change.change), ("lower_value", change.low), ("upper_value", change.high)] {
        let shown = told[key].as_f64().map(|figure| figure / reference - 1.0);
        let off = shown.zip(share).map(|(shown, share)| (shown - share).abs());
        assert!(shown.is_some() == share.is_some() && off.is_none_or(|off| off < 1e-9), "{key}: {told} {change:?}");
    }
}

#[test]
fn a_warm_up_takes_no_longer_than_it_may_whichever_combination_it_is_of() {
    let server = format!("{} embedded-server --listen 127.0.0.1:{{port}}", env!("CARGO_BIN_EXE_loadgen"));
    let flags = ["--server", &server, "--vary", "inject-cost=0,1", "--max-warmup", "300ms", "--max-time", "6s"];
    let warmup = report(&sweep(&[&flags[..], &["--format", "json"]].concat())).warmup.unwrap();
    assert_eq!((warmup.max_seconds, warmup.limit), (Some(0.3), Some(WarmupLimit::MaxWarmup)));
    assert!((0..2).all(|server| warmup.studies.iter().any(|study| study.server == server)), "{warmup:?}");
    for study in &warmup.studies {
        assert!(study.slice_seconds * study.cost.len() as f64 <= 0.3 + 1e-9, "{study:?}");
    }
}

#[test]
fn combinations_that_differ_a_hundredfold_have_trials_of_their_own_length() {
    // 1,000 messages/s, of which 50 take 50 ms.
    let flags = ["--vary", "inject-cost=0,1000000", "--max-time", "8s", "--format", "json"];
    let sweep = report(&sweep(&flags));
    let notes = &sweep.trust.notes;
    let milliseconds = |combination: &str| -> Option<f64> {
        let took = notes.iter().find_map(|note| note.strip_prefix(&format!("trials of {combination} took ")))?;
        took.split_once(" ms,").map(|(milliseconds, _)| milliseconds.parse().unwrap())
    };
    let slow = milliseconds("inject-cost=1000000").unwrap_or_else(|| panic!("nothing of it in {notes:?}"));
    assert!(slow >= 45.0, "{notes:?}");
    // A server that a busy machine has made slow has longer trials too.
    assert!(milliseconds("inject-cost=0").is_none_or(|fast| fast < slow), "{notes:?}");
    // What the table shows of a combination is the reference changed by its change.
    let [reference, other] = [0, 1].map(|arm: usize| sweep.arms[arm].shown[&Metric::Throughput]);
    let change = sweep.arms[1].change[&Metric::Throughput].change.unwrap();
    assert!((other / reference - 1.0 - change).abs() < 1e-9, "{reference}, {other}, {change}");
}

#[test]
fn sizes_and_bytes_on_the_wire_stand_in_the_table() {
    let load = ["--permessage-deflate=prefer", "--payload", "json", "--text", "--gate", "wire.bytes,wire.ratio"];
    let flags =
        ["--server", "--permessage-deflate on", "--vary-load", "size=64,500", "--trial", "40ms", "--max-time", "6s"];
    let finished = sweep(&[&load[..], &flags].concat());
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    let bytes = |size: &str| -> f64 {
        let line =
            lines.iter().find(|line| line.trim_start().starts_with(size)).unwrap_or_else(|| panic!("{lines:#?}"));
        line.split_whitespace().last().unwrap().parse().unwrap()
    };
    assert!(lines.iter().any(|line| line.ends_with("B/message")), "{lines:#?}");
    // It has a table of its own, as all columns have no room in one.
    let ratio = lines.iter().position(|line| line.trim() == "wire.ratio").unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(lines[ratio + 1].trim().starts_with("size=64 ") && lines[ratio + 1].ends_with('%'), "{lines:#?}");
    let [small, large] = ["size=64", "size=500"].map(bytes);
    // Two messages with their headers; the larger one is compressed.
    assert!((60.0..200.0).contains(&small) && large > small && large < 1_000.0, "{small}, {large}");
    assert!(
        finished.stdout.contains("effects on wire.bytes") && finished.stdout.contains("worse"),
        "{}",
        finished.stdout
    );
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
}
