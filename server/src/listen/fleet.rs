//! All workers of a server and their threads: each runs a tokio runtime over its connections until it has drained.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime as TokioRuntime};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, oneshot};

use super::accept::{self, Listener};
use super::cpus;
use super::housekeeping::Housekeeping;
use super::listener::{Bound, Listeners};
use super::placement::{Accepted, Fewest, Placement, receive};
use crate::Error;
use crate::config::{Config, Effective, Runtime};
use crate::connection::{self, Worker};
use crate::datagrams;
use crate::lane::Lane;
use crate::limits::admission::Admissions;
use crate::limits::budget::Share;
use crate::limits::drain::Drain;
use crate::relay::Relay;

/// Where a worker's connections come from.
enum Source {
    /// It accepts on these.
    Listeners(Vec<Arc<Listener>>),
    /// A thread that accepts for all workers hands them over.
    Handed(UnboundedReceiver<Accepted>),
}

/// What a worker is to serve.
struct Brings {
    source: Source,
    datagrams: Vec<datagrams::Watched>,
}

/// All workers of a server, and the thread that accepts for them if there is one.
#[derive(Debug)]
pub(crate) struct Fleet {
    workers: Vec<Arc<Worker>>,
    /// Tells the accepting thread that the server is going down.
    acceptor: Option<Arc<Drain>>,
    /// Resolves when the worker's thread has ended (at the end the accepting one's); an error if it panicked.
    ended: Vec<oneshot::Receiver<()>>,
    /// Notified when a worker has freed much.
    untidy: Arc<Notify>,
}

impl Fleet {
    /// Starts a thread per shard of listeners, or per worker and one that accepts for them.
    pub(crate) fn start(config: Arc<Config>, listeners: Listeners) -> Result<Self, Error> {
        let config_json = Bytes::from(Effective { config: &config, granted: &listeners.granted }.to_json());
        let open_anywhere = Arc::new(AtomicUsize::new(0));
        let mut fleet = Self { workers: Vec::new(), acceptor: None, ended: Vec::new(), untidy: Arc::default() };
        let count = config.workers.shards();
        let limit = usize::try_from(config.limits.max_buffered).unwrap_or(usize::MAX);
        let shares = Share::split(limit, count, &fleet.untidy);
        let no_relay = |source| Error::Worker { worker: 0, source };
        let relays = config.relay.map(|options| Relay::for_workers(&options, &shares)).transpose().map_err(no_relay)?;
        let mut fewest = (listeners.shards.len() < count).then(Fewest::default);
        let mut shards = listeners.shards.into_iter();
        let mut sockets = listeners.datagrams.into_iter();
        let mut tallies = datagrams::Tally::for_workers(count).into_iter();
        for (index, share) in shares.into_iter().enumerate() {
            let fail = |source| Error::Worker { worker: index, source };
            let relay = relays.as_ref().map(|relays| Arc::clone(&relays[index]));
            let lane = config.echo.lane.then(|| Lane::new(relay.clone())).transpose().map_err(fail)?.map(Arc::new);
            let admissions = Admissions::new(&open_anywhere, config.limits.max_connections, &share);
            let sockets = sockets.next().unwrap_or_default();
            let tally = tallies.next().filter(|_| !sockets.is_empty());
            let worker = Arc::new(Worker {
                config: Arc::clone(&config),
                config_json: config_json.clone(),
                identity: listeners.identity.clone(),
                drain: Drain::default(),
                lane,
                relay,
                share,
                admissions,
                housekeeper: Notify::new(),
                pausing: AtomicUsize::new(usize::from(tally.is_some())),
                datagrams: tally,
                depart: connection::depart,
            });
            let runtime = build_runtime(&config, index).map_err(fail)?;
            let source = match &mut fewest {
                Some(fewest) => Source::Handed(fewest.add(Arc::clone(&worker))),
                None => Source::Listeners(watch_all(&runtime, shards.next().unwrap_or_default()).map_err(fail)?),
            };
            let datagrams = watch_datagrams(&runtime, sockets).map_err(fail)?;
            let brings = Brings { source, datagrams };
            fleet.ended.push(start_worker(index, Arc::clone(&worker), runtime, brings).map_err(fail)?);
            fleet.workers.push(worker);
        }
        if let Some(fewest) = fewest {
            fleet.acceptor = Some(Arc::clone(&fewest.drain));
            let listeners = shards.flatten().collect();
            fleet.ended.push(start_acceptor(fewest, listeners, config.socket.backlog).map_err(Error::Acceptor)?);
        }
        Ok(fleet)
    }

    /// Has every worker go down: connections that wait to be accepted are accepted, listeners closed, and every peer is
    /// told.
    pub(crate) fn drain(&self) {
        self.acceptor.iter().for_each(|acceptor| acceptor.start());
        for worker in &self.workers {
            worker.drain.start();
            worker.lane.iter().for_each(|lane| lane.ring());
        }
    }

    /// What has the workers tidy up.
    pub(crate) fn housekeeping(&self) -> Housekeeping {
        Housekeeping { workers: self.workers.clone(), untidy: Arc::clone(&self.untidy) }
    }

