use super::*;
use crate::judge::capacity::{Next, Range};
use crate::judge::trust::Level;
use crate::plan::tests::plan;
use crate::plan::{Arrival, Pacing};
use crate::report::capacity::parts::Percentiles;
use crate::trials::probe::Limits;
use crate::trials::warming::Warmup;

const RANGE: Range = Range { start: 1_000.0, min: 250.0, max: 64_000.0, precision: 0.03, error: 0.05 };

fn experiment() -> Experiment {
    Experiment {
        limits: Limits {
            slos: vec!["latency.p99<5ms".parse().unwrap()],
            arrival: Arrival::Poisson,
            min_rate: RANGE.min,
            max_rate: RANGE.max,
            precision: RANGE.precision,
        },
        confidence: 0.95,
        probe: Duration::from_secs(1),
        holdout: 3,
        warmup: Warmup::For(Duration::ZERO),
        max_time: Duration::from_secs(300),
    }
}

fn probe(offered_rate: f64, outcome: Probe) -> ProbeReport {
    ProbeReport {
        start: 1,
        at_seconds: 0.0,
        seconds: 1.0,
        offered_rate,
        achieved_rate: offered_rate,
        outcome,
        why: (outcome != Probe::Passed).then(|| format!("it was {outcome:?}")),
        values: vec![Some(1e6)],
        latency: Percentiles::default(),
        send_lag_p99: None,
        trust: Level::Valid,
        lost: 0,
        server_cpu: None,
        loadgen_cpu: None,
        sent_bytes: None,
        received_bytes: None,
    }
}

/// A search with a server that answers so, for so many probes at the most.
struct Done {
    search: Search,
    plan: Plan,
    probes: Vec<ProbeReport>,
}

impl Done {
    fn after(most: usize, answers: impl Fn(usize, f64) -> Probe) -> Self {
        let mut done = Self { search: Search::new(RANGE), plan: plan(), probes: Vec::new() };
        done.go_on(most, answers);
        done
    }

    fn go_on(&mut self, most: usize, answers: impl Fn(usize, f64) -> Probe) {
        while let (Next::Probe(rate), true) = (self.search.next(), self.probes.len() < most) {
            let outcome = answers(self.probes.len(), rate);
            self.search.add(rate, outcome);
            self.probes.push(probe(rate, outcome));
        }
    }

    fn sustains(&self) -> f64 {
        self.search.so_far().sustains.expect("a lower end")
    }

    /// The answer and the notes where the time is over, or what was found.
    fn told(&self, held: &Held) -> (Answer, String) {
        let found = match self.search.next() {
            Next::Done(found) if held.ending != Ending::NotKept => Some(found),
            _ => None,
        };
        let told = Told {
            experiment: &experiment(),
            probes: &self.probes,
            held,
            found,
            is_over: found.is_none(),
            is_untold: false,
            plan: &self.plan,
            is_url: false,
            probe_took_more: Duration::ZERO,
        };
        (of(&told, &self.search), notes(&told, &self.search).join("\n"))
    }
}

fn sharp(capacity: f64) -> impl Fn(usize, f64) -> Probe {
    move |_, rate| if rate < capacity { Probe::Passed } else { Probe::Failed }
}

/// Most fresh starts do not keep the rate.
fn fail(held: &mut Held, rate: f64) {
    held.rate = Some(rate);
    held.ending = Ending::NotKept;
    held.probes.extend([probe(rate, Probe::Failed), probe(rate, Probe::Failed)]);
}

#[test]
fn what_is_proven_below_a_rate_that_fresh_starts_did_not_keep_is_kept_where_the_time_ends() {
    let mut done = Done::after(200, sharp(41_700.0));
    let (first, mut held) = (done.sustains(), Held::default());
    fail(&mut held, first);
    assert!(held.steps_down());
    done.search.step_down(first);
    // The second search is ended early, after a lower rate was proven or before.
    for more in [0, 20] {
        done.go_on(done.probes.len() + more, sharp(41_700.0));
        let (answer, notes) = done.told(&held);
        let proven = done.search.so_far().sustains;
        assert_eq!(answer.sustains.map(|end| end.rate), proven, "{more}");
        assert!(proven.is_none_or(|rate| rate < first));
        let why = answer.why.unwrap_or_default();
        assert!(!why.contains("fresh starts"), "{why}");
        assert_eq!(notes.contains("could be held to the rate"), proven.is_some() && answer.needs_seconds.is_some());
        assert_eq!(answer.stepped_down, 1);
    }
    assert!(done.search.so_far().sustains.is_some());
    // Held to the lower rate, it is the answer.
    (held.rate, held.ending) = (Some(done.sustains()), Ending::Kept);
    assert_eq!(done.told(&held).0.sustains.unwrap().rate, done.sustains());
}

#[test]
fn only_once_no_lower_rate_is_searched_for_the_starts_differ_too_much() {
    let mut done = Done::after(200, sharp(41_700.0));
    let mut held = Held::default();
    for step in 0.. {
        let rate = done.sustains();
        fail(&mut held, rate);
        if !held.steps_down() {
            assert_eq!(step, 5);
            break;
        }
        done.search.step_down(rate);
        done.go_on(1_000, sharp(41_700.0));
    }
    let (answer, _) = done.told(&held);
    assert_eq!((answer.verdict, answer.sustains), (Verdict::Inconclusive, None));
    let why = answer.why.unwrap();
    assert!(why.contains(&format!("did not keep {} either", rate_of(held.rate.unwrap()))), "{why}");
}

