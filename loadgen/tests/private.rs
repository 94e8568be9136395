//! What loadgen asks of servers that are not its own, and what it keeps out of reports, messages and errors.

mod binary;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use binary::{EmbeddedServer, loadgen, pass_both_ways};

/// An echo server behind a relay, which notes the head of every request.
struct Relay {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
    _server: EmbeddedServer,
}

impl Relay {
    /// Starts one that lets responses name their server, or not.
    fn start(named: bool) -> Self {
        let server = EmbeddedServer::start(&[]);
        let behind = server.url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&heads);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (behind, noted) = (behind.clone(), Arc::clone(&noted));
                // A connection ends with an error here whenever loadgen closes it first.
                thread::spawn(move || relay(stream?, &behind, &noted, named));
            }
            io::Result::Ok(())
        });
        Self { address, heads, _server: server }
    }

    /// The heads of the requests since the last call.
    fn heads(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

fn relay(mut client: TcpStream, behind: &str, noted: &Mutex<Vec<String>>, named: bool) -> io::Result<()> {
    let mut server = TcpStream::connect(behind)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let request = head(&mut client)?;
    server.write_all(request.as_bytes())?;
    noted.lock().unwrap().push(request);
    let mut response = head(&mut server)?;
    if !named {
        response = response.split_inclusive("\r\n").filter(|line| !line.starts_with("Server: ")).collect();
    }
    client.write_all(response.as_bytes())?;
    pass_both_ways(client, server)
}

fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head).expect("ASCII"))
}

/// A file of this test process's own.
fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

const BRIEF: [&str; 7] = ["run", "-c", "3", "--warmup", "0s", "-d", "300ms"];

#[test]
fn only_a_server_that_names_itself_as_fathom_is_asked_for_its_configuration() {
    for named in [false, true] {
        let relay = Relay::start(named);
        let url = format!("ws://{}/", relay.address);
        let report = loadgen(&[&BRIEF[..], &[&url, "-H", "Host: virtual", "--format", "json"]].concat()).json(&[0, 98]);
        let config = &report.0["environment"]["server_config"];
        assert_eq!(config.pointer("/limits/max_connections").is_some(), named, "{config}");
        let heads = relay.heads();
        let asked = heads.iter().filter(|head| head.starts_with("GET /config ")).count();
        assert_eq!((heads.len(), asked), (3 + usize::from(named), usize::from(named)), "{heads:?}");
        // The one for the configuration goes to the same virtual host.
        let hosts = |head: &String| head.to_lowercase().matches("\r\nhost: virtual\r\n").count();
        assert!(heads.iter().all(|head| hosts(head) == 1), "{heads:?}");

        let flags =
            ["compare", "--aa", "--a", &url, "-c", "2", "--trial", "500ms", "--max-time", "3s", "--format", "json"];
        let report = loadgen(&flags).json(&[0, 98]);
        assert_eq!(report.0["a"]["server_config"].is_object(), named, "{}", report.0["a"]);
        let heads = relay.heads();
        let asked = heads.iter().filter(|head| head.starts_with("GET /config ")).count();
        // Both sides are the same server.
        assert_eq!((heads.len() - asked, asked), (4 * (heads.len() / 4), 2 * usize::from(named)), "{heads:?}");
    }
}

#[test]
fn the_request_names_host_and_path_as_the_url_does() {
    let relay = Relay::start(false);
    let port = relay.address.rsplit_once(':').unwrap().1;
    for (url, path) in [
        (format!("WS://localhost:{port}/a%20b/\u{e4}?\u{fc}={{1}}"), "/a%20b/%C3%A4?%C3%BC={1}"),
        (format!("ws://localhost:{port}?x"), "/?x"),
    ] {
        loadgen(&[&BRIEF[..], &[&url, "--format", "json"]].concat()).json(&[0, 98]);
        let heads = relay.heads();
        assert_eq!(heads.len(), 3);
        for head in heads {
            assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{head}");
            let host = format!("\r\nhost: localhost:{port}\r\n");
            assert_eq!(head.to_lowercase().matches(&host).count(), 1, "{head}");
        }
    }
}

