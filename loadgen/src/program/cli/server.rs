//! Which server to measure: what `run`, `connections` and `capacity` share.

use clap::Args;

use crate::host::target::Spec;
use crate::plan::Plan;
use crate::plan::url::Url;

#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// The server's URL, ws://HOST:PORT/PATH, or tcp://HOST:PORT for TCP alone; its query is shown as ?*** everywhere [default: an embedded server]
    #[arg(value_name = "URL", conflicts_with = "server")]
    pub url: Option<Url>,
    /// A URL, flags of echo-server for an embedded one ('--tcp-nodelay off'), or a command holding {port} to start
    #[arg(long, value_name = "SPEC", allow_hyphen_values = true)]
    pub server: Option<Spec>,
}

impl ServerArgs {
    pub(super) fn lower(self, plan: &Plan) -> Spec {
        self.url.map(Spec::Url).or(self.server).unwrap_or_else(|| Spec::embedded_for(plan, &[]))
    }
}
