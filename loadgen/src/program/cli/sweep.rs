//! The arguments of `loadgen sweep`.

use std::ffi::OsString;
use std::num::NonZeroUsize;

use clap::Args;
use server::numbers;

use super::trials::{TrialsArgs, check_connections, check_gate, check_lives, check_warmup, gate_metric};
use super::{Cli, Command, fit, refusal, values};
use crate::host::target::Spec;
use crate::measure::metric::Metric;
use crate::plan::{Load, Plan};
use crate::program::output::Output;
use crate::report::sweep::Factor;
use crate::report::sweep::Of;
use crate::trials::design::Design;
use crate::trials::sweep::Question;

/// What to sweep, and how.
#[derive(Debug)]
pub struct Sweeping {
    /// The combinations.
    pub design: Design,
    /// What is to be found out of them.
    pub question: Question,
    /// Server and load of each combination, the reference first.
    pub arms: Vec<(Spec, Plan)>,
    /// Where the report goes.
    pub output: Output,
}

#[derive(Debug, Args)]
#[command(args_override_self = true, after_help = EXIT_CODES)]
pub(super) struct SweepArgs {
    /// Flags of echo-server that stay, or a command holding {port} that takes the varied flags [default: none]
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true)]
    server: Option<Spec>,
    /// A flag of the server and its values, the reference's first: 'tcp-nodelay=on,off', 'threads=1..4' or
    /// 'busy-poll=0..100:25'; repeatable
    #[arg(long, value_name = "FLAG=VALUES", value_parser = server_factor, action = clap::ArgAction::Append)]
    vary: Vec<Factor>,
    /// A flag of the load and its values, likewise: 'in-flight=1,16'; repeatable
    #[arg(long, value_name = "FLAG=VALUES", value_parser = load_factor, action = clap::ArgAction::Append)]
    vary_load: Vec<Factor>,
    /// Measure only combinations that differ from the reference in one flag; no interactions then
    #[arg(long)]
    one_at_a_time: bool,
    /// A metric to judge effects on; repeatable: those that compare --gate takes. The fewer there are, the less each has to
    /// share --alpha [default: throughput and server.cpu; with --rate latency.p50, latency.p99 and server.cpu]
    #[arg(long = "gate", value_name = "METRIC", value_delimiter = ',', value_parser = gate_metric, action = clap::ArgAction::Append)]
    gate: Vec<Metric>,
    /// The chance of any wrong effect among all of them
    #[arg(long, value_name = "PCT", default_value = "1%", value_parser = values::positive_percent)]
    alpha: f64,
    /// Go on where the first starts show that --max-time is too short for any effect to be told; otherwise it ends then, says
    /// which time would do, and exits with 98
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    trials: TrialsArgs,
}

/// Whether this flag is among these arguments.
fn has_flag(arguments: &[String], name: &str) -> bool {
    let flags = arguments.iter().filter_map(|argument| argument.strip_prefix("--"));
    flags.map(|flag| flag.split_once('=').map_or(flag, |(flag, _)| flag)).any(|flag| flag == name)
}

