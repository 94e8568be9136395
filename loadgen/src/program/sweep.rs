//! `loadgen sweep`: from the arguments to the report and its exit code.

use std::io;

use super::failure::{Failure, failed};
use super::run::{file_content, interrupt};
use crate::host::cores::Cores;
use crate::host::environment;
use crate::host::limits;
use crate::judge::outcome::Outcome;
use crate::plan::messages::Corpus;
use crate::program::cli::Sweeping;
use crate::program::output::Sinks;
use crate::program::progress::CourseProgress;
use crate::report::comparison::Ended;
use crate::report::formats::text;
use crate::trials::course::Arm;
use crate::trials::sweep;

pub(super) fn run(sweeping: Sweeping, cores: &Cores) -> Result<Outcome, Failure> {
    let Sweeping { design, tempo, gate, alpha, arms, output } = sweeping;
    let mut sinks = Sinks::open(&output, io::stdout())?;
    let servers = arms.len() as u32;
    let arms: Vec<Arm> = arms
        .into_iter()
        .map(|(spec, plan)| {
            limits::make_room(&plan, servers)?;
            let corpus = Corpus::new(&plan, file_content(&plan).map_err(failed)?.as_deref());
            Ok(Arm { spec, plan, corpus })
        })
        .collect::<Result<_, Failure>>()?;
    let interrupt = interrupt()?;
    let mut progress = CourseProgress::new("sweeping", tempo.max_time, output.quiet);
    let mut show = |elapsed, starts| progress.show(elapsed, starts);
    let question = sweep::Question { tempo, gate, alpha };
    let swept = sweep::run(&design, &question, &arms, cores, &interrupt, &mut show);
    progress.clear();
    let mut sweep = swept?;
    sweep.trust.notes.extend(environment::refusals());
    sweep.trust.notes.extend(arms[0].plan.connect.tls.note());
    sinks.document(&text::sweep(&sweep), &sweep)?;
    Ok(match () {
        () if sweep.ended == Ended::Interrupted => Outcome::Interrupted,
        () if !sweep.trust.is_valid() => Outcome::Untrusted,
        () => Outcome::Ok,
    })
}
