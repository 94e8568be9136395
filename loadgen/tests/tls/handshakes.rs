//! What is offered, checked and resumed, and what a run says of a handshake that fails.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::authority::Authority;
use crate::binary::{EmbeddedServer, loadgen};
use crate::secure::{self, Secure, echo_server, listen};
use crate::{refused, report, run, said, unusable};

#[test]
fn the_versions_that_were_asked_for_are_spoken() {
    let authority = Authority::new();
    let url = echo_server(authority.leaf().config());
    for (versions, spoken, suite) in
        [("1.2", "1.2", "TLS_ECDHE_ECDSA_"), ("1.3", "1.3", "TLS_A"), ("1.2,1.3", "1.3", "TLS_A")]
    {
        let report = report(&[&url, "--cacert", authority.file(), "--tls-versions", versions]);
        let settled = &report.0["tls"]["settled"];
        assert_eq!((settled[0]["version"].as_str(), settled[1].is_null()), (Some(spoken), true), "{settled}");
        assert!(settled[0]["cipher_suite"].as_str().unwrap().starts_with(suite), "{settled}");
        assert_eq!(settled[0]["connections"], 3, "{settled}");
        assert_eq!(report.0["tls"]["certificates_checked"], true);
        assert_eq!(report.number("/tls/handshake/count"), 3.0);
        // What it took to connect, in parts.
        let [all, tcp, tls, upgrade] =
            ["connect", "tcp", "tls/handshake", "upgrade"].map(|part| report.number(&format!("/{part}/mean")));
        assert!(tcp > 0.0 && tls > 0.0 && upgrade > 0.0, "{tcp}, {tls}, {upgrade}");
        assert!(((tcp + tls + upgrade) / all - 1.0).abs() < 0.01, "{all}: {tcp}, {tls}, {upgrade}");
        assert_eq!([report.number("/tcp/count"), report.number("/upgrade/count")], [3.0; 2]);
    }
    let said = said(&run(&[&url, "--cacert", authority.file()]));
    let parts = said.split_once("of that, by medians: TCP ").and_then(|(_, rest)| rest.split_once(", TLS "));
    assert!(parts.is_some_and(|(_, rest)| rest.contains(", the WebSocket handshake ")), "{said}");
    assert!(said.contains("TLS 1.3, TLS_AES_256_GCM_SHA384 on 3 connections; 0 resumed"), "{said}");
}

#[test]
fn certificates_that_cannot_be_trusted_are_refused_by_their_cause() {
    let (authority, other) = (Authority::new(), Authority::new());
    let right = echo_server(authority.leaf().config());
    let said = refused(&[&right, "--cacert", other.file()]);
    assert!(said.contains("TLS failed: the server's certificate is of no authority that is trusted"), "{said}");
    assert!(said.contains("or the server does not show the certificates between the two"), "{said}");
    // The system trusts no authority of a test's.
    let said = refused(&[&right]);
    assert!(said.contains("authority"), "{said}");
    let expired = echo_server(authority.expired().config());
    let said = refused(&[&expired, "--cacert", authority.file()]);
    assert!(said.contains("has expired: it was valid until 2021-02-03T"), "{said}");
    let elsewhere = authority.leaf_of(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("echo.example".try_into().unwrap())];
    });
    let elsewhere = echo_server(elsewhere.config());
    let said = refused(&[&elsewhere, "--cacert", authority.file()]);
    assert!(said.contains("is not for localhost, which it was asked for, but for echo.example; "), "{said}");
    report(&[&elsewhere, "--cacert", authority.file(), "--tls-server-name", "echo.example"]);
    let by_address = authority.leaf_of(|params| {
        params.subject_alt_names = vec![rcgen::SanType::IpAddress("::1".parse().unwrap())];
    });
    let said = refused(&[&echo_server(by_address.config()), "--cacert", authority.file()]);
    assert!(said.contains("which it was asked for, but for ::1; "), "{said}");
    let large = authority.leaf_of(|params| {
        let name = |n| rcgen::SanType::DnsName(format!("{n:0>50}.echo.example").try_into().unwrap());
        params.subject_alt_names = (0..2_000).map(name).collect();
    });
    let said = refused(&[&echo_server(large.config_without_its_key()), "--cacert", authority.file()]);
    assert!(said.contains("a message of the handshake that is larger than loadgen takes (64 KiB)"), "{said}");
    let said = unusable(&[&right, "--cacert", "/no/such/file"]);
    assert!(said.contains("--cacert /no/such/file: No such file"), "{said}");
    let said = unusable(&[&right, "--tls-server-name", "no name"]);
    assert!(said.contains("'no name' is neither a domain name"), "{said}");
    let compare = ["compare", "--a", &right, "--b", &right, "--cacert", "/no/such/file", "-q"];
    let finished = loadgen(&compare).wait();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
}

