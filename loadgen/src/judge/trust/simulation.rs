//! The bounds held against what they speak of: a server that answers in the order of arrival, measured by a generator
//! that was on time and by one that was not. Also servers that are not what docs/loadgen.md assumes, for which they fail.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::bounds::{LowerEnd, interval};
use super::tests::{fine, open};
use super::{Level, judge};
use crate::judge::threshold::{Found, Standing, Threshold};
use crate::measure::lateness::Lateness;
use crate::measure::measured::Measured;
use crate::measure::metric::Statistic;
use crate::measure::times::{Moments, Times};

const US: u64 = 1_000;
const MESSAGES: usize = 1_500;

/// Equal gaps.
const GAP: u64 = 100 * US;

/// How long messages take to serve, whenever they come.
#[derive(Debug, Clone, Copy)]
enum Service {
    Deterministic,
    Exponential,
    /// Pareto with a tail of index 1.5: no variance.
    HeavyTailed,
    /// One in 500 takes 5 ms.
    Stalls,
}

/// What makes the generator send late.
#[derive(Debug, Clone, Copy)]
enum Late {
    Never,
    /// Each message by as much.
    By(u64),
    /// It sleeps for exponential times of this mean, and then sends what is due.
    Sleeps(u64),
    /// It stops for so long, once in 500 messages.
    Stops(u64),
}

/// An exponential time of this mean.
fn exponential(rng: &mut SmallRng, mean: f64) -> f64 {
    let u: f64 = rng.random();
    -(1.0 - u).ln() * mean
}

/// Service times at `load` of the server's capacity.
fn services(kind: Service, load: f64, rng: &mut SmallRng) -> Vec<u64> {
    let mean = GAP as f64 * load;
    let one = |i: usize| match kind {
        Service::Deterministic => mean,
        Service::Exponential => exponential(rng, mean),
        Service::HeavyTailed => mean / 3.0 * (1.0 - rng.random::<f64>()).powf(-1.0 / 1.5),
        Service::Stalls if i % 500 == 250 => 5e6,
        Service::Stalls => mean / 2.0,
    };
    (0..MESSAGES).map(one).map(|ns| ns as u64).collect()
}

fn due() -> Vec<u64> {
    (1..=MESSAGES as u64).map(|i| i * GAP).collect()
}

/// When messages are sent: never before they are due, and in their order.
fn sent(late: Late, rng: &mut SmallRng) -> Vec<u64> {
    let mut awake = 0;
    let send = |(i, due): (usize, u64)| match late {
        Late::Never => due,
        Late::By(lag) => due + lag,
        Late::Sleeps(mean) => {
            while awake < due {
                awake += 1 + exponential(rng, mean as f64) as u64;
            }
            awake
        }
        Late::Stops(length) => {
            if i % 500 == 100 {
                awake = due + length;
            }
            awake.max(due)
        }
    };
    due().into_iter().enumerate().map(send).collect()
}

/// When a server is done that answers one message after another in the order of arrival.
fn departures(sent: &[u64], services: &[u64]) -> Vec<u64> {
    let mut free = 0;
    sent.iter()
        .zip(services)
        .map(|(sent, service)| {
            free = free.max(*sent) + service;
            free
        })
        .collect()
}

/// What one worker records that sends and is answered then, and the lower bound of each message. Replies that have come
/// when it sends are read before or after that, as it happens.
fn record(sent: &[u64], arrived: &[u64], rng: &mut SmallRng) -> (Times, Vec<u64>) {
    let (mut times, mut least) = (Times::new(), vec![0; MESSAGES]);
    let (mut lateness, mut in_flight) = (Lateness::default(), Vec::<usize>::new());
    let due = due();
    let mut read = |i: usize, lateness: Lateness| {
        let moments = Moments { due: due[i], sent: sent[i], arrived: arrived[i], read: arrived[i] + 1 };
        times.record(moments, 1);
        let late = lateness.of(due[i], sent[i]);
        times.record_least(moments, late, 1);
        least[i] = (arrived[i] - due[i]).saturating_sub(late);
    };
    for i in 0..MESSAGES {
        in_flight.retain(|&earlier| {
            let is_read = arrived[earlier] <= sent[i] && rng.random::<bool>();
            if is_read {
                read(earlier, lateness);
            }
            !is_read
        });
        if in_flight.is_empty() {
            lateness.nothing_in_flight();
        }
        lateness.sends(due[i], sent[i]);
        in_flight.push(i);
    }
    in_flight.into_iter().for_each(|i| read(i, lateness));
    (times, least)
}

fn latencies(departures: &[u64]) -> Vec<u64> {
    departures.iter().zip(due()).map(|(departure, due)| departure - due).collect()
}

