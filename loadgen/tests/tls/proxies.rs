//! HTTP proxies between loadgen and a server: one that connects, and those that do not.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::authority::Authority;
use crate::binary::{EmbeddedServer, loadgen, pass_both_ways};
use crate::secure::echo_server;
use crate::{refused, report, said};

/// A proxy that gives an answer to each request that it gets, or lets it through where there is none.
struct Proxy {
    authority: String,
    connected: Arc<AtomicU32>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(answer: fn(&str) -> Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let (connected, requests) = (Arc::<AtomicU32>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (counter, log) = (connected.clone(), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (counter, log) = (counter.clone(), log.clone());
                // A connection ends with an error here whenever loadgen closes it first.
                thread::spawn(move || serve(stream?, answer, &counter, &log));
            }
            io::Result::Ok(())
        });
        Self { authority, connected, requests }
    }
}

fn serve(
    mut client: TcpStream,
    answer: fn(&str) -> Option<&'static str>,
    connected: &AtomicU32,
    requests: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    requests.lock().unwrap().push(head.clone());
    if let Some(answer) = answer(&head) {
        client.write_all(answer.as_bytes())?;
        return client.read_to_end(&mut Vec::new()).map(drop);
    }
    let server = TcpStream::connect(head.split(' ').nth(1).unwrap())?;
    [&client, &server].into_iter().try_for_each(|socket| socket.set_nodelay(true))?;
    client.write_all(ESTABLISHED)?;
    connected.fetch_add(1, Ordering::Relaxed);
    pass_both_ways(client, server)
}

#[test]
fn connections_go_through_the_proxy() {
    let plain = EmbeddedServer::start(&[]);
    let bytes = EmbeddedServer::start_at("tcp://127.0.0.1:0", &[]);
    let authority = Authority::new();
    let secure = echo_server(authority.leaf().config());
    for (url, flags) in [
        (&plain.url, &[][..]),
        (&bytes.url, &[]),
        (&secure, &["--cacert", authority.file()]),
        (&secure, &["--insecure"]),
    ] {
        let proxy = Proxy::start(|_| None);
        let way = format!("http://{}", proxy.authority);
        let report = report(&[&[url.as_str(), "--proxy", &way], flags].concat());
        assert_eq!(
            proxy.connected.load(Ordering::Relaxed),
            3 + u32::from(report.0["environment"]["server_config"].is_object())
        );
        let server = url.split("://").nth(1).unwrap().trim_end_matches('/');
        let asked = proxy.requests.lock().unwrap()[0].clone();
        assert!(asked.starts_with(&format!("CONNECT {server} HTTP/1.1\r\n")), "{asked}");
        assert!(!asked.to_lowercase().contains("proxy-authorization"), "{asked}");
        // The server's name was the proxy's to resolve, and the connections are its own.
        assert_eq!(report.0["addresses"][&proxy.authority], 3, "{}", report.0["addresses"]);
        assert_eq!(report.0["environment"]["plan"]["connect"]["proxy"], way.as_str());
        assert!(report.0["resources"]["server"].is_null(), "the proxy is no server");
    }
}