impl SweepArgs {
    /// `arguments` are those that these were read from: the load of a combination is read from them and its own flags
    /// behind them, of which the last ones count.
    pub(super) fn lower(self, arguments: &[OsString], threads: NonZeroUsize) -> Result<Sweeping, clap::Error> {
        let server = self.server.as_ref();
        let factors: Vec<Factor> = self.vary.iter().chain(&self.vary_load).cloned().collect();
        if factors.is_empty() {
            return Err(refusal("nothing to sweep: expected --vary or --vary-load"));
        }
        for (i, factor) in factors.iter().enumerate() {
            if factors[..i].iter().any(|earlier| (&earlier.name, earlier.of) == (&factor.name, factor.of)) {
                return Err(refusal(&format!("{} is varied twice", factor.name)));
            }
        }
        if let Some(Spec::Embedded(given) | Spec::Command(given)) = server
            && let Some(factor) = self.vary.iter().find(|factor| has_flag(given, &factor.name))
        {
            let name = &factor.name;
            return Err(refusal(&format!(
                "--server has --{name}, which --vary {name} sets; expected it in one of them"
            )));
        }
        if matches!(server, Some(Spec::Url(_))) && !self.vary.is_empty() {
            return Err(refusal("--vary needs a --server that is started here, not a URL"));
        }
        let (one_at_a_time, alpha, force, gate) = (self.one_at_a_time, self.alpha, self.force, self.gate);
        let design = Design::new(factors, one_at_a_time).map_err(|why| refusal(&why))?;
        let loads: Vec<TrialsArgs> =
            (0..design.arms()).map(|arm| load(arguments, &design, arm)).collect::<Result<_, _>>()?;
        // Trials are as long as the slowest load needs; in closed loops all are alike.
        let rate = |load: &&TrialsArgs| match load.load() {
            Load::Open { rate, .. } => rate.get(),
            Load::Closed { .. } => f64::INFINITY,
        };
        let slowest = loads.iter().min_by(|a, b| rate(a).total_cmp(&rate(b))).expect("a design has arms");
        loads.iter().try_for_each(|load| check_gate(&gate, &load.load()))?;
        let slowest_load = slowest.load();
        let judged = if gate.is_empty() { Metric::gated_by_default(&slowest_load) } else { &gate };
        let tempo = slowest.tempo(design.arms() as u32, judged)?;
        let arm = |arm: usize| {
            let plan = loads[arm].plan(tempo, threads)?;
            check_connections(&gate, &plan)?;
            let flags = design.arguments(arm, Of::Server);
            let server = match server {
                Some(server) => server.clone(),
                None => Spec::embedded_for(&plan, &flags),
            };
            let server = with(&server, flags).checked().map_err(|why| refusal(&why))?;
            fit([&server], &plan)?;
            Ok((server, plan))
        };
        let arms: Vec<(Spec, Plan)> = (0..design.arms()).map(arm).collect::<Result<_, clap::Error>>()?;
        let is_open = |plan: &Plan| plan.offered_rate().is_some();
        if arms.iter().any(|(_, plan)| is_open(plan) != is_open(&arms[0].1)) {
            return Err(refusal(
                "closed and open loops have no metric in common: vary --rate or --in-flight, not both",
            ));
        }
        let output = self.trials.output()?;
        check_lives(&gate, tempo.restarts, arms.iter().map(|(server, _)| server))?;
        let effects = judged.len() * design.contrasts().len();
        let gate = (!gate.is_empty()).then_some(gate);
        let question = Question { tempo, gate, alpha, force };
        let servers: Vec<&Spec> = arms.iter().map(|(server, _)| server).collect();
        check_warmup(&tempo, &servers, question.asked(effects).fewest_starts(), (!force).then_some(1))?;
        Ok(Sweeping { design, question, arms, output })
    }
}

/// What these arguments and the varied flags behind them ask of the load of a combination.
fn load(arguments: &[OsString], design: &Design, arm: usize) -> Result<TrialsArgs, clap::Error> {
    let varied = design.arguments(arm, Of::Load).into_iter().map(OsString::from);
    match values::command::<Cli>(arguments.iter().cloned().chain(varied))?.command {
        Some(Command::Sweep(sweep)) => Ok(sweep.trials),
        other => unreachable!("more flags of a sweep make it no {other:?}"),
    }
}

/// The server, started with these flags too.
fn with(server: &Spec, flags: Vec<String>) -> Spec {
    match server {
        Spec::Url(url) => Spec::Url(url.clone()),
        Spec::Embedded(words) => Spec::Embedded(words.iter().cloned().chain(flags).collect()),
        Spec::Command(words) => Spec::Command(words.iter().cloned().chain(flags).collect()),
    }
}

fn server_factor(text: &str) -> Result<Factor, String> {
    match factor(text, Of::Server)? {
        factor if factor.name == "listen" => {
            Err("expected another flag: where it listens is loadgen's choice".to_owned())
        }
        factor => Ok(factor),
    }
}

