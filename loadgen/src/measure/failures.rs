//! Causes of failures and how often each occurred. The texts hold what servers say, so they are bounded in length and
//! number, and nothing in them can steer a terminal.

use std::collections::BTreeMap;

/// What went wrong, and how often.
pub type Failures = BTreeMap<String, u64>;

/// Counts a cause `times` more. What stands behind its first `": "` or `" ("` is a detail: of causes that differ in
/// nothing else, `MOST_ALIKE` are kept as they are and the others counted together.
pub fn add(failures: &mut Failures, why: &str, times: u64) {
    let why = shortened(&printable(why), MOST_CHARS);
    if let Some(count) = failures.get_mut(&why) {
        *count += times;
        return;
    }
    let alike = failures.keys().filter(|known| kind(known) == kind(&why)).count();
    let key = match alike {
        0 if failures.len() < MOST_CAUSES => why,
        0 => OTHER_CAUSES.to_owned(),
        1..MOST_ALIKE if failures.len() < MOST_CAUSES => why,
        _ => format!("{}: {OTHER_DETAILS}", kind(&why)),
    };
    *failures.entry(key).or_default() += times;
}

/// Adds what went wrong elsewhere.
pub fn merge(failures: &mut Failures, others: Failures) {
    others.into_iter().for_each(|(why, times)| add(failures, &why, times));
}

/// The text with everything escaped that is not printed as a character: control characters, and those that turn the
/// direction of what follows.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => printable.push(c),
            _ => printable.extend(c.escape_debug()),
        }
    }
    printable
}

/// The text, cut after `chars` characters.
pub fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The cause without its detail.
fn kind(why: &str) -> &str {
    let end = [": ", " ("].iter().filter_map(|separator| why.find(separator)).min();
    &why[..end.unwrap_or(why.len())]
}

/// Characters of a cause: some lines of a terminal.
const MOST_CHARS: usize = 400;

/// Causes that differ only in their details and are told apart: enough to see what changes between them.
const MOST_ALIKE: usize = 4;

/// Causes kept as they are: more than anybody reads. Each of their kinds may have one more, for other details.
const MOST_CAUSES: usize = 32;

/// Stands for the details of a kind that has had `MOST_ALIKE`.
const OTHER_DETAILS: &str = "other details than those listed";

/// Stands for the causes after [`MOST_CAUSES`].
const OTHER_CAUSES: &str = "other causes than those listed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_says_something_else_each_time_is_counted_as_one_cause() {
        let mut failures = Failures::new();
        for id in 0..1000 {
            add(&mut failures, &format!("the server answered 503 Service Unavailable: id {id}"), 1);
            add(&mut failures, &format!("closed by the server with code 1001 (id {id})"), 2);
        }
        add(&mut failures, "connection reset", 5);
        assert_eq!(failures.len(), 2 * (MOST_ALIKE + 1) + 1, "{failures:?}");
        assert_eq!(failures.values().sum::<u64>(), 3005);
        let rest = format!("the server answered 503 Service Unavailable: {OTHER_DETAILS}");
        assert_eq!(failures[&rest], 1000 - MOST_ALIKE as u64);
        let mut again = Failures::new();
        failures.iter().for_each(|(why, times)| add(&mut again, why, *times));
        assert_eq!(again, failures, "adding up what was bounded changes nothing");
    }

    #[test]
    fn causes_of_many_kinds_are_bounded_too() {
        let mut failures = Failures::new();
        (0..1000).for_each(|id| add(&mut failures, &format!("cause {id}"), 1));
        assert_eq!((failures.len(), failures[OTHER_CAUSES]), (MOST_CAUSES + 1, 1000 - MOST_CAUSES as u64));
        add(&mut failures, &"x".repeat(100_000), 1);
        assert_eq!(failures.len(), MOST_CAUSES + 1);
    }

    #[test]
    fn what_a_server_says_cannot_steer_a_terminal() {
        let mut failures = Failures::new();
        add(&mut failures, &format!("said \u{1b}[2J\r\n\u{202e}'\"\\é {}", "y".repeat(100_000)), 1);
        let (why, _) = failures.first_key_value().unwrap();
        assert!(why.starts_with("said \\u{1b}[2J\\r\\n\\u{202e}'\"\\é yyy"), "{why}");
        assert_eq!(why.chars().count(), MOST_CHARS + 1);
        assert_eq!(printable(why), *why, "it stays as it is when it is added up again");
    }
}
