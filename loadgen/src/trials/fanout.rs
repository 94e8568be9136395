//! The experiment of a fan-out: measured once, judged, and put into its report.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use crate::host::cores::Cores;
use crate::host::environment::Environment;
use crate::host::running::Running;
use crate::host::target::END_TIMEOUT;
use crate::judge::trust;
use crate::load::error::RunError;
use crate::load::fanout::{self, Message, World};
use crate::load::live::{Live, Phase};
use crate::plan::Plan;
use crate::plan::fanout::Fanout;
use crate::plan::url::Url;
use crate::report::fanout::{FanoutReport, Frame};

/// What is to be done.
#[derive(Debug)]
pub struct Experiment {
    /// Who sends, who receives, and what disturbs them.
    pub fanout: Fanout,
    /// At which rate and for how long; its connections are all senders and receivers.
    pub plan: Plan,
    /// What is sent.
    pub message: Message,
}

/// Where it is done.
pub struct Site<'a> {
    /// The server.
    pub server: &'a Running,
    /// What the report calls it.
    pub target: &'a str,
    /// The cores for the threads; `None` leaves them to the scheduler.
    pub cores: Option<&'a Cores>,
    /// Set when it is to end early, with a report of what there is.
    pub interrupted: &'a AtomicBool,
    /// Counters for the progress display.
    pub live: &'a Live,
    /// Shows the progress.
    pub show: &'a mut dyn FnMut(Phase),
}

/// Does it.
///
/// # Errors
/// When nobody could connect to send or to receive, or the kernel refuses a thread. What fails later is part of the report.
pub fn run(experiment: Experiment, site: Site<'_>) -> Result<FanoutReport, RunError> {
    let Experiment { fanout, plan, message } = experiment;
    let Site { server, target, cores, interrupted, live, show } = site;
    let (began_at, began) = (SystemTime::now(), Instant::now());
    let urls = rooms(server.url(), fanout.rooms.get());
    let (addresses, server_pids) = (server.addresses(), server.pids());
    let world = World { fanout: &fanout, plan: &plan, urls: &urls, addresses, server_pids, cores, interrupted, live };
    let measured = fanout::measure(world, message, &|| server.relay_losses(), show)?;
    let dropped = measured.senders.dropped + measured.receivers.dropped;
    let lost = dropped + measured.senders.failed + measured.receivers.failed > 0;
    let all_lost = measured.receivers.dropped >= measured.receivers.established;
    let patience = if all_lost { END_TIMEOUT } else { Duration::ZERO };
    let server_ended = lost.then(|| server.ended(patience)).flatten().map(|status| status.to_string());
    // Only now, when the connections are closed: it disturbs nothing.
    let config = (measured.is_fathom && server_ended.is_none()).then(|| server.config()).flatten();
    let mut trust = trust::fanout::judge(&fanout, &plan, &measured);
    trust.reasons.extend(server_ended.iter().map(|status| format!("the server's process ended: {status}")));
    let elapsed_seconds = began.elapsed().as_secs_f64();
    let environment = Environment::collect(&plan, None, config);
    let frame = Frame { target, began_at, elapsed_seconds, server_ended, fanout: &fanout, trust, environment };
    Ok(FanoutReport::new(frame, &measured))
}

/// Where each room is. The only one is where the URL says.
fn rooms(url: &Url, rooms: u32) -> Vec<Url> {
    match rooms {
        1 if !url.has_room() => vec![url.clone()],
        rooms => (0..rooms).map(|room| url.of_room(room)).collect(),
    }
}

/// Whether the members are on the server's machine.
pub fn is_local(addresses: &[SocketAddr]) -> bool {
    addresses.iter().all(|address| address.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_room_is_where_the_url_says() {
        let paths = |url: &str, count| -> Vec<String> {
            rooms(&url.parse().unwrap(), count).iter().map(|url| url.path().to_owned()).collect()
        };
        assert_eq!(paths("ws://h/chat", 1), ["/chat"]);
        assert_eq!(paths("ws://h/{room}/chat", 1), ["/0/chat"]);
        assert_eq!(paths("ws://h/chat", 2), ["/chat/room-0", "/chat/room-1"]);
    }
}
