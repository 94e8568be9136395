//! Values of flags that need more than a `FromStr` of another crate.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use wire::deflate::{Level, MemoryLevel, WindowBits};

use super::logging::LogFormat;
use super::numbers;
use crate::config::{
    Balance, ContextTakeover, Keepalive, RelayTo, Runtime, SlowReader, Stall, UncompressedReply, WriteMode,
};

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}

impl From<Switch> for bool {
    fn from(switch: Switch) -> Self {
        matches!(switch, Switch::On)
    }
}

/// Which cores the workers are pinned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pin {
    Off,
    Allowed,
    Cores(Vec<usize>),
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => return Ok(Self::Off),
            "on" => return Ok(Self::Allowed),
            _ => {}
        }
        let core = |digits: &str| {
            let core =
                digits.parse::<usize>().map_err(|_| format!("'{digits}' is not a core; try off, on, or 0,2-3"))?;
            if core < MAX_CORES { Ok(core) } else { Err(format!("core {core} is beyond the last, {}", MAX_CORES - 1)) }
        };
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (core(first)?, core(last)?);
            if first > last {
                return Err(format!("the range {part} runs backwards"));
            }
            cores.extend(first..=last);
        }
        Ok(Self::Cores(cores))
    }
}

/// When a vanished peer is noticed, if ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeepaliveFlag(pub(super) Option<Keepalive>);

impl FromStr for KeepaliveFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let [idle, interval, probes] = text.split(',').collect::<Vec<_>>()[..] else {
            return Err("expected off, or a time, an interval and a number of probes such as 60s,10s,6".into());
        };
        let time = |text: &str| match numbers::time(text, LONGEST) {
            Ok(time) if time.subsec_nanos() == 0 && KEEPALIVE_SECONDS.contains(&time.as_secs()) => Ok(time),
            _ => Err(format!("'{text}' is not a time of 1s to 32767s in whole seconds")),
        };
        let probes = probes.parse().ok().filter(|probes| KEEPALIVE_PROBES.contains(probes));
        let probes = probes.ok_or("the number of probes must be 1 to 127")?;
        Ok(Self(Some(Keepalive { idle: time(idle)?, interval: time(interval)?, probes })))
    }
}

/// A size that `--read-buffer` accepts.
pub(super) fn read_buffer(text: &str) -> Result<u64, String> {
    match numbers::bytes(text)? {
        size if READ_BUFFER_RANGE.contains(&size) => Ok(size),
        _ => Err("must be 128 B to 16 MiB".into()),
    }
}

/// A size that a socket option of the kernel's holds, which is a C `int` (socket(7)).
pub(super) fn socket_bytes(text: &str) -> Result<u64, String> {
    match numbers::bytes(text)? {
        size if size <= MOST_INT => Ok(size),
        _ => Err(format!("expected at most {MOST_INT} bytes, which is all that the kernel takes")),
    }
}

/// A size that `--max-message-size` accepts.
pub(super) fn message_bytes(text: &str) -> Result<u64, String> {
    match numbers::bytes(text)? {
        size if size <= MOST_MESSAGE_BYTES => Ok(size),
        _ => Err(format!("expected at most {MOST_MESSAGE_BYTES} bytes (4GiB)")),
    }
}

/// A time that a connection or the shutdown is given.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    numbers::time(text, LONGEST)
}

/// A mean that `--inject-jitter` accepts.
pub(super) fn jitter(text: &str) -> Result<Duration, String> {
    numbers::time(text, MOST_JITTER)
}

/// What `--inject-stall` accepts.
pub(super) fn stall(text: &str) -> Result<Option<Stall>, String> {
    if text == "none" {
        return Ok(None);
    }
    let (length, every) = text.split_once('/').ok_or("expected a length and an interval, as 20ms/1s, or none")?;
    let (length, every) = (numbers::time(length, LONGEST)?, numbers::time(every, LONGEST)?);
    match length {
        Duration::ZERO => Err("expected a stall of more than nothing, as 20ms/1s".into()),
        length if length < every => Ok(Some(Stall { length, every })),
        _ => Err("expected a stall shorter than the interval, as 20ms/1s".into()),
    }
}

/// A size that `--max-buffered` accepts.
pub(super) fn max_buffered(text: &str) -> Result<u64, String> {
    match numbers::bytes(text)? {
        size if size >= LEAST_BUFFERED => Ok(size),
        _ => Err("expected 1 MiB at least".into()),
    }
}

/// A size that `--relay-queue` accepts.
pub(super) fn relay_queue(text: &str) -> Result<u64, String> {
    match numbers::bytes(text)? {
        size if RELAY_QUEUE_RANGE.contains(&size) => Ok(size),
        _ => Err("must be 1 KiB to 4 GiB".into()),
    }
}

/// A level that `--deflate-level` accepts.
pub(super) fn level(text: &str) -> Result<Level, String> {
    text.parse().ok().and_then(Level::new).ok_or_else(|| "must be 1 to 9".into())
}

