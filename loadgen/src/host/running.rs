//! A server that is up, from its start to its end: where it listens, which processes it is, and what it says of its
//! configuration. Also which cores servers and workers share out among them.

use std::process::ExitStatus;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::host::addresses::{AddressError, Addresses};
use crate::host::cores::Cores;
use crate::host::relay_losses::RelayLosses;
use crate::host::resources;
use crate::host::server_config;
use crate::host::target::{Server, Spec, TargetError};
use crate::host::tls::TlsError;
use crate::plan::Connect;
use crate::plan::url::Url;

/// The cores of the servers that are started here, and those of the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    servers: Cores,
    workers: Option<Cores>,
}

/// A server that is up. If it was started here, it is stopped when this is dropped.
#[derive(Debug)]
pub struct Running {
    server: Server,
    addresses: Addresses,
    connect: Connect,
    pids: Vec<i32>,
    /// Where there were none: those that were found once connections to it were open.
    later: OnceLock<Vec<i32>>,
}

/// Why a server is not up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It was not ready.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// It has no address to connect to.
    #[error(transparent)]
    Addresses(#[from] AddressError),
}

impl Shares {
    /// Half of `cores` for the servers and half for the workers, each kept to its own. Where there is only one core, or one
    /// of the servers runs already, the workers are left to the scheduler.
    pub fn between<'a>(servers: impl IntoIterator<Item = &'a Spec>, cores: &Cores) -> Self {
        let all_started = servers.into_iter().all(|spec| !matches!(spec, Spec::Url(_)));
        let (servers, workers) = cores.split();
        Self { servers, workers: (all_started && cores.count() > 1).then_some(workers) }
    }

    /// All `cores` for the servers, and the workers left to the scheduler.
    pub fn together(cores: &Cores) -> Self {
        Self { servers: cores.clone(), workers: None }
    }

    /// The workers' cores; `None` leaves them to the scheduler.
    pub fn workers(&self) -> Option<&Cores> {
        self.workers.as_ref()
    }
}

impl Running {
    /// Brings the server up, unless `interrupted` is set meanwhile. Connections to it are opened as `connect` says.
    ///
    /// # Errors
    /// When it is not ready in time, or has no address.
    pub fn start(
        spec: &Spec,
        connect: &Connect,
        shares: &Shares,
        interrupted: &AtomicBool,
    ) -> Result<Self, StartError> {
        let server = Server::start(spec, &shares.servers, interrupted)?;
        let addresses = Addresses::find(server.url(), connect, interrupted)?;
        let pids = match spec {
            // The process that was started is the server, and there is no need to look for it.
            Spec::Embedded(_) => server.pid().into_iter().collect(),
            // What listens where connections go to is the proxy.
            Spec::Url(_) | Spec::Command(_) if connect.proxy.is_some() => server.pid().into_iter().collect(),
            Spec::Url(_) | Spec::Command(_) => resources::of_server(server.pid(), &addresses),
        };
        Ok(Self { server, addresses, connect: connect.clone(), pids, later: OnceLock::new() })
    }

    /// Looks for its processes once more if none was found: one that is just starting may not have listened then. To be
    /// called once it has accepted a connection.
    pub fn look_again(&self) {
        if self.pids.is_empty() && self.connect.proxy.is_none() {
            self.later.get_or_init(|| resources::of_server(self.server.pid(), &self.addresses));
        }
    }

    /// Where it listens.
    pub fn url(&self) -> &Url {
        self.server.url()
    }

    /// The addresses of its host.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Its processes; none where they are on another machine or another user's.
    pub fn pids(&self) -> &[i32] {
        if self.pids.is_empty() { self.later.get().map_or(&[], Vec::as_slice) } else { &self.pids }
    }

    /// What it says of its configuration. Only a server that has named itself Fathom is to be asked, and only while nothing
    /// is measured, since it costs a connection.
    pub fn config(&self) -> Option<serde_json::Value> {
        server_config::fetch(self.url(), &self.addresses, &self.connect)
    }

