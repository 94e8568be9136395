//! The embedded server: which flags it is given, and what they say of where it listens.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::param::linux_execfn;

use crate::plan::url::Scheme;
use crate::plan::{Expect, Kind, Plan};

/// The flags of an embedded server of which nothing is said but these `flags`, which come later: it grants what the plan's
/// permessage-deflate asks for, and answers by the template that the plan expects.
pub(super) fn flags_for(plan: &Plan, flags: &[String]) -> Vec<String> {
    let mut words: Vec<Vec<String>> = Vec::new();
    if let Some(deflate) = plan.connect.permessage_deflate {
        let takeover = deflate.context_takeover.name();
        words.push(vec!["--permessage-deflate".to_owned(), "on".to_owned()]);
        words.push(vec!["--deflate-context-takeover".to_owned(), takeover.to_owned()]);
    }
    if let Expect::Template(template) = &plan.expect {
        words.push(vec!["--reply".to_owned(), template.to_string()]);
        if plan.message.kind == Kind::Binary {
            words.push(vec!["--reply-binary".to_owned()]);
        }
    }
    words.retain(|words| !flags.contains(&words[0]));
    words.concat()
}

/// The flags that say where it listens, beside its own `flags`: none where these say it.
pub(super) fn listen_flags(flags: &[String]) -> &'static [&'static str] {
    if first_listen(flags).is_some() { &[] } else { &["--listen", "127.0.0.1:0"] }
}

/// What is spoken where it says first that it listens, which is where it is measured.
pub(super) fn scheme(flags: &[String]) -> Scheme {
    let scheme = first_listen(flags).and_then(|listen| listen.split_once("://")).map(|(scheme, _)| scheme);
    let named = |name: &str| Scheme::ALL.into_iter().find(|known| name.eq_ignore_ascii_case(known.name()));
    scheme.and_then(named).unwrap_or(Scheme::Ws)
}

/// The value of the first `--listen`.
fn first_listen(flags: &[String]) -> Option<&str> {
    (0..flags.len()).find_map(|at| match flags[at].strip_prefix("--listen")? {
        "" => flags.get(at + 1).map(String::as_str),
        value => value.strip_prefix('='),
    })
}

/// The file of this program, to start it once more. The link of /proc leads to it even when a new build has replaced it;
/// without /proc the kernel tells the path that it was started by.
pub fn own_program() -> PathBuf {
    let link = Path::new("/proc/self/exe");
    if link.exists() { link.to_owned() } else { OsStr::from_bytes(linux_execfn().to_bytes()).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spoken_is_known_from_the_first_listen() {
        for (flags, expected, default) in [
            ("", Scheme::Ws, true),
            ("--tcp-nodelay off", Scheme::Ws, true),
            ("--listen 127.0.0.1:0", Scheme::Ws, false),
            ("--listen tcp://127.0.0.1:0", Scheme::Tcp, false),
            ("--tls-self-signed --listen WSS://127.0.0.1:0", Scheme::Wss, false),
            ("--listen udp://127.0.0.1:0", Scheme::Udp, false),
            ("--threads 1 --listen=TCP://[::1]:0 --listen [::1]:0", Scheme::Tcp, false),
            ("--listen [::1]:0 --listen tcp://[::1]:0", Scheme::Ws, false),
        ] {
            let flags: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
            assert_eq!((scheme(&flags), !listen_flags(&flags).is_empty()), (expected, default), "{flags:?}");
        }
    }
}
