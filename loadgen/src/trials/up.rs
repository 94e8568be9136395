//! A server that is up, with connections to it: load that nobody counts, slices of its warm-up, trials, and its memory.

use std::thread;
use std::time::{Duration, Instant};

use super::failure::{TrialError, failure};
use super::pace::Pace;
use crate::host::descendants::descendants;
use crate::host::interrupt::Interrupt;
use crate::host::resources::Sampler;
use crate::host::running::{Running, Shares};
use crate::host::target::Spec;
use crate::judge::connection_memory;
use crate::load::live::{Live, Phase};
use crate::load::run::note_end_of;
use crate::load::session::{Session, Span};
use crate::load::worker::Common;
use crate::measure::arrivals::Arrivals;
use crate::measure::counts::{Counts, Messages};
use crate::measure::datagrams::Datagrams;
use crate::measure::measured::Measured;
use crate::measure::metric::Metric;
use crate::measure::recorder::Interval;
use crate::measure::so_far::Passed;
use crate::measure::times::Times;
use crate::measure::tls::Secured;
use crate::measure::trial::{Figures, Trial};
use crate::plan::messages::Corpus;
use crate::plan::{Plan, Stop};

/// A server and the load that it is to be measured under.
#[derive(Debug)]
pub struct Arm {
    /// Which server.
    pub spec: Spec,
    /// The load; its warm-up, duration and seed are the tempo's.
    pub plan: Plan,
    /// The messages of the plan.
    pub corpus: Corpus,
}

/// A server that is up, with connections to it.
pub(super) struct Up<'a, 'scope> {
    pub arm: &'a Arm,
    pub server: &'a Running,
    /// What it had started when all connections were open.
    children: Vec<i32>,
    pub session: Session<'a, 'scope>,
    /// Its memory, from its first trial on.
    sampler: Option<Sampler>,
    /// What became of its messages since they were taken from here.
    pub messages: Messages,
    /// What UDP did to them; `None` where another protocol is spoken.
    pub datagrams: Option<Datagrams>,
    /// How long replies were waited for after the load that came last and nobody counted.
    waited: Duration,
    /// What a reply takes, in the median of the quickest of its trials.
    round_trip: Duration,
    /// Of its trials.
    pub arrivals: Arrivals,
    /// What TLS has settled on the connections that were opened to it.
    pub tls: Secured,
    /// Whether a limit judges wrong and missing replies, so that those of load that nobody counts end nothing.
    tolerates_errors: bool,
}

/// What is known of a server once its connections are closed.
pub(super) struct End {
    pub messages: Messages,
    pub datagrams: Option<Datagrams>,
    pub arrivals: Arrivals,
    /// What TLS has settled on its connections.
    pub tls: Secured,
    pub figures: Figures,
    pub is_fathom: bool,
}

impl<'a, 'scope> Up<'a, 'scope> {
    /// With `tolerates_errors`, wrong and missing replies outside of probes end nothing.
    pub fn new(arm: &'a Arm, server: &'a Running, session: Session<'a, 'scope>, tolerates_errors: bool) -> Self {
        let (messages, arrivals, tls) = (Messages::default(), Arrivals::default(), session.tls().clone());
        server.look_again();
        // One for each connection, say, all of which are open.
        let children = descendants(server.pids());
        let (sampler, datagrams, waited, round_trip) = (None, None, Duration::ZERO, Duration::MAX);
        Self {
            arm,
            server,
            children,
            session,
            sampler,
            messages,
            datagrams,
            waited,
            round_trip,
            arrivals,
            tls,
            tolerates_errors,
        }
    }

    /// Adds what became of more messages.
    pub fn count(&mut self, counts: &Counts) {
        self.messages += counts.messages;
        if let Some(datagrams) = counts.datagrams {
            *self.datagrams.get_or_insert_default() += datagrams;
        }
    }

    /// The first of its trials comes next, from which on its memory counts.
    pub fn begin(&mut self) {
        if self.sampler.is_none() {
            self.sampler = Sampler::of_known(self.server.pids(), &self.children).map(Sampler::from_here);
        }
    }