#[test]
fn whatever_certificate_is_taken_where_none_is_checked_and_the_report_says_so() {
    let url = echo_server(Authority::new().expired().config());
    let report = report(&[&url, "--insecure"]);
    assert_eq!(report.0["tls"]["certificates_checked"], false);
    assert_eq!(report.0["environment"]["plan"]["connect"]["tls"]["insecure"], true);
    let notes = report.0["trust"]["notes"].to_string();
    assert!(notes.contains("certificates were not checked (--insecure)"), "{notes}");
    let said = said(&run(&[&url, "--insecure"]));
    assert!(said.contains("the server's certificate was not checked"), "{said}");
    let stolen = echo_server(Authority::new().leaf().config_without_its_key());
    for version in ["1.2", "1.3"] {
        let said = refused(&[&stolen, "--insecure", "--tls-versions", version]);
        assert!(said.contains("TLS failed: a signature of the server's is wrong"), "{said}");
    }
}

#[test]
fn a_certificate_of_the_client_is_shown_where_it_is_asked_for() {
    let (authority, other) = (Authority::new(), Authority::new());
    let url = echo_server(authority.asking(&authority.leaf()));
    let [cert, key] = authority.files("client");
    let cacert = ["--cacert", authority.file()];
    for version in ["1.2", "1.3"] {
        let offered = [&[url.as_str(), "--tls-versions", version], &cacert[..]].concat();
        report(&[&offered[..], &["--client-cert", &cert, "--client-key", &key]].concat());
        let said = refused(&offered);
        assert!(said.contains("TLS failed: the server refused with the alert"), "{version}: {said}");
        assert!(said.contains("--client-cert"), "{version}: {said}");
        let [cert, key] = other.files("client");
        let said = refused(&[&offered[..], &["--client-cert", &cert, "--client-key", &key]].concat());
        assert!(said.contains("it does not take the certificate of --client-cert"), "{version}: {said}");
    }
    // One that ends the connection without an alert.
    let address = listen(authority.asking(&authority.leaf()), |Secure { mut conn, mut sock }| {
        while conn.is_handshaking() {
            while conn.wants_write() {
                conn.write_tls(&mut sock)?;
            }
            if conn.read_tls(&mut sock)? == 0 || conn.process_new_packets().is_err() {
                return Ok(());
            }
        }
        Ok(())
    });
    let silent = secure::url(address);
    let [other_cert, other_key] = other.files("client");
    for version in ["1.2", "1.3"] {
        let flags = [&silent, "--tls-versions", version, "--client-cert", &other_cert, "--client-key", &other_key];
        let said = refused(&[&flags[..], &cacert].concat());
        assert!(said.contains("it may not take the certificate of --client-cert"), "{version}: {said}");
        assert!(!said.contains("may not be for TLS"), "{version}: {said}");
    }
    let said = refused(&[&[&silent, "--tls-versions", "1.2"], &cacert[..]].concat());
    assert!(said.contains("or wants a certificate of the client's (--client-cert, --client-key)"), "{said}");
    assert!(!said.contains("may not be for TLS"), "{said}");
    let said = unusable(&[&[url.as_str(), "--client-cert", &cert, "--client-key", &cert], &cacert[..]].concat());
    assert!(said.contains(&format!("--client-key {cert}: no private key is in it")), "{said}");
}