/// An on-time run and a late one of the same messages: the latencies of both, what each recorded, and the lower bounds.
struct Pair {
    on_time: (Vec<u64>, Times),
    late: (Vec<u64>, Times),
    least: Vec<u64>,
}

fn pair(service: Service, load: f64, late: Late, seed: u64) -> Pair {
    let mut rng = SmallRng::seed_from_u64(seed);
    let services = services(service, load, &mut rng);
    let mut run = |late: Late| {
        let sent = sent(late, &mut rng);
        let arrived = departures(&sent, &services);
        let (times, least) = record(&sent, &arrived, &mut rng);
        (latencies(&arrived), times, least)
    };
    let (on_time, on_time_times, _) = run(Late::Never);
    let (late, late_times, least) = run(late);
    Pair { on_time: (on_time, on_time_times), late: (late, late_times), least }
}

/// Every server at every load, measured by every generator.
fn pairs() -> impl Iterator<Item = (String, Pair)> {
    let services = [Service::Deterministic, Service::Exponential, Service::HeavyTailed, Service::Stalls];
    let lates =
        [Late::By(30 * US), Late::By(400 * US), Late::Sleeps(200 * US), Late::Sleeps(20 * US), Late::Stops(5_000 * US)];
    services.into_iter().flat_map(move |service| {
        lates.into_iter().flat_map(move |late| {
            [0.2, 0.7, 0.95].into_iter().enumerate().map(move |(seed, load)| {
                (format!("{service:?} at {load}, {late:?}"), pair(service, load, late, seed as u64))
            })
        })
    })
}

const STATISTICS: [Statistic; 6] = [
    Statistic::Min,
    Statistic::percentile(50.0),
    Statistic::percentile(90.0),
    Statistic::percentile(99.0),
    Statistic::Mean,
    Statistic::Max,
];

#[test]
fn each_latency_of_an_on_time_generator_lies_between_its_bounds() {
    for (name, Pair { on_time, late, least }) in pairs() {
        for i in 0..MESSAGES {
            let (least, on_time, most) = (least[i], on_time.0[i], late.0[i]);
            assert!(least <= on_time && on_time <= most, "{name}, message {i}: {least} <= {on_time} <= {most}");
        }
        for statistic in STATISTICS {
            let on_time = statistic.of_histogram(&on_time.1.latency).unwrap();
            let (low, high) = interval(&late.1.latency, Some(&late.1.least), statistic).unwrap();
            assert!(low <= on_time && on_time <= high, "{name}, {statistic}: {on_time} in {low}..{high}");
        }
    }
}

#[test]
fn the_bounds_are_of_use() {
    // A server that is idle half of the time is found idle often enough to tell which messages a stop concerns.
    let Pair { late, .. } = pair(Service::Exponential, 0.3, Late::Stops(5_000 * US), 1);
    let (low, high) = interval(&late.1.latency, Some(&late.1.least), Statistic::percentile(50.0)).unwrap();
    assert!(low > 0.5 * high, "{low}..{high}");
    // A constant lag is taken off exactly, wherever the server is idle between two messages.
    let Pair { on_time, least, .. } = pair(Service::Deterministic, 0.5, Late::By(20 * US), 1);
    assert!(least.iter().zip(&on_time.0).filter(|(least, on_time)| least == on_time).count() > MESSAGES / 3);
}

#[test]
fn what_the_bounds_decide_of_a_limit_an_on_time_generator_decides_too() {
    let mut seen = Vec::new();
    for (name, Pair { on_time, late, .. }) in pairs() {
        for statistic in STATISTICS {
            let on_time = statistic.of_histogram(&on_time.1.latency).unwrap();
            let ends = interval(&late.1.latency, Some(&late.1.least), statistic).unwrap();
            let between = (ends.0 + ends.1) / 2.0;
            for (comparison, limit) in ["<", "<=", ">", ">="].into_iter().flat_map(|comparison| {
                [ends.0 * 0.9, ends.0, on_time, between, ends.1, ends.1 * 1.1].map(|limit| (comparison, limit))
            }) {
                let threshold: Threshold = format!("latency.{statistic}{comparison}{limit:.0}ns").parse().unwrap();
                let judged = |value, interval| threshold.judge(Found { value, interval, ..Found::default() }).outcome;
                let truth = judged(Some(on_time), None);
                let bounded = judged(Some(ends.1), Some(ends));
                assert!(bounded == Standing::Unknown || bounded == truth, "{name}: {threshold}, {ends:?}, {on_time}");
                seen.push(bounded);
            }
        }
    }
    for standing in [Standing::Met, Standing::Crossed, Standing::Unknown] {
        assert!(seen.iter().filter(|seen| **seen == standing).count() > seen.len() / 20, "{standing:?} is rare");
    }
}

