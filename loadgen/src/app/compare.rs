//! `loadgen compare`: from the arguments to the report and its exit code.

use std::io;

use anyhow::Context as _;

use super::file_content;
use crate::cli::Comparing;
use crate::compare;
use crate::comparison::{Comparison, Ended, text};
use crate::cores::Cores;
use crate::environment;
use crate::interrupt::Interrupt;
use crate::limits;
use crate::output::Sinks;
use crate::payload::Corpus;
use crate::progress::CourseProgress;
use crate::trials::Arm;
use crate::trust::Verdict;
use crate::verdict::Change;

pub(super) fn run(comparing: Comparing, cores: &Cores) -> anyhow::Result<Verdict> {
    let Comparing { question, plan, servers, output } = comparing;
    let mut sinks = Sinks::open(&output, io::stdout())?;
    limits::make_room(&plan, servers.len() as u32)?;
    let content = file_content(&plan)?;
    let interrupt = Interrupt::install().context("cannot handle signals")?;
    let arms = servers.map(|spec| {
        let corpus = Corpus::new(&plan, content.as_deref());
        Arm { spec, plan: plan.clone(), corpus }
    });
    let mut progress = CourseProgress::new("comparing", question.tempo.max_time, output.quiet);
    let mut show = |elapsed, starts| progress.show(elapsed, starts);
    let compared = compare::run(&question, &arms, cores, &interrupt, &mut show);
    progress.clear();
    let mut comparison = compared?;
    comparison.trust.notes.extend(environment::refusals());
    sinks.document(&format!("{}\n", text::render(&comparison)), &comparison)?;
    Ok(verdict(&comparison))
}

/// How a comparison ended; of several the greatest tells.
fn verdict(comparison: &Comparison) -> Verdict {
    let rules = &comparison.rules;
    let regressed = rules.fail_on_regression && comparison.change == Change::Regressed;
    let inconclusive = rules.require_conclusive
        && comparison.metrics.iter().any(|m| m.ruling.is_some_and(|ruling| ruling.change == Change::Inconclusive));
    match () {
        () if comparison.ended == Ended::Interrupted => Verdict::Interrupted,
        () if !comparison.trust.valid => Verdict::Untrusted,
        () if regressed => Verdict::Crossed,
        () if inconclusive => Verdict::Untrusted,
        () => Verdict::Ok,
    }
}