#[test]
fn sessions_are_resumed_only_where_that_is_asked_for() {
    let authority = Authority::new();
    let mut config = authority.leaf().config();
    config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
    let url = echo_server(config);
    for version in ["1.2", "1.3"] {
        // One after the other, so that all but the first have a session to resume.
        let paced = ["-c", "6", "--connect-rate", "20", "--tls-versions", version];
        let flags = [&[url.as_str(), "--cacert", authority.file()], &paced[..]].concat();
        let resumed = |flags: &[&str]| {
            let report = report(flags);
            assert_eq!(report.number("/tls/resumed"), report.number("/tls/settled/0/resumed"));
            report.number("/tls/resumed")
        };
        assert_eq!(resumed(&flags), 0.0, "{version}");
        assert!(resumed(&[&flags[..], &["--tls-resume", "on"]].concat()) >= 4.0, "{version}");
    }
}

#[test]
fn what_is_no_tls_is_named() {
    let plain = EmbeddedServer::start(&[]);
    let url = plain.url.replace("ws://", "wss://");
    let said = refused(&[&url, "--insecure"]);
    assert!(said.contains("plain HTTP") || said.contains("in the TLS handshake"), "{said}");
    let answer = |answer: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("wss://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serve = |mut stream: TcpStream| {
                    let came = stream.read(&mut [0; 4096])?;
                    stream.write_all(answer)?;
                    if !answer.is_empty() && came > 0 {
                        stream.read_to_end(&mut Vec::new())?;
                    }
                    std::io::Result::Ok(())
                };
                thread::spawn(move || serve(stream?));
            }
            std::io::Result::Ok(())
        });
        url
    };
    for (sent, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "the server answered in plain HTTP: its port is not for TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "did not answer in TLS: it sent \"SSH-2.0-OpenSSH_9.2"),
        (b"", "the server closed the connection in the TLS handshake"),
        (&[21, 3, 3, 0, 2, 2, 40], "the server refused with the alert handshake_failure"),
        (&[21, 3, 3, 0, 2, 2, 70], "the alert protocol_version: it speaks none of the versions of --tls-versions"),
    ] {
        let said = refused(&[&answer(sent), "--insecure"]);
        assert!(said.contains(words), "{said}");
    }
    let full = ["--tls-self-signed", "--max-connections", "1"];
    let full = EmbeddedServer::start_at("wss://127.0.0.1:0", &full);
    let finished = run(&[&full.url, "--insecure"]);
    assert_eq!(finished.code, Some(98), "{}", finished.stdout);
    assert!(crate::said(&finished).contains("or it takes no more connections"), "{}", finished.stdout);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}/", silent.local_addr().unwrap());
    let said = refused(&[&url, "--insecure", "--connect-timeout", "200ms"]);
    assert!(said.contains("did not make the TLS handshake within 200ms"), "{said}");
}

#[test]
fn a_port_for_tls_is_told_from_one_for_http() {
    let url = echo_server(Authority::new().leaf().config()).replace("wss://", "ws://");
    let said = refused(&[&url]);
    assert!(said.contains("TLS; its port is for wss://"), "{said}");
}

#[test]
fn flags_of_tls_are_refused_where_it_is_not_spoken() {
    let [cert, key] = ["--client-cert", "--client-key"];
    for (flags, flag) in [
        (&["--cacert", "x"][..], "--cacert"),
        (&["--insecure"], "--insecure"),
        (&["--tls-server-name", "x"], "--tls-server-name"),
        (&["--tls-resume", "on"], "--tls-resume"),
        (&["--tls-versions", "1.3"], "--tls-versions"),
        (&[cert, "x", key, "x"], "--client-cert"),
    ] {
        let command =
            shell_words::join(["sh", "-c", "echo listening on ws://127.0.0.1:$1/; exec sleep 60", "-", "{port}"]);
        for (server, code) in
            [(&["ws://127.0.0.1:1/"][..], 2), (&["tcp://127.0.0.1:1"], 2), (&["--server", &command], 1)]
        {
            let finished = run(&[server, flags].concat());
            assert_eq!(finished.code, Some(code), "{server:?} {flags:?}: {}", finished.stderr);
            let said = format!("{flag} is for TLS, and the server's URL is not wss://");
            assert!(finished.stderr.contains(&said), "{server:?} {flags:?}: {}", finished.stderr);
        }
    }
}
