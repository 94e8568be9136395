//! What a person sees while a run goes on: one line on stderr, redrawn by the thread that waits for the workers. They
//! only add to relaxed counters, once per batch.

mod course;
mod search;

use std::io::{IsTerminal as _, stderr};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::load::live::{Live, Phase};
use crate::plan::{Plan, Stop};
use crate::units;
pub use course::CourseProgress;
pub use search::SearchProgress;

/// The line on stderr.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    plan: Plan,
    phase: Phase,
    /// When the phase began.
    since: Instant,
    drawn: Option<Instant>,
    /// Replies that had come by then.
    before: u64,
}

impl Progress {
    /// A line about a run of `plan`, drawn if stderr is a terminal and the user did not ask for quiet.
    pub fn new(plan: &Plan, quiet: bool) -> Self {
        Self {
            bar: bar(quiet),
            plan: plan.clone(),
            phase: Phase::Connecting,
            since: Instant::now(),
            drawn: None,
            before: 0,
        }
    }

    /// Draws where the run stands; calls that come too soon after the last draw cost next to nothing.
    pub fn show(&mut self, phase: Phase, live: &Live) {
        let too_soon = phase == self.phase && self.drawn.is_some_and(|drawn| drawn.elapsed() < BETWEEN_DRAWS);
        if self.bar.is_hidden() || too_soon {
            return;
        }
        self.drawn = Some(Instant::now());
        let replies = live.replies.load(Relaxed);
        if phase != self.phase {
            (self.phase, self.since, self.before) = (phase, Instant::now(), replies);
        }
        let line = Line::new(&self.plan, phase, self.since.elapsed(), live, replies - self.before);
        self.bar.set_prefix(line.what);
        self.bar.set_position((line.done.clamp(0.0, 1.0) * STEPS as f64) as u64);
        self.bar.set_message(line.figures);
    }

    /// Removes the line, so that the report begins where it was.
    pub fn clear(self) {
        self.bar.finish_and_clear();
    }
}

fn bar(quiet: bool) -> ProgressBar {
    let target =
        if quiet || !stderr().is_terminal() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(STEPS), target);
    let style = ProgressStyle::with_template("{prefix:>10} {bar:30} {msg}").expect("the template is a constant");
    bar.set_style(style.progress_chars("\u{2588}\u{2589}\u{258a}\u{258b}\u{258c}\u{258d}\u{258e}\u{258f} "));
    bar
}

/// What the line says.
#[derive(Debug, PartialEq)]
struct Line {
    what: &'static str,
    done: f64,
    figures: String,
}

impl Line {
    /// The line for a phase of `plan` that began `elapsed` ago and has brought `replies`.
    fn new(plan: &Plan, phase: Phase, elapsed: Duration, live: &Live, replies: u64) -> Self {
        let time = |duration: Duration| format!("{:.1} s", duration.as_secs_f64());
        let timed = |total: Duration| {
            (elapsed.as_secs_f64() / total.as_secs_f64(), format!("{} of {}", time(elapsed.min(total)), time(total)))
        };
        let counted = |count: u64, total: u64| {
            (count as f64 / total as f64, format!("{} of {}", units::count(count), units::count(total)))
        };
        match phase {
            Phase::Connecting => {
                let (done, mut figures) = counted(live.connected.load(Relaxed), plan.connections.get().into());
                let failed = live.failed.load(Relaxed);
                if failed > 0 {
                    figures += &format!(", {} failed", units::count(failed));
                }
                Self { what: "connecting", done, figures }
            }
            Phase::WarmingUp => {
                let (done, figures) = timed(plan.warmup);
                Self { what: "warming up", done, figures }
            }
            Phase::Measuring => {
                let (done, mut figures) = match plan.stop {
                    Stop::After(total) => timed(total),
                    Stop::Messages(total) => counted(replies, total.get()),
                };
                // At the first draw no time has passed, and there is no rate.
                if !elapsed.is_zero() {
                    figures += &format!(", {} messages/s", units::number(replies as f64 / elapsed.as_secs_f64()));
                }
                let p99 = live.p99_ns.load(Relaxed);
                if p99 > 0 {
                    figures += &format!(", p99 {}", units::time(p99 as f64));
                }
                Self { what: "measuring", done, figures }
            }
            Phase::Draining => Self { what: "draining", done: 1.0, figures: "waiting for the last replies".to_owned() },
        }
    }
}

/// Often enough to look alive, rarely enough to cost nothing beside the measurement; and a little less than the fifth of
/// a second at which a caller may wake, lest every second call come too soon.
const BETWEEN_DRAWS: Duration = Duration::from_millis(190);

/// The bar's resolution: 30 characters in eighths are 240 positions.
const STEPS: u64 = 240;

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::program::cli;

    #[test]
    fn the_line_says_how_far_and_how_fast() {
        let plan = cli::default_plan(NonZeroUsize::MIN);
        let live = Live::default();
        live.connected.store(50, Relaxed);
        live.failed.store(2, Relaxed);
        let connecting = Line::new(&plan, Phase::Connecting, Duration::ZERO, &live, 0);
        assert_eq!((connecting.done, connecting.figures.as_str()), (0.5, "50 of 100, 2 failed"));

        live.p99_ns.store(912_000, Relaxed);
        let elapsed = Duration::from_secs(4);
        let timed = Line::new(&plan, Phase::Measuring, elapsed, &live, 400_000);
        assert_eq!((timed.done, timed.figures.as_str()), (0.4, "4.0 s of 10.0 s, 100,000 messages/s, p99 912 us"));
        let counted = Plan { stop: Stop::Messages(1_000.try_into().unwrap()), ..plan };
        assert_eq!(Line::new(&counted, Phase::Measuring, elapsed, &live, 250).done, 0.25);
    }
}
