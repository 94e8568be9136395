//! The arguments of `loadgen compare`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use server::numbers::count_in;

use super::trials::{TrialsArgs, check_connections, check_gate, check_lives, check_warmup, gate_metric};
use super::{fit, refusal, values};
use crate::host::target::Spec;
use crate::measure::metric::Metric;
use crate::plan::Plan;
use crate::program::output::Output;
use crate::trials::question::Question;
use crate::units;

/// What to compare, and how.
#[derive(Debug)]
pub struct Comparing {
    /// What is to be found out.
    pub question: Question,
    /// The load.
    pub plan: Plan,
    /// The server that is compared with, and the one that is compared.
    pub servers: [Spec; 2],
    /// The saved comparison to go on from.
    pub resume: Option<PathBuf>,
    /// Where the report goes.
    pub output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CompareArgs {
    /// The server that is compared with: a URL, flags of echo-server for an embedded one, or a command holding {port}
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true, required_unless_present = "aa")]
    a: Option<Spec>,
    /// The server that is compared, likewise; '' is the embedded one without flags
    #[arg(
        long,
        value_name = "SPEC",
        allow_hyphen_values = true,
        required_unless_present = "aa",
        conflicts_with = "aa"
    )]
    b: Option<Spec>,
    /// Compare A (the embedded server, unless given) with itself: prints what this machine can resolve
    #[arg(long)]
    aa: bool,
    #[command(flatten)]
    judgement: JudgementArgs,
    #[command(flatten)]
    trials: TrialsArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Judgement")]
struct JudgementArgs {
    /// A metric to judge; repeatable: throughput in a closed loop; with --rate latency or service_time with a statistic,
    /// as latency.p99.9 or service_time.mean; in either server.cpu, server.memory, connection.memory, wire.bytes and
    /// wire.ratio [default: throughput and server.cpu; with --rate latency.p50, latency.p99 and server.cpu]
    #[arg(long = "gate", value_name = "METRIC", value_delimiter = ',', value_parser = gate_metric)]
    gate: Vec<Metric>,
    /// A change of up to this much either way does not matter; the PCT of --fail-on-regression where that has none
    /// [default: 2%]
    #[arg(long, value_name = "PCT", value_parser = values::percent)]
    tolerance: Option<f64>,
    /// Ask of each gated metric only whether it is worse by more than this (without PCT: the --tolerance). Exit with
    /// 0 where none is, better ones included; 99 where one is; 98 where the figures do not tell
    #[arg(long, value_name = "PCT", value_parser = values::percent)]
    fail_on_regression: Option<Option<f64>>,
    /// Exit with 0 instead of 98 where --fail-on-regression could not be decided, also where --max-time is too short for that
    #[arg(long, requires = "fail_on_regression", conflicts_with = "require_conclusive")]
    allow_inconclusive: bool,
    /// Exit with 98 where a gated metric could not be decided, also without --fail-on-regression
    #[arg(long)]
    require_conclusive: bool,
    /// Go on where the first starts show that --max-time is too short for any verdict; otherwise it ends then, says which
    /// time would do, and exits with 98. --aa always goes on
    #[arg(long)]
    force: bool,
    /// The chance of any wrong verdict of regressed or improved, over all gated metrics; and of equivalent or not worse
    /// likewise
    #[arg(long, value_name = "PCT", default_value = "1%", value_parser = values::positive_percent)]
    alpha: f64,
    /// How many attempts may be made: this one, and those that go on from it with --resume. All of them share --alpha,
    /// each may take --max-time; at most 9
    #[arg(long, value_name = "N", default_value = "1", value_parser = count_in::<u32, 1, 9>)]
    attempts: u32,
    /// Go on from a comparison that was saved as JSON: with the next of its --attempts, with what is left of its time
    /// where it was interrupted, or anew with its starts where its time was too short, and then also with a longer --max-time.
    /// All other flags must be the same as then
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
}

impl CompareArgs {
    pub(super) fn lower(self, threads: NonZeroUsize) -> Result<Comparing, clap::Error> {
        let load = self.trials.load();
        let (alpha, attempts, resume) = (self.judgement.alpha, self.judgement.attempts, self.judgement.resume.clone());
        let JudgementArgs {
            gate, tolerance, fail_on_regression, allow_inconclusive, require_conclusive, force, ..
        } = self.judgement;
        if let (Some(tolerance), Some(Some(loss))) = (tolerance, fail_on_regression) {
            return Err(refusal(&format!(
                "--fail-on-regression {} takes the place of --tolerance {}; expected one of them to have a PCT",
                units::percent(loss),
                units::percent(tolerance)
            )));
        }
        check_gate(&gate, &load)?;
        let judged = if gate.is_empty() { Metric::gated_by_default(&load) } else { &gate };
        let tempo = self.trials.tempo(2, judged)?;
        let question = Question {
            tempo,
            gate: (!gate.is_empty()).then_some(gate),
            alpha,
            attempts,
            tolerance: fail_on_regression.flatten().or(tolerance).unwrap_or(TOLERANCE),
            aa: self.aa,
            fail_on_regression: fail_on_regression.is_some(),
            allow_inconclusive,
            require_conclusive,
            capacity: None,
            force,
        };
        let plan = self.trials.plan(tempo, threads)?;
        check_connections(question.gate.as_deref().unwrap_or_default(), &plan)?;
        let embedded = Spec::embedded_for(&plan, &[]);
        let a = self.a.unwrap_or(embedded);
        let b = self.b.unwrap_or_else(|| a.clone());
        fit([&a, &b], &plan)?;
        check_lives(question.gate.as_deref().unwrap_or_default(), tempo.restarts, [&a, &b].into_iter())?;
        let gates = question.gate.as_deref().unwrap_or(Metric::gated_by_default(&plan.load)).len();
        let attempts = (!force && !question.aa).then_some(attempts);
        check_warmup(&tempo, &[&a, &b], question.asked(gates).fewest_starts(), attempts)?;
        Ok(Comparing { question, plan, servers: [a, b], resume, output: self.trials.output()? })
    }
}

/// The tolerance unless told otherwise: less than this is seldom worth a change, and a shared machine can tell it.
const TOLERANCE: f64 = 0.02;

const EXIT_CODES: &str = "Verdicts: regressed or improved (the interval of the change lies beyond the tolerance), \
    equivalent (within it), inconclusive (neither; the report says how much longer it needs). With --fail-on-regression: \
    not worse (nothing of the interval is worse than PCT) takes the place of equivalent.\n\n\
    Exit codes: 0 compared; 1 a server failed, lost or corrupted messages, or had no reply in any trial; 2 usage; 98 an open loop's generator was \
    late itself, --max-time is too short for any verdict (without --force or --allow-inconclusive), or a metric is inconclusive and --fail-on-regression (without --allow-inconclusive) or --require-conclusive is given; 99 --fail-on-regression and a metric regressed; \
    130 interrupted.";
