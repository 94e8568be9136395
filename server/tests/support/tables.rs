//! Tables of flags in the documentation, and what `--help` says of the same flags. The tests of both programs use it.
#![allow(dead_code, reason = "every test binary uses its own part of it")]
#![allow(unreachable_pub, reason = "a module of test binaries has no public")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Flags by name, each with its default; what an option of clap has as `[default: ...]`, `None` without.
pub type Flags = BTreeMap<String, Option<String>>;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate lies in the workspace").to_owned()
}

/// A page, by its path in the repository.
pub fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The flags that `program arguments --help` lists.
pub fn help(program: &str, arguments: &[&str]) -> Flags {
    let output = Command::new(program).args(arguments).arg("--help").output().expect("the program starts");
    assert!(output.status.success(), "{program} {arguments:?} --help: {}", output.status);
    in_help(&String::from_utf8(output.stdout).expect("help is UTF-8"))
}

/// The flags of a help text: a flag stands at most 6 columns in, what is said of it further in.
pub fn in_help(text: &str) -> Flags {
    let mut said: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let words = line.trim_start();
        let indent = line.len() - words.len();
        if indent <= 6 && words.starts_with('-') {
            said.push((long_name(words).expect("each flag has a long name"), String::new()));
        } else if let (true, Some((_, text))) = (indent > 6, said.last_mut()) {
            text.push_str(words);
            text.push(' ');
        }
    }
    let default = |text: &str| Some(text.split_once("[default: ")?.1.split_once(']')?.0.to_owned());
    said.retain(|(name, _)| !["--help", "--version"].contains(&name.as_str()));
    said.into_iter().map(|(name, text)| (name, default(&text))).collect()
}

/// The flags in the first column of a page's tables of flags, with the text of the second column.
pub fn in_page(text: &str) -> Vec<(String, String)> {
    let mut of_flags = false;
    let rows = text.lines().filter(|line| {
        of_flags = line.starts_with("| Flag |") || of_flags && line.starts_with('|');
        of_flags && line.starts_with("| `-")
    });
    rows.map(|row| {
        let mut cells = row.trim_start_matches('|').split('|');
        let flag = cells.next().and_then(long_name).unwrap_or_else(|| panic!("no flag in: {row}"));
        (flag, cells.next().unwrap_or_default().trim().to_owned())
    })
    .collect()
}

/// The flags that a page names elsewhere: code in its text that begins with one.
pub fn named_in(text: &str) -> Vec<String> {
    let code = prose(text).flat_map(|line| line.split('`').skip(1).step_by(2).collect::<Vec<_>>());
    code.filter(|code| code.starts_with("--") && !code.contains('*')).filter_map(long_name).collect()
}

/// The lines of a page that stand in no block of code.
pub fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        in_code ^= fence;
        !in_code && !fence && !line.starts_with("    ")
    })
}

/// Whether a cell gives the default that the help gives. Digits may be grouped, and what is no value be code or not.
pub fn same_default(cell: &str, help: Option<&str>) -> bool {
    let bare = |text: &str| text.replace(['`', ',', ' ', '\\'], "");
    match help {
        Some(default) => bare(cell) == bare(default),
        // Nothing is set then: the kernel decides, or there is nothing to decide.
        None => cell.is_empty() || cell == "kernel's",
    }
}

fn long_name(text: &str) -> Option<String> {
    let name = &text[text.find("--")?..];
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(name.len());
    Some(name[..end].to_owned())
}