#[test]
fn queries_and_header_values_are_in_no_report() {
    let server = EmbeddedServer::start(&[]);
    let url = format!("{}path?token=SECRET", server.url);
    let masked = format!("{}path?***", server.url);
    let saved = scratch("run.json");
    let name = saved.to_str().unwrap();
    let header = ["-H", "Authorization: SECRET", "-o", name];
    let finished = loadgen(&[&BRIEF[..], &[&url], &header].concat()).wait();
    assert!(matches!(finished.code, Some(0 | 98)), "{}", finished.stderr);
    assert!(finished.stdout.contains(&masked), "{}", finished.stdout);
    assert!(!format!("{}{}", finished.stdout, finished.stderr).contains("SECRET"));
    let mut documents = vec![("run", fs::read_to_string(&saved).unwrap())];
    for format in ["json", "text", "markdown", "html", "csv", "junit", "openmetrics", "benchfmt", "bmf", "hgrm"] {
        let finished = loadgen(&["report", name, "--to", format]).wait();
        assert_eq!(finished.code, Some(0), "{format}: {}", finished.stderr);
        documents.push((format, finished.stdout));
    }
    let directory = scratch("benchmark");
    let finished =
        loadgen(&["report", name, "--to", "github-action-benchmark", "-o", directory.to_str().unwrap()]).wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for file in fs::read_dir(&directory).unwrap() {
        documents.push(("github-action-benchmark", fs::read_to_string(file.unwrap().path()).unwrap()));
    }
    for experiment in [
        &["compare", "--aa", "--a", &url][..],
        &["sweep", "--server", &url, "--vary-load", "in-flight=1,2", "--one-at-a-time"],
    ] {
        let flags = ["-c", "2", "--trial", "500ms", "--max-time", "4s", "-H", "Authorization: SECRET", "-o", name];
        let finished = loadgen(&[experiment, &flags].concat()).wait();
        assert!(matches!(finished.code, Some(0 | 98)), "{experiment:?}: {}", finished.stderr);
        documents.push((experiment[0], finished.stdout + &finished.stderr));
        documents.push((experiment[0], fs::read_to_string(&saved).unwrap()));
        for format in ["markdown", "html", "csv", "junit", "openmetrics"] {
            documents.push((format, loadgen(&["report", name, "--to", format]).wait().stdout));
        }
    }
    for (which, document) in documents {
        assert!(!document.contains("SECRET"), "{which}: {document}");
    }
    fs::remove_file(saved).unwrap();
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn errors_repeat_no_secrets() {
    let refused = "ws://127.0.0.1:1/p?SECRET";
    for (arguments, shown) in [
        (&["run", refused][..], "ws://127.0.0.1:1/p?***"),
        (&["compare", "--a", refused, "--b", ""], "ws://127.0.0.1:1/p?***"),
        (&["sweep", "--server", refused, "--vary-load", "in-flight=1,2"], "ws://127.0.0.1:1/p?***"),
        (&["run", "ws://no-such-host.invalid/?SECRET"], "ws://no-such-host.invalid:80/?***"),
        (&["run", "ws://h:0/?SECRET"], "ws://h:0/?***"),
        (&["run", "ws://u:SECRET@h/"], "ws://***@h/"),
        (&["run", "ws://h/#SECRET"], "ws://h/#***"),
        (&["run", "wss://h:0/?SECRET"], "wss://h:0/?***"),
        (&["run", "ws://h/", "--proxy", "http://u:SECRET@h/p"], "http://***@h/p"),
        (&["run", "--server", "http://h/?SECRET"], "http://h/?***"),
        (&["run", "--server", "node x ws://h/?SECRET"], "node x ws://h/?***"),
        (&["run", "--server", "/no/such/program ws://h/?SECRET {port}"], "ws://h/?***"),
        (&["run", "ws://h/", "ws://h/?SECRET"], "ws://h/?***"),
        (&["ws://h/?SECRET"], "ws://h/?***"),
        (&["compare", "--a", "ws://u:SECRET@h", "--b", ""], "ws://***@h"),
        (&["sweep", "--server", "ws://h/#SECRET", "--vary-load", "in-flight=1,2"], "ws://h/#***"),
        (&["run", "-H", "Authorization: SECRET\n"], "Authorization: ***"),
        (&["run", "-H", "Authorization SECRET"], "***"),
        (&["run", "--header=Upgrade: SECRET"], "Upgrade: ***"),
        (&["run", "-H", "Host: SECRET", "-H", "host: SECRET"], "Host is given twice"),
    ] {
        let finished = loadgen(arguments).wait();
        assert!(matches!(finished.code, Some(1 | 2)), "{arguments:?}: {}", finished.stderr);
        let said = finished.stdout + &finished.stderr;
        assert!(said.contains(shown) && !said.contains("SECRET"), "{arguments:?}: {said}");
    }
}