    /// Load that nobody counts, for `length` and longer until there were so many replies, but for no more than about `longest`,
    /// waiting for replies included. Returns how they came, `None` where there was none; and how long it took to run for `length`
    /// alone.
    pub fn pace(
        &mut self,
        length: Duration,
        replies: u64,
        longest: Duration,
        seed: u64,
    ) -> Result<(Option<Pace>, Duration), TrialError> {
        let (mut length, mut came, mut passed, mut quickest) = (length, 0, Duration::ZERO, Duration::MAX);
        let (began, mut once) = (Instant::now(), None);
        loop {
            let mut take = |interval: &Interval, _: Option<Passed<'_>>| {
                let least = interval.times.latency.min();
                quickest = if least > 0 { quickest.min(Duration::from_nanos(least)) } else { quickest };
            };
            let measured = self.phase(length, seed, &mut take, &mut |_| ())?;
            came += measured.counts.messages.verified;
            passed += measured.window.max(measured.answered_after);
            let once = *once.get_or_insert_with(|| began.elapsed());
            if came >= replies || began.elapsed() >= longest || measured.interrupted {
                let pace = || Pace { rate: came as f64 / passed.as_secs_f64(), quickest };
                return Ok(((came > 0).then(pace), once));
            }
            length *= 2;
        }
    }

    /// What a message costs in this much load that nobody counts, and how many come in a second: the CPU time of the server
    /// for one, or the median latency where its process cannot be seen. 0 for what is not known.
    pub fn slice(&mut self, length: Duration, seed: u64) -> Result<[f64; 2], TrialError> {
        let latency = Metric::latency(50.0);
        let trial = self.trial(length, seed, &[Metric::ServerCpu, latency])?;
        let cost = trial.figures.get(&Metric::ServerCpu).or(trial.figures.get(&latency));
        Ok([cost.copied().unwrap_or(0.0), trial.achieved_rate])
    }

    /// Load that nobody counts.
    pub fn settle(&mut self, length: Duration, seed: u64, show: &mut dyn FnMut(Phase)) -> Result<(), TrialError> {
        self.waited = Duration::ZERO;
        if length.is_zero() {
            return Ok(());
        }
        let measured = self.phase(length, seed, &mut |_, _| (), show)?;
        self.waited = measured.answered_after.saturating_sub(measured.window);
        Ok(())
    }

    /// What the server's memory has come to.
    pub fn memory(&self) -> Figures {
        let mut figures = Figures::new();
        // One that ran before has memory that earlier connections left. Memory that grows in leaps has no one figure, but an
        // interval, which no ratio can be made of.
        if !matches!(self.arm.spec, Spec::Url(_))
            && let Ok(memory) = connection_memory::of(self.session.growth())
            && memory.high <= WIDEST_MEMORY * memory.low
        {
            figures.insert(Metric::ConnectionMemory, memory.estimate);
        }
        if let Some(usage) = self.sampler.as_ref().and_then(Sampler::so_far) {
            figures.insert(Metric::ServerMemory, usage.max_rss_bytes as f64);
        }
        figures
    }

    /// Closes its connections, whose server has come to these figures.
    pub fn close(self, figures: Figures) -> Result<End, TrialError> {
        let Self { session, messages, datagrams, arrivals, tls, .. } = self;
        let is_fathom = session.is_fathom();
        session.close()?;
        Ok(End { messages, datagrams, arrivals, tls, figures, is_fathom })
    }

    pub fn trial(&mut self, length: Duration, seed: u64, metrics: &[Metric]) -> Result<Trial, TrialError> {
        thread::sleep(REST);
        let sampler = Sampler::of_known(self.server.pids(), &self.children);
        let mut times = Times::new();
        let mut arrivals = Arrivals::default();
        let mut take = |interval: &Interval, _: Option<Passed<'_>>| {
            times.add(&interval.times);
            arrivals += interval.arrivals;
        };
        let measured = self.phase(length, seed, &mut take, &mut |_| ())?;
        self.arrivals += arrivals;
        thread::sleep(REST);
        let cpu = sampler.and_then(|sampler| sampler.cpu_of_known());
        let replies = measured.counts.messages.verified;
        // By the time of the last: where a round trip is not short against the trial, connections make whole turns, the same
        // number for servers of quite different speed. But a silence of several round trips is the server's.
        let (window, last) = (measured.window, measured.last_reply_after);
        let round_trip = Duration::from_nanos(times.latency.value_at_quantile(0.5));
        let is_silent = last.is_zero() || window.saturating_sub(last) > 2 * round_trip;
        let taken = if is_silent { window } else { last };
        let throughput = measured.counts.replies_in_window as f64 / taken.as_secs_f64();
        self.round_trip = self.round_trip.min(round_trip);
        let behind = measured.answered_after.saturating_sub(window);
        let waits = [std::mem::take(&mut self.waited), behind];
        let stood_still = waits.iter().map(|wait| wait.saturating_sub(2 * self.round_trip)).sum();
        let figure = |metric: Metric| match metric {
            Metric::Throughput => Some(throughput),
            Metric::Time(distribution, statistic) => statistic.of_histogram(times.of(distribution)?),
            Metric::WireBytes => measured.counts.traffic.bytes_per_message(),
            Metric::WireRatio => measured.counts.traffic.ratio(),
            Metric::ServerCpu if replies > 0 => Some(cpu?.as_nanos() as f64 / replies as f64),
            _ => None,
        };
        let figures = metrics.iter().filter_map(|metric| Some((*metric, figure(*metric)?)));
        Ok(Trial {
            figures: figures.filter(|(_, figure)| *figure > 0.0 && figure.is_finite()).collect(),
            achieved_rate: measured.counts.replies_in_window as f64 / window.as_secs_f64(),
            waited: stood_still,
            latency_min: times.latency.min(),
            send_lag_p99: times.send_lag.value_at_quantile(0.99),
        })
    }

    fn phase(
        &mut self,
        length: Duration,
        seed: u64,
        take: &mut dyn FnMut(&Interval, Option<Passed<'_>>),
        show: &mut dyn FnMut(Phase),
    ) -> Result<Measured, TrialError> {
        // The sampler of a phase looks at a busy process, whose clock lags by up to a tick of the kernel's (4 ms): here
        // the server is looked at while it rests.
        let stop = Stop::After(length);
        let span = Span::plain(Some(self.arm.plan.load), stop, seed, DELAY);
        let mut measured = self.session.phase(span, take, show)?;
        note_end_of(self.server, &mut measured);
        self.count(&measured.counts);
        match self.failure(&measured) {
            Some(why) if !measured.interrupted => return Err(self.failed(why)),
            None if !measured.interrupted && self.tolerates_errors => self.reconnect_after(&measured, show)?,
            _ => {}
        }
        Ok(measured)
    }

    /// What went wrong in load that is no probe, in words.
    pub fn failure(&self, measured: &Measured) -> Option<String> {
        let gone = measured.all_lost.is_some() || measured.server_ended.is_some();
        let judged_by_limits = self.tolerates_errors && !gone && measured.counts.connections.failed == 0;
        failure(measured).filter(|_| !judged_by_limits)
    }
}

/// What the workers of a session with this server share.
pub(super) fn common<'a>(
    arm: &'a Arm,
    server: &'a Running,
    shares: &'a Shares,
    interrupt: &'a Interrupt,
    live: &'a Live,
) -> Common<'a> {
    Common {
        plan: &arm.plan,
        url: server.url(),
        addresses: server.addresses(),
        corpus: &arm.corpus,
        cores: shares.workers(),
        interrupted: interrupt.flag(),
        live,
        workers: arm.plan.workers(),
        server_pids: server.pids(),
    }
}

/// How many times the lower end of its interval the upper end of a connection's memory may be, for the middle to be a figure.
const WIDEST_MEMORY: f64 = 2.0;

/// The longest that a server is given to show how fast it is.
pub(super) const LONGEST_PACE: Duration = Duration::from_secs(2);

/// How long a server may go on after its last reply: until it waits again, its CPU clock is not up to date.
const REST: Duration = Duration::from_micros(300);

/// How long the workers have to reach their lanes: waking a thread takes a tenth of it on an idle core.
const DELAY: Duration = Duration::from_micros(300);
