//! What a person sees while servers are measured in turn.

use std::io::{Write as _, stderr};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::{BETWEEN_DRAWS, STEPS, bar};
use crate::units;

/// The line on stderr of a comparison or a sweep.
#[derive(Debug)]
pub struct CourseProgress {
    bar: ProgressBar,
    max_time: Duration,
    drawn: Option<Instant>,
    quiet: bool,
}

impl CourseProgress {
    /// A line that begins with `what`, drawn if stderr is a terminal and the user did not ask for quiet.
    pub fn new(what: &'static str, max_time: Duration, quiet: bool) -> Self {
        let bar = bar(quiet);
        bar.set_prefix(what);
        Self { bar, max_time, drawn: None, quiet }
    }

    /// Draws how much of the time is over, and how often the servers have been started.
    pub fn show(&mut self, elapsed: Duration, starts: usize) {
        if self.bar.is_hidden() || self.drawn.is_some_and(|drawn| drawn.elapsed() < BETWEEN_DRAWS) {
            return;
        }
        self.drawn = Some(Instant::now());
        let part = elapsed.div_duration_f64(self.max_time);
        self.bar.set_position((part.clamp(0.0, 1.0) * STEPS as f64) as u64);
        self.bar.set_message(message(elapsed, self.max_time, starts));
    }

    /// Says something above the line, unless the user asked for quiet.
    pub fn say(&self, what: &str) {
        if !self.quiet {
            // Where stderr cannot be written, the report says it too.
            self.bar.suspend(|| drop(writeln!(stderr(), "{what}")));
        }
    }

    /// Removes the line.
    pub fn clear(self) {
        self.bar.finish_and_clear();
    }
}

fn message(elapsed: Duration, max_time: Duration, starts: usize) -> String {
    let [elapsed, all] = [elapsed, max_time].map(|time| time.as_secs_f64());
    format!("{elapsed:.1} s of at most {all:.0} s, {}", units::counted(starts as u64, "start"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_start_is_no_starts() {
        let said = |starts| message(Duration::from_millis(1250), Duration::from_secs(60), starts);
        assert_eq!(
            (said(1).as_str(), said(2).as_str()),
            ("1.2 s of at most 60 s, 1 start", "1.2 s of at most 60 s, 2 starts")
        );
    }
}