#[test]
fn where_fresh_starts_do_not_keep_the_lowest_rate_none_is_kept() {
    let mut done = Done::after(200, sharp(255.0));
    assert_eq!(done.sustains(), RANGE.min);
    let mut held = Held::default();
    fail(&mut held, RANGE.min);
    assert!(held.steps_down());
    done.search.step_down(RANGE.min);
    let (answer, _) = done.told(&held);
    assert_eq!((answer.verdict, answer.sustains), (Verdict::BelowRange, None));
    // What broke a limit in the search is a higher rate.
    assert!(answer.breaks.is_some_and(|end| end.rate > RANGE.min));
    assert_eq!(answer.why.unwrap(), "on a fresh start, at 250/s it was Failed");
}

#[test]
fn where_late_probes_took_the_time_the_generator_was_the_limit() {
    // From 20,000/s on most probes are late, and too many pass to prove that it is too much.
    let late = |n: usize, rate: f64| match rate {
        rate if rate < 20_000.0 || n.is_multiple_of(4) => Probe::Passed,
        _ if n % 7 == 1 => Probe::Failed,
        _ => Probe::CannotTell,
    };
    let mut done = Done::after(0, late);
    while done.search.so_far().sustains.is_none() {
        done.go_on(done.probes.len() + 1, late);
    }
    let count = |outcome| done.probes.iter().filter(|probe| probe.outcome == outcome).count();
    assert!(count(Probe::CannotTell) > count(Probe::Failed) && matches!(done.search.next(), Next::Probe(_)));
    let (answer, notes) = done.told(&Held::default());
    assert_eq!(answer.verdict, Verdict::GeneratorLimited);
    // The lowest rate from which on most were late, whichever was the first at which one was.
    let late_at = answer.generator_late_at.unwrap();
    let beyond: Vec<_> = done.probes.iter().filter(|probe| probe.offered_rate >= late_at).collect();
    let late_beyond = beyond.iter().filter(|probe| probe.outcome == Probe::CannotTell).count();
    assert!(late_at > 20_000.0 && 2 * late_beyond > beyond.len(), "{late_at}: {late_beyond} of {}", beyond.len());
    assert!(answer.sustains.is_some() && answer.narrowed.is_some() && answer.needs_seconds.is_some());
    assert!(answer.why.unwrap().contains("CannotTell"));
    let expected = format!("the generator was late in {} of ", count(Probe::CannotTell));
    assert!(notes.contains(&expected) && notes.contains("more cores"), "{notes}");
    // Where the server failed it says nothing of the generator.
    let mut failed = Done::after(0, sharp(20_000.0));
    while failed.search.so_far().sustains.is_none() {
        failed.go_on(failed.probes.len() + 1, sharp(20_000.0));
    }
    let (answer, notes) = failed.told(&Held::default());
    assert_ne!(answer.verdict, Verdict::GeneratorLimited);
    assert!(!notes.contains("late"), "{notes}");
}

/// All probes that break the limit by little are late, those of half as much again can tell.
fn late_near(_: usize, rate: f64) -> Probe {
    match rate {
        rate if rate < 20_000.0 => Probe::Passed,
        rate if rate < 30_000.0 => Probe::CannotTell,
        _ => Probe::Failed,
    }
}

#[test]
fn where_rates_further_out_can_tell_the_generator_is_no_limit_but_what_keeps_the_ends_apart() {
    let mut done = Done::after(200, late_near);
    let (answer, notes) = done.told(&Held::default());
    assert_eq!((answer.verdict, answer.generator_late_at), (Verdict::Found, None));
    let [low, high] = [answer.sustains, answer.breaks].map(|end| end.unwrap().rate);
    assert!(low < 20_000.0 && (30_000.0..=40_000.0).contains(&high), "{low} to {high}");
    let expected = format!(" between {} and {}, which keeps the two apart", rate_of(low), rate_of(high));
    assert!(notes.contains(&expected) && !notes.contains("--realtime"), "{notes}");
    // What the kernel has in it is told where it may have.
    done.plan = Plan { realtime: true, pacing: Pacing::Spin, ..plan() };
    let (_, notes) = done.told(&Held::default());
    assert!(notes.contains(&expected) && notes.contains("under --realtime the kernel may take 50 ms"), "{notes}");
    let mut on_time = Done::after(200, sharp(20_000.0));
    on_time.plan = done.plan;
    let (_, notes) = on_time.told(&Held::default());
    assert!(!notes.contains("late") && !notes.contains("--realtime"), "{notes}");
}

#[test]
fn a_disturbed_machine_is_told() {
    let disturbed = |n: usize, rate: f64| match sharp(41_700.0)(n, rate) {
        Probe::Passed if n > 15 && n.is_multiple_of(2) => Probe::CannotTell,
        probe => probe,
    };
    let (answer, notes) = Done::after(150, disturbed).told(&Held::default());
    assert_eq!((answer.verdict, answer.sustains), (Verdict::Inconclusive, None));
    assert!(notes.contains("the machine was disturbed, or the server changed: "), "{notes}");
    assert!(notes.contains("the generator was late in "), "{notes}");
    // A server with a sharp limit is not disturbed.
    let (_, notes) = Done::after(20, sharp(41_700.0)).told(&Held::default());
    assert!(!notes.contains("disturbed"), "{notes}");
}
