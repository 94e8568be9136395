//! From what was measured of one server to the cores, memory, bandwidth and machines that a need takes: every step is a
//! line that shows its arithmetic, and what is assumed is said. Pure: figures go in, lines come out.

mod need;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::need::Need;
use crate::units;

/// What was measured of one server. What was not measured is `None`, and so are then the totals that rest on it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// How many messages it answers.
    pub capacity: Option<Capacity>,
    /// What its connections take of memory.
    pub memory: Option<ConnectionMemory>,
    /// What a message takes of the network.
    pub message: Option<MessageBytes>,
}

/// How many messages a server answers within its SLO, and what it takes for that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// The rate that it sustains, the lower end of what was found.
    pub messages_per_second: f64,
    /// CPU time that the server used at that rate, seconds per second; above 0.
    pub cores: f64,
}

/// What connections take of memory, each the upper end of what was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConnectionMemory {
    /// Memory of the process for each connection, bytes.
    pub user_bytes: f64,
    /// Memory of the kernel for each connection's socket, bytes.
    pub kernel_bytes: f64,
    /// Memory of the process without connections, bytes.
    pub process_bytes: f64,
}

/// Bytes on the wire for a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MessageBytes {
    /// From the client to the server.
    pub received: f64,
    /// From the server to the client.
    pub sent: f64,
}

/// A machine of those that are to serve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// Cores that the server may use; above 0.
    pub cores: f64,
    /// Memory that the server and its sockets may use, bytes.
    pub memory_bytes: f64,
    /// Bits per second of its network, in each direction; `None`: not known.
    pub network_bits_per_second: Option<f64>,
}

/// What a need takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sizing {
    /// The arithmetic, step by step.
    pub lines: Vec<Line>,
    /// What the arithmetic takes for granted, a sentence each.
    pub assumptions: Vec<String>,
    /// Cores over all machines, headroom included.
    pub cores: Option<f64>,
    /// Memory for connections over all machines, bytes, headroom included; what each process takes without them is not.
    pub memory_bytes: Option<f64>,
    /// Bits per second over all machines, headroom included, in the direction that has more.
    pub bits_per_second: Option<f64>,
    /// Machines; null where nothing that was asked for was measured, or where no number of machines is enough.
    pub machines: Option<u64>,
}

/// A step: `cores: 3,333,333 / 42,041 = 79.3`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// What is worked out.
    pub what: String,
    /// From what, and how.
    pub arithmetic: String,
    /// What comes out, with its unit.
    pub result: String,
}

/// How many machines one resource takes.
struct Share {
    resource: &'static str,
    /// `None`: no number is enough.
    machines: Option<f64>,
}

impl Sizing {
    /// What `need` takes of machines like `machine`, each running one server like the one measured.
    pub fn new(need: &Need, measured: &Measured, machine: &Machine) -> Self {
        let mut sizing = Self {
            lines: Vec::new(),
            assumptions: Vec::new(),
            cores: None,
            memory_bytes: None,
            bits_per_second: None,
            machines: None,
        };
        let headroom = units::percent(need.headroom);
        sizing.assume(format!("{headroom} of what is provided stays unused: needs are divided by 1 - {headroom}"));
        let mut shares = Vec::new();
        if let Some(needed) = need.messages_per_second {
            let rate = sizing.with_headroom("messages per second to provide for", needed, need.headroom);
            shares.extend(sizing.size_cores(rate, measured.capacity, machine));
            shares.extend(sizing.size_network(rate, measured.message, machine));
        }
        if let Some(needed) = need.connections {
            let connections = sizing.with_headroom("connections to provide for", needed, need.headroom);
            shares.extend(sizing.size_memory(connections, measured.memory, machine));
        }
        sizing.conclude(&shares);
        sizing
    }

    fn with_headroom(&mut self, what: &str, needed: f64, headroom: f64) -> f64 {
        let provided = needed / (1.0 - headroom);
        let arithmetic = format!("{} / (1 - {})", exact(needed), units::percent(headroom));
        self.line(what, arithmetic, exact(provided));
        provided
    }

    fn size_cores(&mut self, rate: f64, capacity: Option<Capacity>, machine: &Machine) -> Option<Share> {
        let Some(Capacity { messages_per_second, cores }) = capacity else {
            self.assume("cores are left out: the server's capacity, or the CPU time it takes, was not measured".into());
            return None;
        };
        let per_core = messages_per_second / cores;
        let arithmetic = format!("{} sustained / {} cores used", exact(messages_per_second), exact(cores));
        self.line("messages per second of a core", arithmetic, exact(per_core));
        let needed = rate / per_core;
        let arithmetic = format!("{} / {}", exact(rate), exact(per_core));
        self.line("cores", arithmetic, format!("{} cores", exact(needed)));
        let assumption = "each further core answers as many messages as those measured; the scalability law, fitted to a \
                          search over threads, tells how far that holds";
        self.assume(assumption.into());
        self.cores = Some(needed);
        Some(self.share("cores", needed, machine.cores, exact))
    }

