//! What a plan says of permessage-deflate (RFC 7692), and how much of the replies it has verified.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
pub use wire::deflate::ContextTakeover;
use wire::deflate::{ClientWindow, Effort, Level, MemoryLevel, Offer, WindowBits};

/// How the generator offers permessage-deflate and compresses its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Deflate {
    /// What becomes of a connection whose server declines.
    pub demand: Demand,
    /// How hard messages are compressed, and with how much memory.
    pub effort: Effort,
    /// Bytes of the smallest message that is compressed.
    pub threshold: u32,
    /// Whose messages may refer to earlier ones, if the server agrees.
    pub context_takeover: ContextTakeover,
    /// How far back they may refer, on either side.
    pub window: WindowBits,
}

/// What becomes of a connection whose server declines permessage-deflate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// It counts as one that could not be opened.
    On,
    /// It goes on uncompressed.
    Prefer,
}

/// How much of the replies is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// Length, content, type and order of every reply; what came compressed is inflated.
    Full,
    /// That on every 16th connection of a worker, the first included; on the others the length.
    Sample,
    /// Length and type only. Where the server takes context over nothing is inflated: of a compressed reply only the frame
    /// is looked at.
    Length,
}

impl Deflate {
    /// Whether messages of either side may refer to earlier ones.
    pub fn remembers(&self) -> bool {
        self.context_takeover != ContextTakeover::Off
    }

    /// What is said to the server.
    pub fn offer(&self) -> Offer {
        let narrowed = self.window < WindowBits::MAX;
        Offer {
            server_no_context_takeover: !self.context_takeover.of_server(),
            client_no_context_takeover: !self.context_takeover.of_client(),
            server_max_window: narrowed.then_some(self.window),
            client_max_window: if narrowed { ClientWindow::AtMost(self.window) } else { ClientWindow::Bounded },
        }
    }
}

/// How permessage-deflate is offered, and messages compressed.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Deflate")]
struct Fields {
    demand: Demand,
    /// How hard messages are compressed.
    #[schemars(range(min = 1, max = 9))]
    level: u8,
    /// With how much memory, as a level.
    #[schemars(range(min = 1, max = 9))]
    memory: u8,
    /// The smallest message that is compressed, in bytes.
    threshold: u32,
    /// Whose messages may refer to earlier ones, if the server agrees.
    #[serde(with = "TakeoverName")]
    context_takeover: ContextTakeover,
    /// How far back at the most, as a power of two in bytes.
    #[schemars(range(min = 8, max = 15))]
    window_bits: u8,
}

impl From<Deflate> for Fields {
    fn from(deflate: Deflate) -> Self {
        let Deflate { demand, effort, threshold, context_takeover, window } = deflate;
        let (level, memory, window_bits) = (effort.level.get(), effort.memory.get(), window.get());
        Self { demand, level, memory, threshold, context_takeover, window_bits }
    }
}

impl TryFrom<Fields> for Deflate {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields { demand, level, memory, threshold, context_takeover, window_bits } = fields;
        let wrong = |what: &str, value: u8| format!("{value} is no {what} of permessage-deflate");
        let effort = Effort {
            level: Level::new(level).ok_or_else(|| wrong("level", level))?,
            memory: MemoryLevel::new(memory).ok_or_else(|| wrong("memory level", memory))?,
        };
        let window = WindowBits::new(window_bits).ok_or_else(|| wrong("window", window_bits))?;
        Ok(Self { demand, effort, threshold, context_takeover, window })
    }
}

/// Context takeover by its name.
#[derive(JsonSchema)]
#[schemars(inline, with = "String", extend("enum" = TAKEOVER_NAMES))]
enum TakeoverName {}

impl TakeoverName {
    fn serialize<S: Serializer>(value: &ContextTakeover, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.name())
    }

    fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ContextTakeover, D::Error> {
        let name = String::deserialize(from)?;
        let unknown = || serde::de::Error::unknown_variant(&name, TAKEOVER_NAMES);
        ContextTakeover::from_name(&name).ok_or_else(unknown)
    }
}

const TAKEOVER_NAMES: &[&str] = &["off", "server", "client", "both"];

#[cfg(test)]
mod tests {
    use super::*;

    fn deflate(context_takeover: ContextTakeover, bits: u8) -> Deflate {
        let window = WindowBits::new(bits).unwrap();
        Deflate { demand: Demand::On, effort: Effort::default(), threshold: 0, context_takeover, window }
    }

    #[test]
    fn the_offer_says_what_the_plan_wants() {
        for (takeover, bits, offer) in [
            (
                ContextTakeover::Off,
                15,
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
            ),
            (ContextTakeover::Both, 15, "permessage-deflate; client_max_window_bits"),
            (ContextTakeover::Server, 15, "permessage-deflate; client_no_context_takeover; client_max_window_bits"),
            (
                ContextTakeover::Client,
                9,
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9",
            ),
        ] {
            assert_eq!(deflate(takeover, bits).offer().header(), offer);
        }
    }

    #[test]
    fn it_reads_back_as_it_was_written_and_in_range_only() {
        let written = serde_json::to_value(deflate(ContextTakeover::Client, 9)).unwrap();
        assert_eq!(serde_json::from_value::<Deflate>(written.clone()).unwrap(), deflate(ContextTakeover::Client, 9));
        for (field, value) in [("level", 0), ("memory", 10), ("window_bits", 7)] {
            let mut wrong = written.clone();
            wrong[field] = value.into();
            assert!(serde_json::from_value::<Deflate>(wrong).is_err(), "{field}");
        }
    }
}
