//! `loadgen sweep`: from the arguments to the report and its exit code.

use std::io;

use anyhow::Context as _;

use super::file_content;
use crate::cli::Sweeping;
use crate::comparison::Ended;
use crate::cores::Cores;
use crate::environment;
use crate::interrupt::Interrupt;
use crate::limits;
use crate::output::Sinks;
use crate::payload::Corpus;
use crate::progress::CourseProgress;
use crate::sweep::{self, text};
use crate::trials::Arm;
use crate::trust::Verdict;

pub(super) fn run(sweeping: Sweeping, cores: &Cores) -> anyhow::Result<Verdict> {
    let Sweeping { design, tempo, alpha, arms, output } = sweeping;
    let mut sinks = Sinks::open(&output, io::stdout())?;
    let servers = arms.len() as u32;
    let arms: Vec<Arm> = arms
        .into_iter()
        .map(|(spec, plan)| {
            limits::make_room(&plan, servers)?;
            let corpus = Corpus::new(&plan, file_content(&plan)?.as_deref());
            Ok(Arm { spec, plan, corpus })
        })
        .collect::<anyhow::Result<_>>()?;
    let interrupt = Interrupt::install().context("cannot handle signals")?;
    let mut progress = CourseProgress::new("sweeping", tempo.max_time, output.quiet);
    let mut show = |elapsed, starts| progress.show(elapsed, starts);
    let swept = sweep::run(&design, tempo, alpha, &arms, cores, &interrupt, &mut show);
    progress.clear();
    let mut sweep = swept?;
    sweep.trust.notes.extend(environment::refusals());
    sinks.document(&format!("{}\n", text::render(&sweep)), &sweep)?;
    Ok(match () {
        () if sweep.ended == Ended::Interrupted => Verdict::Interrupted,
        () if !sweep.trust.valid => Verdict::Untrusted,
        () => Verdict::Ok,
    })
}
