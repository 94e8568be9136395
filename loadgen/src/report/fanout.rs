//! The report of `loadgen fanout`: plain data that is written as JSON (`schema/fanout-v1.schema.json` describes it) and read
//! back.

pub mod parts;
pub(crate) mod words;

use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::environment::Environment;
use crate::host::relay_losses::RelayLosses;
use crate::judge::held_threshold::{self, FanoutThreshold};
use crate::judge::outcome::Outcome;
use crate::judge::threshold::Judged;
use crate::judge::trust::Trust;
use crate::measure::arrivals::{Arrivals, EndsAt};
use crate::measure::counts::Connections;
use crate::measure::delivery_mismatch::DeliveryMismatches;
use crate::measure::encoded::DecodeError;
use crate::measure::failures::Failures;
use crate::measure::fanout::{Deliveries, Measured, Sent};
use crate::measure::fanout_metric::{FanoutMetric, Plain, Span};
use crate::plan::fanout::Fanout;
use crate::report::figure::Figure;
use crate::report::{Stats, TlsReport};
use crate::serde_time::Rfc3339;
use parts::{Churn, Cost, Reach, Stalled, Undisturbed};

/// What became of messages that a few sent to many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FanoutReport {
    /// The format of this document.
    pub schema: FanoutSchema,
    /// The server: its URL, or how it was started and where.
    pub target: String,
    /// When the first connection was begun, UTC (RFC 3339).
    #[serde(with = "Rfc3339")]
    pub began_at: SystemTime,
    /// Whether it was ended early on request.
    pub interrupted: bool,
    /// How the server's process ended; null where it was not started here or has not.
    pub server_ended: Option<String>,
    /// How long all of it took, in seconds.
    #[schemars(range(min = 0))]
    pub elapsed_seconds: f64,
    /// How long it was measured, in seconds.
    #[schemars(range(min = 0))]
    pub measured_seconds: f64,
    /// What the figures are worth.
    pub trust: Trust,
    /// The limits, and what became of them.
    pub thresholds: Vec<Judged>,
    /// Who was to send and to receive, and what was to disturb them.
    pub asked: Fanout,
    /// What became of the senders' connections.
    pub senders: Connections,
    /// What became of the receivers' connections, but for those lost of receivers that did not read.
    pub receivers: Connections,
    /// Why connections were not opened or were lost, and how often.
    pub failures: Failures,
    /// The messages of the measured time.
    pub messages: Sent,
    /// Whether the content of deliveries was compared with what was sent, and not their numbers alone.
    pub compared: bool,
    /// What became of their deliveries to the receivers that read all the time.
    pub deliveries: Deliveries,
    /// What was wrong with deliveries that were altered or unexpected, to any receiver, from the end of the warm-up on.
    #[serde(default)]
    pub mismatches: DeliveryMismatches,
    /// Of these, the ones that came per second of the measured time.
    #[schemars(range(min = 0))]
    pub deliveries_per_second: f64,
    /// From due to arrived, ns: of each delivery.
    pub latency: Stats,
    /// Where the latency ends.
    pub ends_at: EndsAt,
    /// What says when deliveries arrived.
    pub arrivals: Arrivals,
    /// From due to sent, ns: the generator's own lateness.
    pub send_lag: Stats,
    /// From arrived to read, ns.
    pub read_lag: Stats,
    /// How many of the receivers got a message, and by when.
    pub reach: Reach,
    /// From due until a message had reached all of its receivers, ns; of the messages that did.
    pub everyone: Stats,
    /// Between the first and the last receiver of a message, ns; of each message.
    pub skew: Stats,
    /// The same load before anything disturbed it; null where nothing was to.
    pub undisturbed: Option<Undisturbed>,
    /// Receivers that did not read in the measured time; null without.
    pub stalled: Option<Stalled>,
    /// Members that joined and left; null without.
    pub churn: Option<Churn>,
    /// What the server says that it did not deliver, by cause, while the members were connected; null where it does not say, as
    /// other servers than Fathom's.
    #[serde(default)]
    pub relay_losses: Option<RelayLosses>,
    /// How TLS was spoken; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
    /// What the generator used in the measured time.
    pub loadgen: Cost,
    /// What the server's processes used in it; null where they cannot be looked at.
    pub server: Option<Cost>,
    /// Where it ran, and the plan of the load.
    pub environment: Environment,
}

/// The format of the report of a fan-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FanoutSchema {
    /// The first version of `fanout-v1.schema.json`.
    #[serde(rename = "fathom/fanout/v1")]
    V1,
}