fn load_factor(text: &str) -> Result<Factor, String> {
    let factor = factor(text, Of::Load)?;
    if !LOAD_FLAGS.contains(&factor.name.as_str()) {
        return Err(format!("expected one of {}, not {}", LOAD_FLAGS.join(", "), factor.name));
    }
    // One number in two spellings would be two combinations that do not differ.
    let numbers: Vec<Option<f64>> = factor.values.iter().map(|value| numbers::number(value)).collect();
    match (1..numbers.len()).find(|&i| numbers[i].is_some() && numbers[..i].contains(&numbers[i])) {
        Some(i) => Err(format!("expected different values, and {} is there twice", factor.values[i])),
        None => Ok(factor),
    }
}

fn factor(text: &str, of: Of) -> Result<Factor, String> {
    let expected = "expected FLAG=VALUE,VALUE or FLAG=FROM..TO or FLAG=FROM..TO:STEP";
    let (name, values) = text.split_once('=').ok_or(expected)?;
    let name = name.trim_start_matches('-').to_owned();
    let values = match values.split_once("..") {
        Some((from, rest)) if numbers::whole(from).is_some() => range(from, rest).ok_or(expected)?,
        _ => values.split(',').map(str::to_owned).collect(),
    };
    if name.is_empty() || values.iter().any(String::is_empty) {
        return Err(expected.to_owned());
    }
    if values.len() < 2 {
        return Err("expected two values at least: the first is what the others are compared with".to_owned());
    }
    if let Some(twice) = values.iter().enumerate().find_map(|(i, value)| values[..i].contains(value).then_some(value)) {
        return Err(format!("expected different values, and {twice} is there twice"));
    }
    Ok(Factor { name, values, of })
}

/// The whole numbers of `from..rest`, both ends included, by the step that may follow.
fn range(from: &str, rest: &str) -> Option<Vec<String>> {
    let (to, step) = rest.split_once(':').unwrap_or((rest, "1"));
    let (from, to) = (numbers::whole(from)?, numbers::whole(to)?);
    let step = numbers::whole(step).and_then(|step| usize::try_from(step).ok()).filter(|step| *step > 0)?;
    // More than could ever be swept need not be counted out.
    let values = (from..=to).step_by(step).take(crate::trials::design::MOST_ARMS + 1);
    Some(values.map(|value| value.to_string()).collect())
}

/// The flags of the load that say what a trial does.
const LOAD_FLAGS: [&str; 17] = [
    "connections",
    "in-flight",
    "rate",
    "arrival",
    "pacing",
    "timestamps",
    "size",
    "payload",
    "verify",
    "tcp-nodelay",
    "permessage-deflate",
    "deflate-level",
    "deflate-threshold",
    "deflate-context-takeover",
    "deflate-window-bits",
    "deflate-memory",
    "tls-versions",
];

const EXIT_CODES: &str = "Exit codes: 0 measured; 1 a server failed, lost or corrupted messages, or had no reply in any trial; 2 usage; 98 an open \
    loop's generator was late itself, or --max-time is too short to tell any effect (without --force); 130 interrupted.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_listed_or_counted_out() {
        let values = |text: &str| server_factor(text).map(|factor| factor.values.join(" "));
        assert_eq!(values("tcp-nodelay=on,off"), Ok("on off".to_owned()));
        assert_eq!(values("--threads=1..4"), Ok("1 2 3 4".to_owned()));
        assert_eq!(values("busy-poll=0..100:25"), Ok("0 25 50 75 100".to_owned()));
        assert_eq!(values("max-connections=1k..3_000:1e3"), Ok("1000 2000 3000".to_owned()));
        assert_eq!(server_factor("--threads=1,2").unwrap().name, "threads");
        for bad in ["threads", "=1,2", "threads=1", "threads=1,1", "threads=1,", "x=4..1", "x=1..9:0", "listen=a,b"] {
            assert!(values(bad).is_err(), "{bad}");
        }
        assert!(load_factor("size=64,4KiB").is_ok() && load_factor("seed=1,2").is_err());
        assert!(load_factor("rate=10k,1_0000").unwrap_err().contains("1_0000 is there twice"));
        assert!(load_factor("connections=1k,2k").is_ok() && load_factor("pacing=sleep,spin").is_ok());
        assert_eq!(load_factor("tls-versions=1.2,1.3").map(|factor| factor.values.len()), Ok(2));
        assert_eq!(range("0", "18446744073709551615").map(|values| values.len()), Some(65));
    }
}
