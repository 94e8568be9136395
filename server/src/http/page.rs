//! The page for browsers, at `/`: its files, which are part of the program, and the headers that they are sent with. They
//! need no build and load nothing from elsewhere.

use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};

/// A file of the page.
pub(super) struct File {
    path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) content: &'static str,
}

/// The file at `path`, if there is one.
pub(super) fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

/// Every file is sent with these.
pub(super) const HEADERS: [(HeaderName, &str); 6] = [
    // Scripts and styles are the server's own files. Connections may go to whatever WebSocket URL the reader types.
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' ws: wss:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    // A browser gives scripts a clock of 5 us instead of 100 us where nothing of another site can be in the process.
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    // Another version of the server has another page.
    (CACHE_CONTROL, "no-cache"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

const FILES: [File; 9] = [
    html("/", include_str!("page/index.html")),
    style("/page/style.css", include_str!("page/style.css")),
    script("/page/main.js", include_str!("page/main.js")),
    script("/page/connection.js", include_str!("page/connection.js")),
    script("/page/messages.js", include_str!("page/messages.js")),
    script("/page/reply.js", include_str!("page/reply.js")),
    script("/page/load.js", include_str!("page/load.js")),
    script("/page/chart.js", include_str!("page/chart.js")),
    script("/page/words.js", include_str!("page/words.js")),
];

const fn html(path: &'static str, content: &'static str) -> File {
    File { path, content_type: "text/html; charset=utf-8", content }
}

const fn style(path: &'static str, content: &'static str) -> File {
    File { path, content_type: "text/css; charset=utf-8", content }
}

const fn script(path: &'static str, content: &'static str) -> File {
    File { path, content_type: "text/javascript; charset=utf-8", content }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_page_loads_is_there() {
        let mut loaded = 0;
        for File { path, content, .. } in &FILES {
            for part in content.split(['"', '\'']).filter(|part| part.starts_with("/page/") || part.starts_with("./")) {
                let wanted = part.replacen("./", "/page/", 1);
                assert!(file(&wanted).is_some(), "{path} loads {part}");
                loaded += 1;
            }
        }
        assert!(loaded >= FILES.len() - 1, "only {loaded} files are loaded by others");
    }
}
