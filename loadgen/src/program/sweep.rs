//! `loadgen sweep`: from the arguments to the report and its exit code.

use std::cell::RefCell;
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
    let Sweeping { design, question, arms, output } = sweeping;
    let mut sinks = Sinks::open(&output, io::stdout())?;
    let servers = arms.len() as u32;
    let arms: Vec<Arm> = arms
        .into_iter()
        .map(|(spec, plan)| {
            limits::make_room(&plan, servers, spec.may_take_bytes())?;
            let corpus = Corpus::new(&plan, file_content(&plan).map_err(failed)?.as_deref());
            Ok(Arm { spec, plan, corpus })
        })
        .collect::<Result<_, Failure>>()?;
    let interrupt = interrupt()?;
    let progress = RefCell::new(CourseProgress::new("sweeping", question.tempo.max_time, output.quiet));
    let mut show = |elapsed, starts| progress.borrow_mut().show(elapsed, starts);
    let mut say = |what: &str| progress.borrow().say(what);
    let swept = sweep::run(&design, &question, &arms, cores, &interrupt, (&mut show, &mut say));
    progress.into_inner().clear();
    let mut sweep = swept?;
    sweep.trust.notes.extend(environment::refusals());
    sweep.trust.notes.extend(arms[0].plan.connect.tls.note());
    sinks.document(&text::sweep(&sweep), &sweep)?;
    Ok(match () {
        () if sweep.ended == Ended::Interrupted => Outcome::Interrupted,
        () if sweep.ended == Ended::TooShort || !sweep.trust.is_valid() => Outcome::Untrusted,
        () => Outcome::Ok,
    })
}
