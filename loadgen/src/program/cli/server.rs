//! Which server to measure: what `run`, `connections` and `capacity` share; and whether the plan is for it.

use clap::Args;

use super::refusal;
use crate::host::target::Spec;
use crate::plan::Plan;
use crate::plan::url::{Scheme, Url};

#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// The server's URL, ws://HOST:PORT/PATH, wss://HOST:PORT/PATH for TLS, or tcp://HOST:PORT for TCP alone; its query is shown as ?*** everywhere [default: an embedded server]
    #[arg(value_name = "URL", conflicts_with = "server")]
    pub url: Option<Url>,
    /// A URL, flags of echo-server for an embedded one ('--tcp-nodelay off'), or a command holding {port} to start, before
    /// which its URL may stand: 'wss://localhost:{port}/ node wss.js {port}'
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true)]
    pub server: Option<Spec>,
}

impl ServerArgs {
    pub(super) fn lower(self, plan: &Plan) -> Spec {
        self.url.map(Spec::Url).or(self.server).unwrap_or_else(|| Spec::embedded_for(plan, &[]))
    }
}

/// Refuses a plan that is not for what is spoken with the servers, as far as that is known before they run: nothing of it may
/// be for none of them, or against one.
pub(super) fn fit<'a>(servers: impl IntoIterator<Item = &'a Spec>, plan: &Plan) -> Result<(), clap::Error> {
    let schemes = servers.into_iter().map(Spec::scheme).collect::<Vec<_>>();
    let unfit = schemes.iter().flatten().find_map(|scheme| plan.unfit_for(*scheme));
    // A command says only later what its server speaks.
    let may_be = |wanted: Scheme| schemes.iter().any(|scheme| scheme.is_none_or(|scheme| scheme == wanted));
    let of_tls = || if may_be(Scheme::Wss) { None } else { plan.connect.tls.unfit_without() };
    let of_udp = || if may_be(Scheme::Udp) { None } else { plan.unfit_without_udp() };
    unfit.or_else(of_tls).or_else(of_udp).map_or(Ok(()), |why| Err(refusal(&why)))
}