    /// The deliveries that it has not made since it started, if it relays. As for [`Running::config`].
    pub fn relay_losses(&self) -> Option<RelayLosses> {
        RelayLosses::fetch(self.url(), &self.addresses, &self.connect)
    }

    /// How its process ended, as [`Server::ended`] says.
    pub fn ended(&self, patience: Duration) -> Option<ExitStatus> {
        self.server.ended(patience)
    }
}

impl StartError {
    /// Whether the user did not want to wait for it.
    pub fn is_interruption(&self) -> bool {
        matches!(
            self,
            Self::Target(TargetError::Interrupted { .. }) | Self::Addresses(AddressError::Interrupted { .. })
        )
    }

    /// Whether a flag or the file that it names is to blame: trying again changes nothing.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Addresses(AddressError::Tls(TlsError::File { .. } | TlsError::Name(_))))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process;

    use super::*;
    use crate::plan::tests::plan;

    fn start(spec: &str, interrupted: bool) -> Result<Running, StartError> {
        let spec: Spec = spec.parse().unwrap();
        let shares = Shares::between([&spec], &Cores::allowed());
        Running::start(&spec, &plan().connect, &shares, &AtomicBool::new(interrupted))
    }

    /// A server that says that it is ready and then only sleeps.
    const SLEEPER: &str = "sh -c 'echo listening on ws://127.0.0.1:$1/x; exec sleep 60' - {port}";

    #[test]
    fn workers_have_cores_of_their_own_only_beside_servers_that_are_started_here() {
        let [url, command]: [Spec; 2] = ["ws://127.0.0.1:1/", "server {port}"].map(|spec| spec.parse().unwrap());
        let cores = Cores::allowed();
        let (half, other) = cores.split();
        let apart = (cores.count() > 1).then_some(&other);
        let both = Shares::between([&command, &command], &cores);
        assert_eq!((&both.servers, both.workers()), (&half, apart));
        assert_eq!(Shares::between([&command, &url], &cores).workers(), None);
        let one = cores.for_worker(0);
        assert_eq!(Shares::between([&command], &one), Shares::together(&one));
    }

    #[test]
    fn a_started_server_is_known_by_its_process() {
        let server = start(SLEEPER, false).unwrap();
        assert_eq!(server.url().path(), "/x");
        assert_eq!(server.pids(), [server.server.pid().unwrap()]);
        assert_eq!(server.ended(Duration::ZERO), None);
    }

    #[test]
    fn a_server_that_listens_only_later_is_found_then() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = start(&format!("ws://127.0.0.1:{port}/"), false).unwrap();
        assert_eq!(server.pids(), [0; 0]);
        let listens = format!(
            "import socket,time; s=socket.socket(); s.setsockopt(1,2,1); s.bind(('127.0.0.1',{port})); s.listen(); print(1,flush=True); \
             time.sleep(60)"
        );
        let mut late =
            process::Command::new("python3").args(["-c", &listens]).stdout(process::Stdio::piped()).spawn().unwrap();
        let mut line = [0; 2];
        std::io::Read::read_exact(late.stdout.as_mut().unwrap(), &mut line).unwrap();
        server.look_again();
        let found = server.pids().to_vec();
        late.kill().unwrap();
        late.wait().unwrap();
        assert_eq!(found, [late.id() as i32]);
    }

    #[test]
    fn a_server_in_this_process_has_no_process_of_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = start(&format!("ws://{}/", listener.local_addr().unwrap()), false).unwrap();
        assert!(!server.pids().contains(&i32::try_from(process::id()).unwrap()), "{:?}", server.pids());
    }

    #[test]
    fn an_interruption_is_told_from_a_failure() {
        assert!(start("sh -c 'sleep 60' {port}", true).unwrap_err().is_interruption());
        assert!(!start("sh -c 'exit 3' {port}", false).unwrap_err().is_interruption());
    }
}