/// A level that `--deflate-memory` accepts.
pub(super) fn memory_level(text: &str) -> Result<MemoryLevel, String> {
    text.parse().ok().and_then(MemoryLevel::new).ok_or_else(|| "must be 1 to 9".into())
}

/// What `--deflate-context-takeover` accepts.
pub(super) fn context_takeover() -> impl TypedValueParser<Value = ContextTakeover> {
    let names = PossibleValuesParser::new(ContextTakeover::ALL.map(ContextTakeover::name));
    names.map(|name| ContextTakeover::from_name(&name).expect("a name of the list"))
}

/// A window that `--deflate-window-bits` accepts: zlib, and so most clients, knows none of 8 bits.
pub(super) fn window_bits(text: &str) -> Result<WindowBits, String> {
    let bits = text.parse().ok().and_then(WindowBits::new).filter(|bits| bits.get() > 8);
    bits.ok_or_else(|| "must be 9 to 15".into())
}

// By hand, because the configuration knows nothing of the command line.
macro_rules! value_enum {
    ($type:ty { $($variant:ident = $name:literal),+ }) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant),+]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(PossibleValue::new(match self { $(Self::$variant => $name),+ }))
            }
        }
    };
}

value_enum!(RelayTo { Others = "others", All = "all" });
value_enum!(SlowReader { DropNewest = "drop-newest", DropOldest = "drop-oldest", Close = "close" });
value_enum!(Runtime { Sharded = "sharded", WorkStealing = "work-stealing" });
value_enum!(Balance { Exact = "exact", Kernel = "kernel" });
value_enum!(WriteMode { Cork = "cork", PerFrame = "per-frame", Vectored = "vectored" });
value_enum!(UncompressedReply { Plain = "plain", Compressed = "compressed" });
value_enum!(LogFormat { Text = "text", Json = "json" });

/// Cores that an affinity mask of glibc's size can name.
const MAX_CORES: usize = 1024;

/// Bytes: below 128 a read holds hardly a header, above 16 MiB no default message needs it.
const READ_BUFFER_RANGE: RangeInclusive<u64> = 128..=16 << 20;

/// Bytes: less would refuse connections for want of room for their requests.
pub(super) const LEAST_BUFFERED: u64 = 1 << 20;

/// Bytes: with less a queue would hold a few messages, and what `--max-buffered` is meant for begins above.
const RELAY_QUEUE_RANGE: RangeInclusive<u64> = 1 << 10..=4 << 30;

/// Seconds that Linux takes for TCP_KEEPIDLE and TCP_KEEPINTVL (tcp.h, MAX_TCP_KEEPIDLE).
const KEEPALIVE_SECONDS: RangeInclusive<u64> = 1..=32767;

/// Probes that Linux takes for TCP_KEEPCNT (tcp.h, MAX_TCP_KEEPCNT).
const KEEPALIVE_PROBES: RangeInclusive<u32> = 1..=127;

/// 4 GiB: a frame's length is reserved once its header announces it, and far more would be no allocation but the end of
/// the process.
const MOST_MESSAGE_BYTES: u64 = 4 << 30;

/// What a C `int` holds.
pub(super) const MOST_INT: u64 = i32::MAX as u64;

/// More threads than any machine has cores for; a number with a digit too many would be out of memory before it fails.
pub(super) const MOST_THREADS: u64 = 1024;

/// 1 s for each message: what is slower serves nobody.
const MOST_JITTER: Duration = Duration::from_secs(1);

/// 100 years of 365.25 days: longer than any server lives, and far from where instants overflow.
const LONGEST: Duration = Duration::from_secs(100 * 31_557_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepalive_reads_times_and_a_count() {
        let seconds = Duration::from_secs;
        let expected = Keepalive { idle: seconds(90), interval: seconds(10), probes: 3 };
        assert_eq!("1m 30s,10s,3".parse(), Ok(KeepaliveFlag(Some(expected))));
        assert_eq!(expected.patience(), seconds(120));
        assert_eq!("off".parse(), Ok(KeepaliveFlag(None)));
        for wrong in
            ["", "on", "60s", "60s,10s", "0s,1s,1", "1ms,1s,1", "32768s,1s,1", "1s,1s,0", "1s,1s,128", "1s,1s,1,1"]
        {
            assert!(wrong.parse::<KeepaliveFlag>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn pin_reads_lists_and_ranges() {
        assert_eq!("off".parse(), Ok(Pin::Off));
        assert_eq!("on".parse(), Ok(Pin::Allowed));
        assert_eq!("0,2-4,1".parse(), Ok(Pin::Cores(vec![0, 2, 3, 4, 1])));
        for wrong in ["", "x", "1-", "3-1", "-1", "0,,1", "0-9999999999"] {
            assert!(wrong.parse::<Pin>().is_err(), "{wrong:?}");
        }
    }
}
