//! Connections that come and go: opened at a rate and closed as soon as they are open, while others carry a load.

use std::io;
use std::ops::AddAssign;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::{JoinSet, LocalSet};

use crate::host::addresses::Addresses;
use crate::load::connect;
use crate::load::lines::close_unused;
use crate::measure::clock::nanoseconds;
use crate::measure::failures::{self, Failures};
use crate::measure::histogram::{add, histogram};
use crate::measure::tls::Secured;
use crate::plan::messages::Corpus;
use crate::plan::url::Url;
use crate::plan::{Plan, Rate};

/// What is opened, and how.
#[derive(Debug, Clone, Copy)]
pub struct Churn<'a> {
    /// How a connection is opened.
    pub plan: &'a Plan,
    /// Where to.
    pub url: &'a Url,
    /// The addresses of its host.
    pub addresses: &'a Addresses,
    /// The messages of the plan, of which none is sent.
    pub corpus: &'a Corpus,
    /// Connections per second.
    pub rate: Rate,
}

/// What came of it.
#[derive(Debug)]
pub struct Churned {
    /// Opened and closed again.
    pub opened: u64,
    /// Not opened.
    pub failed: u64,
    /// Due, and not begun, since too many were under way.
    pub skipped: u64,
    /// Why they were not opened, and how often.
    pub failures: Failures,
    /// How long each took to open, ns.
    pub handshake: Histogram<u64>,
    /// What TLS has settled on them, and how long its handshakes took.
    pub tls: Secured,
}

impl Churned {
    /// Nothing yet.
    pub fn nothing() -> Self {
        let (failures, handshake, tls) = (Failures::new(), histogram(), Secured::default());
        Self { opened: 0, failed: 0, skipped: 0, failures, handshake, tls }
    }
}

impl AddAssign for Churned {
    fn add_assign(&mut self, part: Self) {
        self.opened += part.opened;
        self.failed += part.failed;
        self.skipped += part.skipped;
        failures::merge(&mut self.failures, part.failures);
        add(&mut self.handshake, &part.handshake);
        self.tls += part.tls;
    }
}

/// Opens and closes connections until `ended` is set, and waits for those under way.
///
/// # Errors
/// When the kernel refuses a runtime (an epoll set).
pub fn run(churn: Churn<'_>, ended: &AtomicBool) -> io::Result<Churned> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(LocalSet::new().block_on(&runtime, come_and_go(churn, ended)))
}

async fn come_and_go(churn: Churn<'_>, ended: &AtomicBool) -> Churned {
    let Churn { plan, url, addresses, corpus, rate } = churn;
    let (url, how) = (Rc::new(url.clone()), Rc::new(plan.connect.clone()));
    let mut churned = Churned::nothing();
    let mut attempts = JoinSet::new();
    let (began, mut next) = (Instant::now(), 0u64);
    loop {
        let over = ended.load(Ordering::Relaxed);
        if over && attempts.is_empty() {
            return churned;
        }
        let due = began + Duration::from_secs_f64(next as f64 / rate.get());
        if !over && Instant::now() >= due {
            if attempts.len() < MOST_AT_ONCE {
                let (url, addresses, how, number) = (url.clone(), addresses.clone(), how.clone(), next as usize);
                attempts.spawn_local(async move { connect::open(&url, &addresses, number, &how).await });
            } else {
                churned.skipped += 1;
            }
            next += 1;
            continue;
        }
        let wake = if over { Instant::now() + POLL } else { due.min(Instant::now() + POLL) };
        tokio::select! {
            Some(attempt) = attempts.join_next() => match attempt.expect("an attempt does not panic and is not aborted") {
                Ok((connection, took)) => {
                    churned.opened += 1;
                    churned.handshake.saturating_record(nanoseconds(took.all()));
                    connection.enter_tls(took, &mut churned.tls);
                    close_unused(connection, plan, corpus);
                }
                Err(error) => {
                    churned.failed += 1;
                    failures::add(&mut churned.failures, &error.to_string(), 1);
                }
            },
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    }
}

/// Handshakes under way at once at the most: a server that no longer answers costs no more descriptors than these.
pub const MOST_AT_ONCE: usize = 256;

/// How often the end is looked for.
const POLL: Duration = Duration::from_millis(20);
