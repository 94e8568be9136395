//! `loadgen compare`: from the arguments to the report and its exit code.

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;

use super::failure::{Failure, failed};
use super::run::{file_content, interrupt};
use crate::host::cores::Cores;
use crate::host::environment;
use crate::host::limits;
use crate::host::target::Spec;
use crate::judge::outcome::Outcome;
use crate::judge::statistics::Change;
use crate::plan::messages::Corpus;
use crate::program::cli::Comparing;
use crate::program::output::Sinks;
use crate::program::progress::CourseProgress;
use crate::report::comparison::{Comparison, Ended};
use crate::report::formats::text;
use crate::report::saved::{Document, read};
use crate::trials::compare;
use crate::trials::course::Arm;
use crate::trials::resumed::{ResumeError, Saved};

pub(super) fn run(comparing: Comparing, cores: &Cores) -> Result<Outcome, Failure> {
    let Comparing { question, plan, servers, resume, output } = comparing;
    let saved = resume.map(saved).transpose()?;
    let mut sinks = Sinks::open(&output, io::stdout())?;
    limits::make_room(&plan, servers.len() as u32, servers.iter().any(Spec::may_take_bytes))?;
    let content = file_content(&plan).map_err(failed)?;
    let interrupt = interrupt()?;
    let arms = servers.map(|spec| {
        let corpus = Corpus::new(&plan, content.as_deref());
        Arm { spec, plan: plan.clone(), corpus }
    });
    let progress = RefCell::new(CourseProgress::new("comparing", question.tempo.max_time, output.quiet));
    let mut show = |elapsed, starts| progress.borrow_mut().show(elapsed, starts);
    let mut say = |what: &str| progress.borrow().say(what);
    let compared = compare::run(&question, &arms, saved, cores, &interrupt, (&mut show, &mut say));
    progress.into_inner().clear();
    let mut comparison = compared?;
    // One that goes on from another has some of these.
    let notes = &mut comparison.trust.notes;
    for note in environment::refusals().into_iter().chain(arms[0].plan.connect.tls.note()) {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    sinks.document(&text::comparison(&comparison), &comparison)?;
    Ok(outcome(&comparison))
}

/// The comparison to go on from.
fn saved(file: PathBuf) -> Result<Saved, Failure> {
    match read(&file)? {
        Document::Comparison(comparison) => Ok(Saved { file, comparison: *comparison }),
        Document::Runs(_)
        | Document::Sweep(_)
        | Document::Connections(_)
        | Document::Fanout(_)
        | Document::Capacity(_)
        | Document::Capacities(_) => {
            let why = "it holds no comparison: expected what loadgen compare -o FILE saved".to_owned();
            Err(ResumeError::Over { file, why }.into())
        }
    }
}

/// How a comparison ended; of several the greatest tells.
fn outcome(comparison: &Comparison) -> Outcome {
    match () {
        () if comparison.ended == Ended::Interrupted => Outcome::Interrupted,
        () if !comparison.trust.is_valid() => Outcome::Untrusted,
        () if comparison.rules.fail_on_regression && comparison.change == Change::Regressed => Outcome::Crossed,
        () if comparison.inconclusive_fails() && comparison.is_inconclusive() => Outcome::Untrusted,
        () => Outcome::Ok,
    }
}
