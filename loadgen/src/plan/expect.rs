//! What a plan expects a server to answer.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use wire::Template;

/// What answers a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Expect {
    /// The message as it is.
    #[default]
    Echo,
    /// The message, with text before and behind it.
    Template(Template),
    /// Whatever comes next answers the oldest message that has no answer; what it says is not checked.
    Order,
}

impl FromStr for Expect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix(TEMPLATE)) {
            ("echo", _) => Ok(Self::Echo),
            ("order", _) => Ok(Self::Order),
            (_, Some(template)) => template.parse().map(Self::Template).map_err(|why: wire::NoTemplate| match why {
                wire::NoTemplate::NoPlace => format!("{why}; where answers do not hold the message, expect order"),
                _ => why.to_string(),
            }),
            _ => Err("expected echo, order, or template: and a text with one {} for the message".to_owned()),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo => f.write_str("echo"),
            Self::Order => f.write_str("order"),
            Self::Template(template) => write!(f, "{TEMPLATE}{template}"),
        }
    }
}

impl TryFrom<String> for Expect {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Expect> for String {
    fn from(expect: Expect) -> Self {
        expect.to_string()
    }
}

impl JsonSchema for Expect {
    fn schema_name() -> Cow<'static, str> {
        "Expect".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What answers a message: the message as it is; a template, the message in the place of {}; or whatever comes next, unchecked.",
            "type": "string",
            "pattern": "^(echo$|order$|template:)",
        })
    }
}

/// What stands before a template.
const TEMPLATE: &str = "template:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_reads_back_as_it_was_written() {
        for text in ["echo", "order", "template:服务端收到了-{}-", "template:{{\"got\":\"{}\"}}", "template:{}"] {
            let expect: Expect = text.parse().unwrap();
            assert_eq!(expect.to_string(), text);
            let saved = serde_json::to_string(&expect).unwrap();
            assert_eq!(serde_json::from_str::<Expect>(&saved).unwrap(), expect);
        }
        for (text, why) in [
            ("ech", "expected echo, order, or template:"),
            ("template:a", "found none"),
            ("template:{}{}", "found several"),
            ("template:{", "the brace at byte 0 stands alone"),
        ] {
            let refused = text.parse::<Expect>().unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
