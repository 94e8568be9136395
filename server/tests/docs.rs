//! docs/server.md against `echo-server --help`: every flag stands in its table with its default, and none besides.

#[path = "support/tables.rs"]
mod tables;

use std::collections::BTreeSet;
use std::process::Command;

use tables::{help, in_page, named_in, page, same_default};

#[test]
fn the_table_of_flags_is_the_one_of_help() {
    let flags = help(env!("CARGO_BIN_EXE_echo-server"), &[]);
    let text = page("docs/server.md");
    let rows = in_page(&text);
    let mut wrong = Vec::new();
    for (flag, cell) in &rows {
        match flags.get(flag) {
            None => wrong.push(format!("{flag} is no flag")),
            Some(default) if !same_default(cell, default.as_deref()) => {
                wrong.push(format!("{flag}: the page has the default '{cell}', the help {default:?}"));
            }
            Some(_) => {}
        }
    }
    let listed: BTreeSet<_> = rows.iter().map(|(flag, _)| flag).collect();
    assert_eq!(listed.len(), rows.len(), "a flag stands in docs/server.md twice");
    wrong.extend(flags.keys().filter(|flag| !listed.contains(flag)).map(|flag| format!("{flag} is missing")));
    let named = named_in(&text).into_iter().filter(|flag| !flags.contains_key(flag));
    wrong.extend(named.map(|flag| format!("{flag} is named and no flag")));
    assert!(wrong.is_empty(), "docs/server.md: {}", wrong.join("; "));
}

#[test]
fn completions_and_manual_have_every_flag() {
    let program = env!("CARGO_BIN_EXE_echo-server");
    for shown in [&["--completions", "bash"][..], &["--completions", "zsh"], &["--completions", "fish"], &["--man"]] {
        let output = Command::new(program).args(shown).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{shown:?}");
        // In roff a dash is escaped; fish leaves the dashes of a long flag away.
        let text = String::from_utf8(output.stdout).unwrap().replace('\\', "").replace(" -l ", " --");
        let missing: Vec<_> = help(program, &[]).into_keys().filter(|flag| !text.contains(flag.as_str())).collect();
        assert!(missing.is_empty(), "{shown:?} has no {missing:?}");
    }
    let refused = Command::new(program).args(["--completions", "dos"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
