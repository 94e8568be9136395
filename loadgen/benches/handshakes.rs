//! Handshakes per second: clients open a connection and close it, again and again, with one server after the other.
//!
//!     cargo bench -p loadgen --bench handshakes -- --server '--threads 2 --balance kernel' --server '--threads 2'
//!
//! All servers are up at once. A round gives each of them one slice of time, in an order that is drawn anew, and each rate is
//! divided by that of the first server in the same round: what the machine does to one slice it does to its neighbours too.
//! Servers and clients may run on all cores. With servers that speak TLS (`wss://`) a handshake is TLS' and WebSocket's, the
//! former in full, or of a session that is resumed with `--tls-resume`. `cargo test --bench handshakes` tries it with one short round.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::Parser;
use loadgen::host::cores::Cores;
use loadgen::host::interrupt::Interrupt;
use loadgen::host::resources::Sampler;
use loadgen::host::running::{Running, Shares};
use loadgen::host::target::{EMBEDDED_SUBCOMMAND, Spec};
use loadgen::host::tls::Client as TlsClient;
use loadgen::plan::tls::Tls;
use loadgen::plan::url::{Scheme, Url};
use loadgen::program::cli::default_plan;
use loadgen::report::estimate::Spread;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use rustls::StreamOwned;
use socket2::{Domain, Socket, Type};

/// Measures how many WebSocket connections a second servers take, in alternation
#[derive(Debug, Parser)]
#[command(name = "handshakes", max_term_width = 100)]
struct Arguments {
    /// A server: flags of echo-server, a URL, or a command holding {port}; repeatable, the first is what the others are
    /// compared with [default: '--threads 2 --balance kernel', '--threads 2 --balance exact' and '--threads 1']
    #[arg(long = "server", value_name = "SPEC", allow_hyphen_values = true)]
    servers: Vec<Spec>,
    /// Threads that open and close connections, one at a time each
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u8).range(1..=100))]
    clients: u8,
    /// Rounds of one slice for each server [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// How long a slice is [default: 200ms]
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    slice: Option<Duration>,
    /// Have clients resume the session of an earlier connection where TLS is spoken; without it every handshake is a full one
    #[arg(long)]
    tls_resume: bool,
    /// Seed of the servers' order
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// What cargo bench says
    #[arg(long, hide = true)]
    bench: bool,
}

/// A server, and what its slices came to.
struct Side {
    name: String,
    server: Running,
    tls: Option<TlsClient>,
    /// Handshakes per second, one for each round.
    rates: Vec<f64>,
    /// The server's CPU time for each handshake in microseconds, likewise; none where its process cannot be seen.
    cpu: Vec<f64>,
}

/// A slice of one server.
struct Slice {
    rate: f64,
    cpu: Option<f64>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (rounds, slice) = if arguments.bench { (ROUNDS, SLICE) } else { (1, TRIED) };
    let (rounds, slice) = (arguments.rounds.unwrap_or(rounds), arguments.slice.unwrap_or(slice));
    let specs = if arguments.servers.is_empty() { default_servers() } else { arguments.servers };
    let interrupt = Interrupt::install(INTERRUPTED).context("cannot handle signals")?;
    let shares = Shares::together(&Cores::allowed());
    let mut connect = default_plan(std::num::NonZeroUsize::MIN).connect;
    // The certificates are the tests' own.
    connect.tls = Tls { insecure: true, resume: arguments.tls_resume, ..Tls::default() };
    let start = |spec: Spec| -> anyhow::Result<Side> {
        let name = spec.to_string();
        let server = Running::start(&started(spec), &connect, &shares, interrupt.flag())?;
        let url = server.url();
        let tls = (url.scheme() == Scheme::Wss).then(|| TlsClient::new(url.host(), &connect.tls)).transpose()?;
        Ok(Side { name, server, tls, rates: Vec::new(), cpu: Vec::new() })
    };
    let mut sides = specs.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
    for side in &sides {
        // What is new to a server and to the machine is not counted.
        side.slice(arguments.clients, slice)?;
    }
    let mut rng = SmallRng::seed_from_u64(arguments.seed);
    let mut order: Vec<usize> = (0..sides.len()).collect();
    for _ in 0..rounds {
        order.shuffle(&mut rng);
        for &i in &order {
            let Slice { rate, cpu } = sides[i].slice(arguments.clients, slice)?;
            if interrupt.flag().load(Ordering::Relaxed) {
                bail!("interrupted");
            }
            sides[i].rates.push(rate);
            sides[i].cpu.extend(cpu);
        }
    }
    let head = format!(
        "{} clients, {rounds} rounds of {} slices; medians, and the quartiles of the ratios\n\n",
        arguments.clients,
        humantime::format_duration(slice)
    );
    server::printing::print(io::stdout(), (head + &table(&sides)).as_bytes()).context("writing to stdout")
}

/// The servers of the table in docs/results.md.
fn default_servers() -> Vec<Spec> {
    let flags = ["--threads 2 --balance kernel", "--threads 2 --balance exact", "--threads 1"];
    flags.map(|flags| flags.parse().expect("echo-server has these flags")).to_vec()
}

/// The embedded server is started by a command, since it is part of loadgen and not of this program.
fn started(spec: Spec) -> Spec {
    let Spec::Embedded(flags) = spec else { return spec };
    // Its coming and going is no news.
    let command = ["env", "RUST_LOG=warn", env!("CARGO_BIN_EXE_loadgen"), EMBEDDED_SUBCOMMAND];
    let listening = ["--listen", "127.0.0.1:{port}"];
    Spec::Command(command.into_iter().chain(listening).map(str::to_owned).chain(flags).collect())
}