    /// Waits until every worker has ended. May be dropped and called again.
    pub(crate) async fn join(&mut self) -> Result<(), Error> {
        let workers = self.workers.len();
        for (index, ended) in self.ended.iter_mut().enumerate() {
            if !ended.is_terminated() {
                ended.await.map_err(|_| match index {
                    worker if worker < workers => Error::WorkerPanicked { worker },
                    _ => Error::AcceptorPanicked,
                })?;
            }
        }
        Ok(())
    }
}

fn start_worker(
    index: usize,
    worker: Arc<Worker>,
    runtime: TokioRuntime,
    brings: Brings,
) -> io::Result<oneshot::Receiver<()>> {
    let (ended, receiver) = oneshot::channel();
    let _: JoinHandle<()> = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        pin(&worker.config, index);
        work(&runtime, &worker, brings);
        // Tasks of a multi-thread runtime may still run on its other threads; they are given a moment to stop.
        runtime.shutdown_timeout(TASK_STOP);
        let _ = ended.send(());
    })?;
    Ok(receiver)
}

/// Starts the thread that accepts for all workers. It is not pinned: with `--pin` it runs where a core is free.
fn start_acceptor(fewest: Fewest, listeners: Vec<Bound>, backlog: u32) -> io::Result<oneshot::Receiver<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listeners = watch_all(&runtime, listeners)?;
    let (ended, receiver) = oneshot::channel();
    let _: JoinHandle<()> = thread::Builder::new().name("acceptor".into()).spawn(move || {
        runtime.block_on(async {
            let placement = Arc::new(Placement::Fewest(fewest));
            let loops = accept::start(&placement, &listeners);
            accept::finish(&placement, loops, listeners, backlog).await;
        });
        let _ = ended.send(());
    })?;
    Ok(receiver)
}

fn watch_all(runtime: &TokioRuntime, listeners: Vec<Bound>) -> io::Result<Vec<Arc<Listener>>> {
    let _runtime = runtime.enter();
    listeners.into_iter().map(accept::watch).collect()
}

fn watch_datagrams(runtime: &TokioRuntime, sockets: Vec<datagrams::Socket>) -> io::Result<Vec<datagrams::Watched>> {
    let _runtime = runtime.enter();
    sockets.into_iter().map(datagrams::watch).collect()
}

fn build_runtime(config: &Arc<Config>, index: usize) -> io::Result<TokioRuntime> {
    let mut builder = match config.workers.runtime {
        Runtime::Sharded => Builder::new_current_thread(),
        Runtime::WorkStealing => {
            let mut builder = Builder::new_multi_thread();
            let (config, started) = (Arc::clone(config), AtomicUsize::new(0));
            builder.worker_threads(config.workers.threads.get()).on_thread_start(move || {
                pin(&config, started.fetch_add(1, Ordering::Relaxed));
            });
            builder
        }
    };
    builder.enable_all().event_interval(config.workers.event_interval.get()).thread_name(format!("worker-{index}"));
    builder.build()
}

/// Pins the calling thread as `--pin` says. The cores were checked when the configuration was made, so that this
/// fails only if they were taken away since; the worker then runs where it may.
fn pin(config: &Config, index: usize) {
    let cores = &config.workers.pin;
    if let Some(&core) = cores.get(index % cores.len().max(1))
        && let Err(error) = cpus::pin_current_thread(core)
    {
        tracing::warn!("worker {index} cannot be pinned to core {core}: {error}");
    }
}

/// Serves connections until drained, then waits for those that are left as long as the configuration allows.
fn work(runtime: &TokioRuntime, worker: &Arc<Worker>, Brings { source, datagrams }: Brings) {
    runtime.block_on(async {
        let draining = worker.drain.wait();
        let own = Arc::new(Placement::Own(Arc::clone(worker)));
        let (listeners, mut taking) = match source {
            Source::Listeners(listeners) => {
                let loops = accept::start(&own, &listeners);
                (listeners, loops)
            }
            Source::Handed(queue) => (Vec::new(), vec![tokio::spawn(receive(Arc::clone(worker), queue))]),
        };
        taking.extend(datagrams.into_iter().map(|watched| tokio::spawn(answer_datagrams(Arc::clone(worker), watched))));
        if worker.lane.is_none() {
            tokio::spawn(Arc::clone(worker).tidy_when_told());
        }
        let lane = worker.lane.clone().map(|lane| tokio::spawn(lane.run(Arc::clone(worker), listeners.clone())));
        if !worker.drain.started() {
            draining.await;
        }
        if let Some(lane) = lane {
            // It ends by itself as it drains.
            match lane.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("the lane has failed: {error}"),
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            }
        }
        accept::finish(&own, taking, listeners, worker.config.socket.backlog).await;
        let deadline = worker.config.limits.drain_timeout;
        if tokio::time::timeout(deadline, worker.admissions.emptied()).await.is_err() {
            let open = worker.admissions.open();
            tracing::warn!("{open} connections did not close within {deadline:?} and are dropped");
        }
    });
}

async fn answer_datagrams(worker: Arc<Worker>, watched: datagrams::Watched) {
    if let Some(tally) = &worker.datagrams {
        datagrams::serve(watched, &worker.config, &worker.drain, tally).await;
    }
}

/// How long a thread of the work-stealing runtime may take to notice the end: it notices at its next task switch.
const TASK_STOP: Duration = Duration::from_millis(500);
