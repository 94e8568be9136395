//! What a service is to hold, as `--need` reads it: `messages_per_second=2e6 connections=500e3 headroom=40%`.

use std::str::FromStr;

use server::numbers;

/// What a service is to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Need {
    /// Messages per second over all connections; above 0.
    pub messages_per_second: Option<f64>,
    /// Connections open at a time; above 0.
    pub connections: Option<f64>,
    /// The share (0..1) of what is provided that is to stay unused.
    pub headroom: f64,
}

impl FromStr for Need {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut messages_per_second, mut connections, mut headroom) = (None, None, None);
        for part in text.split_whitespace() {
            let expected = || format!("'{part}' is none of what was expected: {EXPECTED}");
            let (name, value) = part.split_once('=').ok_or_else(expected)?;
            let place = match name {
                "messages_per_second" => &mut messages_per_second,
                "connections" => &mut connections,
                "headroom" => &mut headroom,
                _ => return Err(expected()),
            };
            let number = match name {
                "headroom" => numbers::percent(value)?,
                "connections" => numbers::whole(value).filter(|&count| count > 0).ok_or_else(expected)? as f64,
                _ => numbers::number(value).filter(|rate| *rate > 0.0 && rate.is_finite()).ok_or_else(expected)?,
            };
            if place.replace(number).is_some() {
                return Err(format!("{name} is given twice"));
            }
        }
        if messages_per_second.is_none() && connections.is_none() {
            return Err(format!("expected messages_per_second or connections, as {EXPECTED}"));
        }
        Ok(Self { messages_per_second, connections, headroom: headroom.unwrap_or(0.0) })
    }
}

/// What it looks like.
const EXPECTED: &str = "messages_per_second=2e6 connections=500e3 headroom=40%";