#[test]
fn the_proxy_is_told_the_password_and_nobody_else() {
    let plain = EmbeddedServer::start(&[]);
    let proxy = Proxy::start(|_| None);
    let way = format!("http://user:S%45CRET@{}", proxy.authority);
    let report = report(&[&plain.url, "--proxy", &way]);
    let asked = proxy.requests.lock().unwrap()[0].clone();
    // user:SECRET
    assert!(asked.to_lowercase().contains("proxy-authorization: basic dxnlcjptrunsrvq=\r\n"), "{asked}");
    let saved = report.0.to_string();
    assert!(saved.contains(&format!("http://***@{}", proxy.authority)) && !saved.contains("CRET"), "{saved}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    fs::write(&file, saved).unwrap();
    for format in ["text", "markdown", "html"] {
        let said = said(&loadgen(&["report", file.to_str().unwrap(), "--to", format]).wait());
        let told = ["connections went through ", &proxy.authority].concat();
        assert!(said.contains(&told) && !said.contains("CRET") && !said.contains("user:"), "{format}: {said}");
    }
}

#[test]
fn a_proxy_that_does_not_connect_is_named_with_its_cause() {
    for (answer, words) in [
        (
            (|_| Some("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")) as fn(&str) -> Option<&'static str>,
            "answered 403 Forbidden to CONNECT echo.example:80: it does not let this server be reached",
        ),
        (
            |_| {
                Some(
                    "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
                )
            },
            "answered 407 Proxy Authentication Required to CONNECT echo.example:80: it wants a user name and a password",
        ),
        (
            |_| {
                Some(
                    "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n",
                )
            },
            "it wants to be told who asks by Negotiate, and loadgen knows Basic only",
        ),
        (
            |_| {
                Some(
                    "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate, NTLM\r\nProxy-Authenticate: \
                     Digest realm=\"Basic, x\"\r\nContent-Length: 0\r\n\r\n",
                )
            },
            "it wants to be told who asks by Negotiate or NTLM or Digest, and loadgen knows Basic only",
        ),
        (
            |_| {
                Some(
                    "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: \
                     Basic realm=x\r\nContent-Length: 0\r\n\r\n",
                )
            },
            "it wants a user name and a password, or others",
        ),
        (|_| Some("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), "it could not reach the server"),
        (
            |_| Some("SSH-2.0-OpenSSH_9.2\r\n"),
            "sent what is no answer in HTTP/1.1, so that its port may not be an HTTP proxy's, to CONNECT echo.example:80",
        ),
        (|_| Some("HTTP/1.1 200 OK\r\n\r\nhello"), "sent bytes behind its answer"),
        (|_| Some(""), "took the connection and did not answer to CONNECT within 300ms"),
    ] {
        let proxy = Proxy::start(answer);
        let way = format!("http://u:SECRET@{}", proxy.authority);
        let said = refused(&["ws://echo.example/", "--proxy", &way, "--connect-timeout", "300ms"]);
        assert!(said.contains(&format!("the proxy http://***@{}", proxy.authority)), "{said}");
        assert!(said.contains(words) && !said.contains("SECRET"), "{said}");
    }
    let said = refused(&["ws://echo.example/", "--proxy", "http://u:SECRET@nosuch.invalid:1"]);
    assert!(said.contains("cannot resolve the host of the proxy http://***@nosuch.invalid:1"), "{said}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = refused(&["ws://echo.example/", "--proxy", &format!("http://{nobody}")]);
    assert!(said.contains(&format!("the proxy http://{nobody} cannot be reached: ")), "{said}");
}

/// A proxy that has read the head of a request and does this with the connection.
fn misbehaving(then: fn(TcpStream) -> io::Result<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream?;
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte)?;
                    head.push(byte[0]);
                }
                then(stream)
            });
        }
        io::Result::Ok(())
    });
    authority
}

#[test]
fn a_proxy_that_ends_or_keeps_quiet_is_named() {
    let reset: fn(TcpStream) -> io::Result<()> =
        |stream| rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).map_err(Into::into);
    let proxy = misbehaving(reset);
    let said = refused(&["ws://echo.example/", "--proxy", &format!("http://{proxy}")]);
    let expected = format!("the proxy http://{proxy} gave no answer to CONNECT echo.example:80: ");
    assert!(said.contains(&expected) && said.contains("Connection reset by peer"), "{said}");
    let closes: fn(TcpStream) -> io::Result<()> = |mut stream| {
        stream.write_all(ESTABLISHED)?;
        // What the client says next is read, or the connection would end with a reset.
        stream.read(&mut [0; 4096]).map(drop)
    };
    let stalls: fn(TcpStream) -> io::Result<()> = |mut stream| {
        stream.write_all(ESTABLISHED)?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    };
    for (url, then, words) in [
        ("wss://echo.example/", closes, "the server closed the connection in the TLS handshake"),
        ("wss://echo.example/", stalls, "the server did not make the TLS handshake within 300ms"),
        ("ws://echo.example/", closes, "the server closed the connection without an answer to the handshake"),
        ("ws://echo.example/", stalls, "the server took the connection and sent nothing within 300ms"),
    ] {
        let proxy = misbehaving(then);
        let way = format!("http://{proxy}");
        let said = refused(&[url, "--proxy", &way, "--connect-timeout", "300ms"]);
        let named = format!("all of it went through the proxy {way}, which may be the cause");
        assert!(said.contains(words) && said.contains(&named), "{url}: {said}");
    }
}

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
