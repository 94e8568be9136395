//! What a report says of TLS: whether certificates were checked, what was settled, and what its handshakes took.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stats::Stats;
use crate::measure::encoded::DecodeError;
use crate::measure::histogram::add;
use crate::measure::tls::{Handshakes, Secured};
use crate::plan::tls::Tls;
use crate::units;

/// How TLS was spoken with the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TlsReport {
    /// Whether the server's certificate was checked; not so with `--insecure`.
    pub certificates_checked: bool,
    /// Whether connections were to resume the sessions of earlier ones.
    pub resumption: bool,
    /// Connections that resumed one.
    pub resumed: u64,
    /// The versions and cipher suites that were settled on.
    pub settled: Vec<SettledOn>,
    /// How long the handshakes of TLS took, ns: the part of `connect` between TCP and the WebSocket handshake.
    pub handshake: Stats,
}

/// The connections that settled on one version and cipher suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettledOn {
    /// The version of TLS, as `1.3`.
    pub version: String,
    /// The cipher suite by its IANA name.
    pub cipher_suite: String,
    /// How many connections.
    pub connections: u64,
    /// How many of them resumed an earlier session.
    pub resumed: u64,
}

impl TlsReport {
    /// From what was measured; `None` where TLS was not spoken.
    pub(crate) fn of(how: &Tls, secured: &Secured) -> Option<Self> {
        let settled: Vec<SettledOn> = secured.settled.iter().cloned().map(SettledOn::from).collect();
        (!settled.is_empty()).then(|| Self {
            certificates_checked: !how.insecure,
            resumption: how.resume,
            resumed: settled.iter().map(|settled| settled.resumed).sum(),
            settled,
            handshake: Stats::from(&secured.took),
        })
    }

    /// What two runs of the same plan have found, one after the other.
    ///
    /// # Errors
    /// When a histogram cannot be read.
    pub(super) fn together(one: Option<Self>, other: Option<Self>) -> Result<Option<Self>, DecodeError> {
        match (one, other) {
            (Some(sum), Some(part)) => sum.with(part).map(Some),
            (one, other) => Ok(one.or(other)),
        }
    }

    fn with(mut self, part: Self) -> Result<Self, DecodeError> {
        let mut took = self.handshake.histogram.decode()?;
        add(&mut took, &part.handshake.histogram.decode()?);
        self.handshake = Stats::from(&took);
        self.resumed += part.resumed;
        for more in part.settled {
            let same =
                |known: &&mut SettledOn| (&known.version, &known.cipher_suite) == (&more.version, &more.cipher_suite);
            match self.settled.iter_mut().find(same) {
                Some(known) => {
                    known.connections += more.connections;
                    known.resumed += more.resumed;
                }
                None => self.settled.push(more),
            }
        }
        Ok(self)
    }

    /// How many of the connections resumed a session, where they were to.
    pub(crate) fn words_of_resumed(&self) -> Option<String> {
        let all = self.settled.iter().map(|settled| settled.connections).sum();
        self.resumption
            .then(|| format!("{} of {} resumed a session of TLS", units::count(self.resumed), units::count(all)))
    }

    /// What of it a person is told, each under its name.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let words = |settled: &SettledOn| {
            let SettledOn { version, cipher_suite, connections, resumed } = settled;
            format!(
                "TLS {version}, {cipher_suite} on {}; {} resumed",
                units::counted(*connections, "connection"),
                units::count(*resumed)
            )
        };
        let mut facts: Vec<_> = self.settled.iter().map(|settled| ("", words(settled))).collect();
        let [p50, max] = [self.handshake.p50, self.handshake.max].map(|ns| ns.map(|ns| units::time(ns as f64)));
        facts.extend(match (p50, max) {
            (Some(p50), Some(max)) => Some(("", format!("its handshake took {p50} (median; at most {max})"))),
            (None, Some(max)) => Some(("", format!("its handshake took {max} at most"))),
            (_, None) => None,
        });
        if !self.certificates_checked {
            facts.push(("", "the server's certificate was not checked (--insecure)".to_owned()));
        }
        if let Some((name, _)) = facts.first_mut() {
            *name = "tls";
        }
        facts
    }
}

impl From<Handshakes> for SettledOn {
    fn from(Handshakes { version, cipher_suite, connections, resumed }: Handshakes) -> Self {
        Self { version, cipher_suite, connections, resumed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: &str, times: &[u64]) -> Option<TlsReport> {
        let mut secured = Secured::default();
        for (i, ns) in times.iter().enumerate() {
            secured.add(version, "TLS_AES_128_GCM_SHA256", i > 0);
            secured.took.saturating_record(*ns);
        }
        TlsReport::of(&Tls { insecure: true, ..Tls::default() }, &secured)
    }

    #[test]
    fn two_runs_are_added_up() {
        assert_eq!(found("1.3", &[]), None);
        let one = found("1.3", &[100, 200, 300]);
        assert_eq!(TlsReport::together(one.clone(), None).unwrap(), one);
        let both = TlsReport::together(one, found("1.3", &[500])).unwrap();
        let all = TlsReport::together(both, found("1.2", &[400, 400])).unwrap().unwrap();
        let counts: Vec<_> = all.settled.iter().map(|of| (of.version.as_str(), of.connections, of.resumed)).collect();
        assert_eq!((counts, all.resumed), (vec![("1.3", 4, 2), ("1.2", 2, 1)], 3));
        assert_eq!((all.handshake.count, all.handshake.max), (6, Some(500)));
        let said = all.facts().into_iter().map(|(name, fact)| format!("{name} {fact}")).collect::<Vec<_>>().join("\n");
        assert!(said.starts_with("tls TLS 1.3, TLS_AES_128_GCM_SHA256 on 4 connections; 2 resumed"), "{said}");
        assert!(said.contains("the server's certificate was not checked (--insecure)"), "{said}");
    }
}