    fn size_network(&mut self, rate: f64, message: Option<MessageBytes>, machine: &Machine) -> Option<Share> {
        let Some(MessageBytes { received, sent }) = message else {
            self.assume("bandwidth is left out: the bytes of a message were not measured".into());
            return None;
        };
        for (what, bytes) in [("bandwidth to the servers", received), ("bandwidth from the servers", sent)] {
            let arithmetic = format!("{} x {} B x 8 bits", exact(rate), exact(bytes));
            self.line(what, arithmetic, bit_rate(rate * bytes * 8.0));
        }
        let assumption = "messages are as large as those measured and get one reply each; what was not counted, such as \
                          the headers of packets, is left out";
        self.assume(assumption.into());
        let needed = rate * received.max(sent) * 8.0;
        self.bits_per_second = Some(needed);
        let Some(available) = machine.network_bits_per_second else {
            self.assume("the network of a machine is not known, and taken to be enough".into());
            return None;
        };
        Some(self.share("bandwidth", needed, available, bit_rate))
    }

    fn size_memory(&mut self, connections: f64, taken: Option<ConnectionMemory>, machine: &Machine) -> Option<Share> {
        let Some(ConnectionMemory { user_bytes, kernel_bytes, process_bytes }) = taken else {
            self.assume("memory is left out: what a connection takes was not measured".into());
            return None;
        };
        let each = user_bytes + kernel_bytes;
        let arithmetic = format!("{} of the process + {} of the kernel", memory(user_bytes), memory(kernel_bytes));
        self.line("memory of a connection", arithmetic, memory(each));
        let needed = connections * each;
        let arithmetic = format!("{} x {}", exact(connections), memory(each));
        self.line("memory of connections", arithmetic, memory(needed));
        let left = machine.memory_bytes - process_bytes;
        let arithmetic = format!("{} - {} without connections", memory(machine.memory_bytes), memory(process_bytes));
        self.line("memory of a machine for connections", arithmetic, memory(left.max(0.0)));
        self.assume("connections take as much as those measured; more if more of what they send or get waits".into());
        self.memory_bytes = Some(needed);
        Some(self.share("memory", needed, left, memory))
    }

    /// How many machines have so much together.
    fn share(&mut self, resource: &'static str, needed: f64, each: f64, unit: fn(f64) -> String) -> Share {
        let machines = (each > 0.0).then(|| (needed / each - ROUNDING).ceil().max(1.0));
        let result = machines.map_or_else(|| "no number is enough".to_owned(), exact);
        let arithmetic = format!("{} / {} each, rounded up", unit(needed), unit(each.max(0.0)));
        self.line(&format!("machines for {resource}"), arithmetic, result);
        Share { resource, machines }
    }

    fn conclude(&mut self, shares: &[Share]) {
        let Some(most) = shares.iter().max_by(|a, b| amount(a).total_cmp(&amount(b))) else { return };
        let Some(machines) = most.machines else { return };
        self.line("machines", format!("the most of these: {}", most.resource), exact(machines));
        self.assume(
            "load is spread evenly over the machines, and none is spare: add those that may fail at a time".into(),
        );
        self.machines = (machines < MOST_COUNTED).then_some(machines as u64);
    }

    fn line(&mut self, what: &str, arithmetic: String, result: String) {
        self.lines.push(Line { what: what.to_owned(), arithmetic, result });
    }

    fn assume(&mut self, sentence: String) {
        self.assumptions.push(sentence);
    }
}

fn amount(share: &Share) -> f64 {
    share.machines.unwrap_or(f64::INFINITY)
}

/// A number with digits enough that the next line can be worked out from it by hand.
fn exact(value: f64) -> String {
    if value >= MOST_COUNTED {
        return format!("{value:.6e}");
    }
    if value >= LEAST_WHOLE || value == value.round() {
        return units::count(value.round() as u64);
    }
    let decimals = (f64::from(DIGITS) - 1.0 - value.abs().max(f64::MIN_POSITIVE).log10().floor()).clamp(0.0, 15.0);
    let digits = format!("{value:.*}", decimals as usize);
    let (whole, part) = digits.split_once('.').unwrap_or((&digits, ""));
    let whole = units::count(whole.parse().unwrap_or(0));
    match part.trim_end_matches('0') {
        "" => whole,
        part => format!("{whole}.{part}"),
    }
}

/// The same of bytes, and in a unit for people.
fn memory(bytes: f64) -> String {
    scaled(bytes, "B", units::memory)
}

fn bit_rate(bits: f64) -> String {
    scaled(bits, "bit/s", |bits| units::bit_rate(bits as f64))
}

fn scaled(value: f64, unit: &str, show: fn(u64) -> String) -> String {
    let exact = format!("{} {unit}", exact(value.round()));
    if value < LEAST_SCALED { exact } else { format!("{exact} ({})", show(value as u64)) }
}

/// Significant digits of what is not whole.
const DIGITS: u32 = 6;

/// From here on a number is shown without what follows its point: it has [`DIGITS`] digits before it.
const LEAST_WHOLE: f64 = 100_000.0;

/// From here on bytes and bits are said in a larger unit too.
const LEAST_SCALED: f64 = 1_000.0;

/// From here on whole numbers are not told from their neighbours (2^53).
const MOST_COUNTED: f64 = 9_007_199_254_740_992.0;

/// Machines: less than a floating point number is off by, so that exactly 2 are not 3.
const ROUNDING: f64 = 1e-9;