/// When, where and at what a fan-out was measured.
#[derive(Debug)]
pub struct Frame<'a> {
    /// What the server is called.
    pub target: &'a str,
    /// When it began.
    pub began_at: SystemTime,
    /// How long all of it took, in seconds.
    pub elapsed_seconds: f64,
    /// How the server's process ended, if it did.
    pub server_ended: Option<String>,
    /// Who was to send and to receive.
    pub fanout: &'a Fanout,
    /// What the figures are worth.
    pub trust: Trust,
    /// Where it ran.
    pub environment: Environment,
}

impl FanoutReport {
    /// Of what was measured.
    pub fn new(frame: Frame<'_>, measured: &Measured) -> Self {
        let Frame { target, began_at, elapsed_seconds, server_ended, fanout, trust, environment } = frame;
        let received = measured.tally.deliveries.received;
        let seconds = measured.window.as_secs_f64();
        let compared = fanout.mark.is_none();
        Self {
            schema: FanoutSchema::V1,
            target: target.to_owned(),
            began_at,
            interrupted: measured.interrupted,
            server_ended,
            elapsed_seconds,
            measured_seconds: seconds,
            trust,
            thresholds: Vec::new(),
            asked: fanout.clone(),
            senders: measured.senders,
            receivers: measured.receivers,
            failures: measured.failures.clone(),
            messages: measured.messages,
            compared,
            deliveries: measured.tally.deliveries.compared(compared),
            mismatches: measured.mismatches.clone(),
            deliveries_per_second: if seconds > 0.0 { received as f64 / seconds } else { 0.0 },
            latency: Stats::from(&measured.tally.latency),
            ends_at: measured.arrivals.ends_at(),
            arrivals: measured.arrivals,
            send_lag: Stats::from(&measured.send_lag),
            read_lag: Stats::from(&measured.read_lag),
            reach: Reach::of(measured),
            everyone: Stats::from(&measured.everyone),
            skew: Stats::from(&measured.skew),
            undisturbed: measured.undisturbed.as_ref().map(|(length, tally)| Undisturbed {
                seconds: length.as_secs_f64(),
                deliveries: tally.deliveries.compared(compared),
                latency: Stats::from(&tally.latency),
            }),
            stalled: fanout.stall.map(|_| Stalled {
                receivers: measured.stalled.0,
                dropped: measured.stalled.1,
                deliveries: measured.of_stalled.deliveries.compared(compared),
                latency: Stats::from(&measured.of_stalled.latency),
            }),
            churn: (measured.visitors.as_ref().zip(fanout.churn))
                .map(|(visitors, rate)| Churn::of(visitors, rate, &environment.plan.connect.tls, compared)),
            relay_losses: measured.relay_losses,
            tls: TlsReport::of(&environment.plan.connect.tls, &measured.tls),
            loadgen: Cost::of(&measured.loadgen, received),
            server: measured.server.as_ref().map(|usage| Cost::of(usage, received)),
            environment,
        }
    }

    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        if self.interrupted {
            Outcome::Interrupted
        } else if self.deliveries.received == 0 {
            Outcome::Failed
        } else {
            held_threshold::outcome::<FanoutMetric>(&self.thresholds, &self.trust, &self.errors())
        }
    }

    /// Everything that went wrong, by the metric whose limit allows it.
    pub fn errors(&self) -> Vec<(FanoutMetric, u64)> {
        [self.member_errors(), self.delivery_errors()].concat()
    }

    /// Connections that went wrong.
    pub(super) fn member_errors(&self) -> Vec<(FanoutMetric, u64)> {
        let members = [self.senders, self.receivers];
        let (failed, dropped) = self.churn.as_ref().map_or((0, 0), |churn| (churn.failed, churn.dropped));
        let counts = [
            (Plain::Failed, members.iter().map(|counts| counts.failed).sum()),
            (Plain::Dropped, members.iter().map(|counts| counts.dropped).sum()),
            (Plain::ChurnFailed, failed),
            (Plain::ChurnDropped, dropped),
        ];
        counts.map(|(of, count)| (FanoutMetric::Plain(of), count)).to_vec()
    }

    /// Messages and deliveries that went wrong, also those before the disturbances and those to visitors; a receiver that does
    /// not read may lose what it likes.
    pub(super) fn delivery_errors(&self) -> Vec<(FanoutMetric, u64)> {
        let mut all = self.deliveries;
        all += self.undisturbed.as_ref().map(|part| part.deliveries).unwrap_or_default();
        let churn = self.churn.as_ref().map(|churn| churn.deliveries).unwrap_or_default();
        all += Deliveries { lost: 0, ..churn };
        let counts = [
            (Plain::Unsent, self.messages.unsent),
            (Plain::Lost, all.lost),
            (Plain::Duplicated, all.duplicated),
            (Plain::OutOfOrder, all.out_of_order),
            (Plain::Altered, all.altered.unwrap_or_default()),
            (Plain::Unexpected, all.unexpected),
            (Plain::ChurnLost, churn.lost),
        ];
        counts.map(|(of, count)| (FanoutMetric::Plain(of), count)).to_vec()
    }

    /// One figure, if there is a value for it.
    ///
    /// # Errors
    /// When a histogram cannot be read.
    pub fn figure(&self, metric: FanoutMetric) -> Result<Option<Figure>, DecodeError> {
        let value = match metric {
            FanoutMetric::Plain(plain) => self.plain(plain),
            FanoutMetric::Time(span, statistic) => match self.times(span) {
                Some(stats) => statistic.of_histogram(&stats.histogram.decode()?),
                None => None,
            },
        };
        // Had all been sent on time, it would have come earlier by the largest lag at the most.
        let lag = self.send_lag.max.filter(|_| self.trust.is_bounded() && metric.holds_lateness());
        let interval = |value: f64| lag.map(|lag| ((value - lag as f64).max(0.0), value));
        Ok(value.map(|value| Figure::of(metric, value, interval(value))))
    }

    /// All figures that there are, in the order of the catalogue.
    ///
    /// # Errors
    /// When a histogram cannot be read.
    pub fn figures(&self) -> Result<Vec<Figure>, DecodeError> {
        FanoutMetric::catalogue().filter_map(|metric| self.figure(metric).transpose()).collect()
    }

    fn plain(&self, plain: Plain) -> Option<f64> {
        let Deliveries { expected, received, lost, duplicated, out_of_order, altered, unexpected } = self.deliveries;
        let count = |count: u64| Some(count as f64);
        let (stalled, churn) = (self.stalled.as_ref(), self.churn.as_ref());
        match plain {
            Plain::Failed => count(self.senders.failed + self.receivers.failed),
            Plain::Dropped => count(self.senders.dropped + self.receivers.dropped),
            Plain::Sent => count(self.messages.sent),
            Plain::Unsent => count(self.messages.unsent),
            Plain::Expected => count(expected),
            Plain::Received => count(received),
            Plain::Lost => count(lost),
            Plain::Duplicated => count(duplicated),
            Plain::OutOfOrder => count(out_of_order),
            Plain::Altered => count(altered?).filter(|_| self.compared),
            Plain::Unexpected => count(unexpected),
            Plain::Rate => Some(self.deliveries_per_second),
            Plain::ReachShare => self.reach.share,
            Plain::ReachHalf => self.reach.p50.map(|ns| ns as f64),
            Plain::ReachMost => self.reach.p99.map(|ns| ns as f64),
            Plain::ReachLast => self.reach.last.map(|ns| ns as f64),
            Plain::ReachEveryone => self.reach.everyone_share,
            Plain::ServerCpu => self.server.as_ref()?.cpu_us_per_delivery.map(|us| us * 1e3),
            Plain::StalledLost => count(stalled?.deliveries.lost),
            Plain::StalledDropped => count(stalled?.dropped),
            Plain::ChurnFailed => count(churn?.failed),
            Plain::ChurnDropped => count(churn?.dropped),
            Plain::ChurnLost => count(churn?.deliveries.lost),
        }
    }

    /// A distribution of times, if there is one.
    pub fn times(&self, span: Span) -> Option<&Stats> {
        match span {
            Span::Latency => Some(&self.latency),
            Span::SendLag => Some(&self.send_lag),
            Span::ReadLag => Some(&self.read_lag),
            Span::Everyone => Some(&self.everyone),
            Span::Skew => Some(&self.skew),
            Span::Undisturbed => self.undisturbed.as_ref().map(|part| &part.latency),
            Span::Stalled => self.stalled.as_ref().map(|part| &part.latency),
            Span::ChurnHandshake => self.churn.as_ref().map(|churn| &churn.handshake),
        }
    }

    /// The same report, held against thresholds.
    ///
    /// # Errors
    /// When a histogram cannot be read.
    pub fn judged_by(mut self, thresholds: &[FanoutThreshold]) -> Result<Self, DecodeError> {
        let judge = |threshold: &FanoutThreshold| {
            let figure = self.figure(threshold.metric())?;
            if figure.is_none() && threshold.metric().reach().is_some() && self.deliveries.expected > 0 {
                return Ok(threshold.judge_never());
            }
            let (value, interval) = figure.map(|figure| (figure.value, figure.interval)).unzip();
            Ok(threshold.judge(value, interval.flatten()))
        };
        self.thresholds = thresholds.iter().map(judge).collect::<Result<_, DecodeError>>()?;
        Ok(self)
    }
}
