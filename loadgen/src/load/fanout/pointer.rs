//! A number in a JSON document, found by the keys that lead to it. Nothing is built of the document, and nothing allocated
//! but for texts with escapes.

use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The number in the document's field at the end of these keys (or positions in arrays): a whole number, or what `number_in`
/// finds in a text. `None` where there is none.
pub fn number_at(document: &[u8], keys: &[String], number_in: impl Fn(&str) -> Option<u64> + Copy) -> Option<u64> {
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    At { keys, number_in }.deserialize(&mut deserializer).ok().flatten()
}

/// What is left of the way to the number.
#[derive(Clone, Copy)]
struct At<'k, F> {
    keys: &'k [String],
    number_in: F,
}

impl<F> At<'_, F> {
    /// Behind the next key.
    fn behind(self) -> Self {
        Self { keys: &self.keys[1..], ..self }
    }
}

impl<'de, F: Fn(&str) -> Option<u64> + Copy> DeserializeSeed<'de> for At<'_, F> {
    type Value = Option<u64>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: Fn(&str) -> Option<u64> + Copy> Visitor<'de> for At<'_, F> {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(same) = map.next_key_seed(Same(self.keys.first()))? {
            if same {
                found = map.next_value_seed(self.behind())?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let wanted = self.keys.first().and_then(|key| key.parse::<usize>().ok());
        let (mut found, mut at) = (None, 0);
        loop {
            if Some(at) == wanted {
                match array.next_element_seed(self.behind())? {
                    Some(number) => found = number,
                    None => return Ok(found),
                }
            } else if array.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            at += 1;
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.keys.is_empty().then_some(number))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        // 1.0e15 is a whole number too, as some servers write it.
        Ok((self.keys.is_empty() && number >= 0.0 && number.fract() == 0.0).then_some(number as u64))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(if self.keys.is_empty() { (self.number_in)(text) } else { None })
    }
}

/// Whether a key is this one.
struct Same<'k>(Option<&'k String>);

impl<'de> DeserializeSeed<'de> for Same<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Same<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(self.0.is_some_and(|wanted| wanted == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_at_the_end_of_their_keys() {
        for (document, pointer, found) in [
            (r#"{"id": 17}"#, "id", Some(17)),
            (r#"{"a": {"id": 1}, "id": "18", "b": []}"#, "id", Some(18)),
            (r#"{"a": [0, {"id": 9000000000000000}]}"#, "a/1/id", Some(9_000_000_000_000_000)),
            (r#"{"id": 1.9e1}"#, "id", Some(19)),
            (r#"{"\u0069d": 5}"#, "id", Some(5)),
            (r#"[[3]]"#, "0/0", Some(3)),
            (r#"{"id": {"id": 1}}"#, "id", None),
            (r#"{"id": -1}"#, "id", None),
            (r#"{"id": true, "x": null}"#, "id", None),
            (r#"{"x": 1}"#, "id", None),
            (r#"{"x": 1"#, "x", None),
            ("17", "id", None),
            ("", "id", None),
        ] {
            let keys: Vec<String> = pointer.split('/').map(str::to_owned).collect();
            assert_eq!(number_at(document.as_bytes(), &keys, |text| text.parse().ok()), found, "{document}");
        }
    }
}