fn level(times: Times) -> Level {
    judge(&open(), &Measured { times, ..fine() }).level
}

#[test]
fn a_later_generator_never_has_a_better_level() {
    let growing = |by: fn(u64) -> Late| [0, 49, 100, 500, 5_000].map(|us| by(us * US));
    for service in [Service::Exponential, Service::HeavyTailed] {
        for lates in [growing(Late::By), growing(Late::Sleeps), growing(Late::Stops)] {
            let levels = lates.map(|late| level(pair(service, 0.5, late, 3).late.1));
            assert!(levels.is_sorted(), "{service:?}, {lates:?}: {levels:?}");
            assert_eq!((levels[0], levels[4]), (Level::Valid, Level::Bounded), "{service:?}, {lates:?}");
        }
    }
}

#[test]
fn a_slower_server_makes_no_late_generator_valid() {
    for scale in [1, 10, 100, 1_000] {
        let mut times = Times::new();
        for i in 0..1_000u64 {
            let (due, sent) = (i * 1_000 * US, i * 1_000 * US + 60 * US);
            let arrived = sent + scale * (100 + i % 50) * US;
            let moments = Moments { due, sent, arrived, read: arrived };
            times.record(moments, 1);
            times.record_least(moments, 60 * US, 1);
        }
        assert_eq!(level(times), Level::Bounded, "latencies times {scale}");
    }
}

#[test]
fn a_server_that_serves_bunched_messages_cheaper_has_no_upper_bound() {
    // It takes a wake-up for each message that comes alone, and one for all that come together.
    let departures = |sent: &[u64]| {
        let services: Vec<u64> =
            (0..MESSAGES).map(|i| if i > 0 && sent[i] == sent[i - 1] { 5 * US } else { 110 * US }).collect();
        departures(sent, &services)
    };
    let mut rng = SmallRng::seed_from_u64(1);
    let on_time = latencies(&departures(&sent(Late::Never, &mut rng)));
    let late = latencies(&departures(&sent(Late::Sleeps(1_000 * US), &mut rng)));
    assert!(on_time.iter().max() > late.iter().max(), "the late generator sees less of it");
}

#[test]
fn a_server_that_stalls_by_the_clock_has_an_upper_bound_and_no_lower_one() {
    // Nothing is served in the first 5 ms of each 50 ms: who comes late by 1 ms may wait for 5 ms more.
    let (every, stall, service) = (50_000 * US, 5_000 * US, 20 * US);
    let departures = |sent: &[u64]| -> Vec<u64> {
        let mut free = 0;
        let mut serve = |sent: &u64| {
            let begins = free.max(*sent);
            let phase = begins % every;
            free = if phase < stall { begins - phase + stall + service } else { begins + service };
            free
        };
        sent.iter().map(&mut serve).collect()
    };
    let mut rng = SmallRng::seed_from_u64(1);
    let late_sent = sent(Late::By(1_000 * US), &mut rng);
    let (on_time, late) = (departures(&due()), departures(&late_sent));
    let (_, least) = record(&late_sent, &late, &mut rng);
    let (on_time, late) = (latencies(&on_time), latencies(&late));
    assert!(on_time.iter().zip(&late).all(|(on_time, late)| on_time <= late));
    assert!(
        least.iter().zip(&on_time).any(|(least, on_time)| least > on_time),
        "the stall is not the generator's doing"
    );
}

#[test]
fn of_several_workers_the_mean_and_the_highest_are_bounded_and_no_single_message() {
    let mut rng = SmallRng::seed_from_u64(1);
    let services = services(Service::Exponential, 0.9, &mut rng);
    // Every other message is of a worker that stops: the others overtake what it has not sent.
    let stopping = sent(Late::Stops(5_000 * US), &mut rng);
    let mut order: Vec<(u64, usize)> =
        due().into_iter().enumerate().map(|(i, due)| (if i % 2 == 0 { stopping[i] } else { due }, i)).collect();
    order.sort();
    let sent: Vec<u64> = order.iter().map(|(sent, _)| *sent).collect();
    let (due, served) = (due(), departures(&sent, &services));
    let mut late = vec![0; MESSAGES];
    order.iter().zip(served).for_each(|((_, i), departure)| late[*i] = departure - due[*i]);
    let on_time = latencies(&departures(&due, &services));
    assert!(on_time.iter().sum::<u64>() <= late.iter().sum() && on_time.iter().max() <= late.iter().max());
    assert!(on_time.iter().zip(&late).any(|(on_time, late)| on_time > late), "who overtakes waits for less");
    assert_eq!(LowerEnd::of(&fine()), LowerEnd::Estimate, "so that of two workers nothing is called proven");
}
