//! What a person sees while a capacity is looked for.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::{BETWEEN_DRAWS, STEPS, bar};
use crate::trials::capacity::Stage;
use crate::units;

/// The line on stderr of a search.
#[derive(Debug)]
pub struct SearchProgress {
    bar: ProgressBar,
    max_time: Duration,
    drawn: Option<Instant>,
}

impl SearchProgress {
    /// A line that is drawn if stderr is a terminal and the user did not ask for quiet.
    pub fn new(max_time: Duration, quiet: bool) -> Self {
        let bar = bar(quiet);
        bar.set_prefix("searching");
        Self { bar, max_time, drawn: None }
    }

    /// Draws where it stands.
    pub fn show(&mut self, stage: &Stage) {
        if self.bar.is_hidden() || self.drawn.is_some_and(|drawn| drawn.elapsed() < BETWEEN_DRAWS) {
            return;
        }
        self.drawn = Some(Instant::now());
        let share = stage.elapsed.as_secs_f64() / self.max_time.as_secs_f64();
        self.bar.set_position((share.clamp(0.0, 1.0) * STEPS as f64) as u64);
        let now = match stage.rate {
            None => "the server warms up".to_owned(),
            Some(rate) => format!("{}/s", units::number(rate)),
        };
        let between = stage.narrowed.map_or_else(String::new, |(low, high)| {
            format!(", it seems to lie between {} and {}/s", units::number(low), units::number(high))
        });
        self.bar.set_message(format!("{now}; {}{between}", units::counted(stage.probes as u64, "probe")));
    }

    /// Removes the line.
    pub fn clear(self) {
        self.bar.finish_and_clear();
    }
}
