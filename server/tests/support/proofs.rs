//! Which test fails when a flag is ignored: a list of both, held against `--help` and against the sources of the tests. The
//! tests of both programs use it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::tables::Flags;

/// A flag, and where the test is that fails when the flag is ignored: `FILE::FUNCTION`, the file by its path below `tests`
/// without its ending.
pub type Proof = (&'static str, &'static str);

/// What is wrong with the proofs of the flags of `command`: a flag without one, a proof of no flag, a test that is not there,
/// or one in a file that does not name the flag.
pub fn wrong(command: &str, flags: &Flags, proofs: &[Proof]) -> Vec<String> {
    let mut wrong = Vec::new();
    let proved: BTreeSet<&str> = proofs.iter().map(|(flag, _)| *flag).collect();
    if proved.len() < proofs.len() {
        wrong.push(format!("{command}: a flag is listed twice"));
    }
    let unproved = flags.keys().filter(|flag| !proved.contains(flag.as_str()));
    wrong.extend(unproved.map(|flag| {
        format!("{command} {flag}: no test is listed; write one that fails when the flag is ignored, and list it here")
    }));
    for (flag, test) in proofs {
        if !flags.contains_key(*flag) {
            wrong.push(format!("{command} {flag}: is listed and no flag"));
        }
        if let Err(why) = found(flag, test) {
            wrong.push(format!("{command} {flag}: {test}: {why}"));
        }
    }
    wrong
}

/// Whether there is this test, in a file that names the flag.
fn found(flag: &str, test: &str) -> Result<(), String> {
    let (file, function) = test.rsplit_once("::").ok_or("expected FILE::FUNCTION")?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(format!("{file}.rs"));
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let is_test = |lines: &[&str]| lines[0].trim() == "#[test]" && lines[1].contains(&format!("fn {function}("));
    if !text.lines().collect::<Vec<_>>().windows(2).any(is_test) {
        return Err(format!("no such test in tests/{file}.rs"));
    }
    let short = SHORT.iter().find(|(long, _)| *long == flag).map_or(flag, |(_, short)| short);
    let spellings = [format!("\"{flag}\""), format!("\"{flag}="), format!("\"{flag} "), format!("\"{short}\"")];
    if !spellings.iter().any(|spelling| text.contains(spelling)) {
        return Err(format!("tests/{file}.rs does not name the flag"));
    }
    Ok(())
}

/// Flags that are mostly given by their short names.
const SHORT: [(&str, &str); 5] =
    [("--connections", "-c"), ("--duration", "-d"), ("--header", "-H"), ("--output", "-o"), ("--quiet", "-q")];
