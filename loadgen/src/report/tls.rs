//! What a report says of TLS: whether certificates were checked, what was settled, and what its handshakes took.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stats::Stats;
use crate::measure::encoded::DecodeError;
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
        (!secured.settled.is_empty()).then(|| Self::new(!how.insecure, how.resume, secured))
    }

    fn new(certificates_checked: bool, resumption: bool, secured: &Secured) -> Self {
        Self {
            certificates_checked,
            resumption,
            resumed: secured.settled.iter().map(|settled| settled.resumed).sum(),
            settled: secured.settled.iter().cloned().map(SettledOn::from).collect(),
            handshake: Stats::from(&secured.took),
        }
    }

    /// What was measured.
    ///
    /// # Errors
    /// When the histogram cannot be read.
    pub(crate) fn secured(&self) -> Result<Secured, DecodeError> {
        let mut secured = Secured { settled: Vec::new(), took: self.handshake.histogram.decode()? };
        self.settled.iter().cloned().for_each(|settled| secured.add_all(settled.into()));
        Ok(secured)
    }

    /// What two runs of the same plan have found, one after the other.
    ///
    /// # Errors
    /// When a histogram cannot be read.
    pub(super) fn together(one: Option<Self>, other: Option<Self>) -> Result<Option<Self>, DecodeError> {
        match (one, other) {
            (Some(sum), Some(part)) => sum.with(&part).map(Some),
            (one, other) => Ok(one.or(other)),
        }
    }

    fn with(self, part: &Self) -> Result<Self, DecodeError> {
        let mut all = self.secured()?;
        all += part.secured()?;
        Ok(Self::new(self.certificates_checked, self.resumption, &all))
    }

    /// How many of the connections resumed a session, where they were to.
    pub(crate) fn words_of_resumed(&self) -> Option<String> {
        let all = self.settled.iter().map(|settled| settled.connections).sum();
        self.resumption
            .then(|| format!("{} of {} resumed a session of TLS", units::count(self.resumed), units::count(all)))
    }

    /// What of it a person is told, each under its name.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts: Vec<_> = self.settled.iter().map(|settled| ("", settled.in_words())).collect();
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

/// What of several servers, or of several settings of one, a person is told under the name `tls`: a line for each, which begins
/// with its name. Nothing where none spoke TLS.
pub(crate) fn of_each<'a>(
    parts: impl IntoIterator<Item = (String, Option<&'a TlsReport>)>,
) -> Vec<(&'static str, String)> {
    let parts: Vec<_> = parts.into_iter().collect();
    if parts.iter().all(|(_, tls)| tls.is_none()) {
        return Vec::new();
    }
    let line = |(name, tls): &(String, Option<&TlsReport>)| match tls {
        None => format!("{name}: without TLS"),
        Some(tls) => {
            let settled: Vec<String> = tls.settled.iter().map(SettledOn::in_words).collect();
            let median = tls.handshake.p50.map(|ns| format!("; handshake {} (median)", units::time(ns as f64)));
            format!("{name}: {}{}", settled.join(", "), median.unwrap_or_default())
        }
    };
    let names = std::iter::once("tls").chain(std::iter::repeat(""));
    names.zip(parts.iter().map(line)).collect()
}

/// The same in one line where all of several settings settled on the same, and either all resumed sessions or none did.
pub(crate) fn once_or_of_each<'a>(
    parts: impl IntoIterator<Item = (String, Option<&'a TlsReport>)>,
) -> Vec<(&'static str, String)> {
    let parts: Vec<_> = parts.into_iter().collect();
    let Some(all) = parts.iter().map(|(_, tls)| *tls).collect::<Option<Vec<&TlsReport>>>() else {
        return of_each(parts);
    };
    let alike = |tls: &TlsReport| -> Vec<(String, String, bool)> {
        let settled = tls.settled.iter().cloned();
        settled.map(|settled| (settled.version, settled.cipher_suite, settled.resumed > 0)).collect()
    };
    match all.split_first() {
        Some((first, rest)) if rest.iter().all(|tls| alike(tls) == alike(first)) => {
            let mut sum = Secured::default();
            let settled = all.iter().flat_map(|tls| &tls.settled).cloned();
            settled.for_each(|settled| sum.add_all(settled.into()));
            let settled = sum.settled.into_iter().map(|settled| SettledOn::from(settled).in_words());
            vec![("tls", settled.collect::<Vec<_>>().join(", "))]
        }
        _ => of_each(parts),
    }
}

impl SettledOn {
    fn in_words(&self) -> String {
        let Self { version, cipher_suite, connections, resumed } = self;
        format!(
            "TLS {version}, {cipher_suite} on {}; {} resumed",
            units::counted(*connections, "connection"),
            units::count(*resumed)
        )
    }
}

impl From<Handshakes> for SettledOn {
    fn from(Handshakes { version, cipher_suite, connections, resumed }: Handshakes) -> Self {
        Self { version, cipher_suite, connections, resumed }
    }
}

impl From<SettledOn> for Handshakes {
    fn from(SettledOn { version, cipher_suite, connections, resumed }: SettledOn) -> Self {
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
        assert_eq!((counts, all.resumed), (vec![("1.2", 2, 1), ("1.3", 4, 2)], 3));
        assert_eq!((all.handshake.count, all.handshake.max), (6, Some(500)));
        let said = all.facts().into_iter().map(|(name, fact)| format!("{name} {fact}")).collect::<Vec<_>>().join("\n");
        assert!(said.starts_with("tls TLS 1.2, TLS_AES_128_GCM_SHA256 on 2 connections; 1 resumed"), "{said}");
        assert!(said.contains("the server's certificate was not checked (--insecure)"), "{said}");
    }

    #[test]
    fn what_all_have_settled_alike_is_said_once() {
        let one = |version: &str, times: &[u64]| found(version, times).unwrap();
        let (a, b, resumed_none, older) =
            (one("1.3", &[100, 200]), one("1.3", &[300, 300, 300]), one("1.3", &[100]), one("1.2", &[100, 200]));
        let said = |parts: &[(&str, Option<&TlsReport>)]| {
            once_or_of_each(parts.iter().map(|(name, tls)| ((*name).to_owned(), *tls)))
        };
        let alike = said(&[("x=1", Some(&a)), ("x=2", Some(&b))]);
        assert_eq!(alike, [("tls", "TLS 1.3, TLS_AES_128_GCM_SHA256 on 5 connections; 3 resumed".to_owned())]);
        for other in [Some(&resumed_none), Some(&older), None] {
            let each = said(&[("x=1", Some(&a)), ("x=2", other)]);
            assert_eq!(each.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["tls", ""], "{each:?}");
            assert!(each[0].1.starts_with("x=1: TLS 1.3, ") && each[1].1.starts_with("x=2: "), "{each:?}");
        }
        assert_eq!(said(&[("x=1", Some(&a)), ("x=2", None)])[1].1, "x=2: without TLS");
        assert_eq!(said(&[("x=1", None), ("x=2", None)]), []);
    }
}