impl Side {
    /// Opens and closes connections for a while, `clients` at a time.
    fn slice(&self, clients: u8, length: Duration) -> anyhow::Result<Slice> {
        let (address, url, tls) = (self.server.addresses().in_use()[0], self.server.url(), self.tls.as_ref());
        let sampler = Sampler::of(self.server.pids());
        let began = Instant::now();
        let client = |number: u8| {
            let count = open_and_close(address, url, tls, number, began + length)?;
            Ok((count, count as f64 / began.elapsed().as_secs_f64()))
        };
        let results: Vec<anyhow::Result<(u64, f64)>> = thread::scope(|scope| {
            let client = &client;
            let threads: Vec<_> = (0..clients).map(|number| scope.spawn(move || client(number))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
        });
        let (mut count, mut rate) = (0, 0.0);
        for result in results {
            let of_client = result.with_context(|| format!("{} at {address}", self.name))?;
            count += of_client.0;
            rate += of_client.1;
        }
        thread::sleep(REST);
        let cpu = sampler.and_then(|sampler| sampler.cpu());
        Ok(Slice { rate, cpu: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / count as f64) })
    }
}

/// Opens and closes connections until then; how many, one at least.
fn open_and_close(
    address: SocketAddr,
    url: &Url,
    tls: Option<&TlsClient>,
    client: u8,
    until: Instant,
) -> anyhow::Result<u64> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n",
        url.path(),
        url.authority()
    );
    let mut count: u64 = 0;
    loop {
        let mut stream = connect(address, client, count as u16).context("cannot connect")?;
        match tls {
            None => upgrade(&mut stream, &request)?,
            Some(tls) => {
                let connection = tls.connection().context("TLS cannot be spoken")?;
                upgrade(&mut StreamOwned::new(connection, stream), &request)?;
            }
        }
        count += 1;
        if Instant::now() >= until {
            return Ok(count);
        }
    }
}

/// Connects, to a server of this machine from an address of 127.0.0.0/8 that changes with `host`: the port of a connection
/// that was closed is taken for a minute, and one address has some 28,000.
fn connect(address: SocketAddr, client: u8, host: u16) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.ip().is_loopback() && address.is_ipv4() {
        let [high, low] = host.to_be_bytes();
        let source = IpAddr::from(Ipv4Addr::new(127, FIRST_NETWORK + client, high, low.clamp(1, 254)));
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect_timeout(&address.into(), PATIENCE)?;
    // As every client has it: the end of TLS' handshake and the request do not wait for each other's acknowledgement.
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

/// Asks for the upgrade, and reads the answer.
fn upgrade(stream: &mut (impl Read + Write), request: &str) -> anyhow::Result<()> {
    stream.write_all(request.as_bytes()).context("cannot send the request of a handshake")?;
    expect_upgrade(stream)
}

/// Reads the answer to a handshake, which is to be the upgrade.
fn expect_upgrade(stream: &mut impl Read) -> anyhow::Result<()> {
    let (mut answer, mut length) = ([0; MOST_BYTES], 0);
    while !answer[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut answer[length..]) {
            Ok(0) => bail!("the connection ended within the answer to its handshake: {}", said(&answer[..length])),
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("no whole answer to a handshake"),
        }
    }
    let answer = said(&answer[..length]);
    if answer.starts_with("HTTP/1.1 101 ") && answer.contains(ACCEPTED) {
        return Ok(());
    }
    Err(anyhow!("expected 101 Switching Protocols with Sec-WebSocket-Accept: {ACCEPTED}, not: {answer}"))
}

fn said(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).trim_end().to_owned()
}

/// The table in markdown, as docs/results.md has it.
fn table(sides: &[Side]) -> String {
    let mut table = "| server | rate | ratio | CPU |\n|---|---|---|---|\n".to_owned();
    let reference = &sides[0].rates;
    for (i, Side { name, rates, cpu, .. }) in sides.iter().enumerate() {
        let Spread { median, q1, q3, .. } =
            Spread::of(rates.iter().zip(reference).map(|(rate, first)| rate / first).collect());
        let ratio = if i == 0 { "1".to_owned() } else { format!("{median:.3} [{q1:.3}..{q3:.3}]") };
        let cpu = match Spread::of(cpu.clone()) {
            Spread { count: 0, .. } => "-".to_owned(),
            spread => format!("{:.1} us", spread.median),
        };
        table += &format!("| `{name}` | {:.0}/s | {ratio} | {cpu} |\n", Spread::of(rates.clone()).median);
    }
    table
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("expected a time above 0, as 200ms or 1s".to_owned()),
    }
}

/// As many as the table in docs/results.md was made of.
const ROUNDS: u32 = 10;

/// Some thousands of handshakes.
const SLICE: Duration = Duration::from_millis(200);

/// The slice of `cargo test`, which is to show that everything works and nothing else.
const TRIED: Duration = Duration::from_millis(20);

/// How long a server has to deal with the last connections that were closed, before its CPU time is read.
const REST: Duration = Duration::from_millis(5);

/// How long a connection or an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of an answer to a handshake.
const MOST_BYTES: usize = 4096;

/// Client number N connects from 127.(this + N).0.0/16.
const FIRST_NETWORK: u8 = 1;

/// The key of RFC 6455, 1.3. A server owes an answer to each, and none of them is a secret.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The answer to it, from there too.
const ACCEPTED: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The exit code after a second signal.
const INTERRUPTED: u8 = 130;
