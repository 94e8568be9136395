//! The documentation against what there is: the tables of flags in docs/ against `--help`, and links against files and
//! headings.

#[path = "../../server/tests/support/tables.rs"]
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use loadgen::program::cli::{Comparing, Invocation, parse};
use tables::{Flags, help, in_page, named_in, page, prose, root, same_default};

const RUN: &str = "docs/loadgen.md";
const TRIALS: &str = "docs/compare.md";
const REPORT: &str = "docs/reports.md";
const RECIPES: &str = "docs/recipes.md";
const CONNECTIONS: &str = "docs/connections.md";
const CAPACITY: &str = "docs/capacity.md";
const FANOUT: &str = "docs/fanout.md";
const MINI_PROGRAM: &str = "docs/mini-program.md";
const SUBCOMMANDS: [&str; 7] = ["run", "compare", "sweep", "capacity", "connections", "fanout", "report"];

fn loadgen(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen")).args(arguments).output().expect("it starts")
}

fn flags_of(subcommand: &str) -> Flags {
    help(env!("CARGO_BIN_EXE_loadgen"), &[subcommand])
}

/// What is wrong with the flags of one subcommand, which stand in the tables of these pages.
fn missing(subcommand: &str, pages: &[&str]) -> Vec<String> {
    let rows: Vec<_> = pages.iter().flat_map(|path| in_page(&page(path))).collect();
    let flags = flags_of(subcommand);
    let unlisted = flags.iter().filter(|(flag, default)| {
        !rows.iter().any(|(listed, cell)| listed == *flag && same_default(cell, default.as_deref()))
    });
    unlisted.map(|(flag, default)| format!("{subcommand} {flag}, default {default:?}, in none of {pages:?}")).collect()
}

#[test]
fn every_flag_stands_in_a_table_with_its_default() {
    let mut wrong = missing("run", &[RUN]);
    wrong.extend(missing("compare", &[TRIALS, RUN]));
    wrong.extend(missing("sweep", &[TRIALS, RUN]));
    wrong.extend(missing("connections", &[CONNECTIONS, RUN]));
    wrong.extend(missing("capacity", &[CAPACITY, RUN]));
    wrong.extend(missing("fanout", &[FANOUT, RUN]));
    wrong.extend(missing("report", &[REPORT]));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_table_has_a_flag_or_a_default_that_help_has_not() {
    let mut wrong = Vec::new();
    let pages = [
        (RUN, &["run"][..]),
        (TRIALS, &["compare", "sweep"]),
        (CAPACITY, &["capacity"]),
        (CONNECTIONS, &["connections"]),
        (FANOUT, &["fanout"]),
        (REPORT, &["report"]),
    ];
    for (path, subcommands) in pages {
        for (flag, cell) in in_page(&page(path)) {
            let known = subcommands.iter().filter_map(|subcommand| flags_of(subcommand).remove(&flag));
            if !known.into_iter().any(|default| same_default(&cell, default.as_deref())) {
                wrong.push(format!("{path}: {flag} with the default '{cell}'"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn flags_that_pages_name_exist() {
    let all: Vec<_> = SUBCOMMANDS.into_iter().chain(["embedded-server"]).map(flags_of).collect();
    let mut wrong = Vec::new();
    for path in ["README.md", RUN, TRIALS, CAPACITY, CONNECTIONS, FANOUT, REPORT, RECIPES, MINI_PROGRAM] {
        let unknown =
            named_in(&page(path)).into_iter().filter(|flag| !all.iter().any(|flags| flags.contains_key(flag)));
        wrong.extend(unknown.map(|flag| format!("{path}: {flag}")));
    }
    assert!(wrong.is_empty(), "no such flag: {}", wrong.join("; "));
}

#[test]
fn completions_have_every_flag() {
    for shell in ["bash", "zsh", "fish"] {
        let output = loadgen(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        // fish leaves the dashes of a long flag away.
        let text = String::from_utf8(output.stdout).unwrap().replace(" -l ", " --");
        for subcommand in SUBCOMMANDS {
            let missing: Vec<_> = flags_of(subcommand).into_keys().filter(|flag| !text.contains(flag)).collect();
            assert!(missing.is_empty(), "{shell}: {subcommand} {missing:?}");
        }
    }
    assert_eq!(loadgen(&["completions", "dos"]).status.code(), Some(2));
}

#[test]
fn manual_pages_have_every_flag() {
    for subcommand in SUBCOMMANDS {
        let output = loadgen(&["man", subcommand]);
        assert_eq!(output.status.code(), Some(0), "{subcommand}");
        // In roff a dash is escaped.
        let text = String::from_utf8(output.stdout).unwrap().replace('\\', "");
        assert!(text.contains(&format!("loadgen-{subcommand}")), "{subcommand}: {text}");
        let missing: Vec<_> = flags_of(subcommand).into_keys().filter(|flag| !text.contains(flag)).collect();
        assert!(missing.is_empty(), "man {subcommand} has no {missing:?}");
    }
    let whole = String::from_utf8(loadgen(&["man"]).stdout).unwrap();
    assert!(SUBCOMMANDS.iter().all(|subcommand| whole.contains(subcommand)), "{whole}");
    let refused = loadgen(&["man", "walk"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("'walk' is no subcommand; expected one of run, compare"), "{said}");
}

/// The step of action.yml, run with the defaults of its inputs, asks loadgen for what the command asks for by default.
#[test]
fn the_action_has_the_defaults_of_the_command_but_for_attempts() {
    let mut inputs = defaults_of_inputs(&page("action.yml"));
    assert_eq!(inputs.remove("attempts").as_deref(), Some("2"));
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("action-{}", std::process::id()));
    fs::create_dir_all(&scratch).expect("it can be made");
    let (program, arguments) = (scratch.join("loadgen"), scratch.join("arguments"));
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >'{}'\nexit 98\n", arguments.display());
    fs::write(&program, script).expect("it can be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it can be run");
    let step = Command::new(root().join("scripts/github-compare"))
        .envs([("SERVER_A", ""), ("SERVER_B", ""), ("ATTEMPTS", "1")])
        .envs(inputs.iter().map(|(name, default)| (name.replace('-', "_").to_uppercase(), default)))
        .envs([("LOADGEN", &program), ("GITHUB_OUTPUT", &scratch.join("output")), ("REPORT", &scratch.join("report"))])
        .output()
        .expect("bash runs it");
    assert_eq!(step.status.code(), Some(98), "{}", String::from_utf8_lossy(&step.stdout));
    let asked = fs::read_to_string(&arguments).expect("loadgen was run");
    let by_the_step: Vec<&str> = asked.lines().collect();
    let [action, command] =
        [&by_the_step[..], &["compare", "--a", "", "--b", "", "--fail-on-regression"]].map(comparing);
    assert_eq!((action.question, action.plan), (command.question, command.plan));
    fs::remove_dir_all(scratch).expect("it is there");
}

fn comparing(arguments: &[&str]) -> Comparing {
    let arguments = ["loadgen"].iter().chain(arguments).map(OsString::from);
    match parse(arguments, NonZeroUsize::MIN) {
        Ok(Invocation::Compare(comparing)) => *comparing,
        other => panic!("no comparison: {other:?}"),
    }
}

/// The defaults of an action's inputs: lines of YAML that say no more than `default: VALUE`, below the input's name.
fn defaults_of_inputs(action: &str) -> BTreeMap<String, String> {
    let (_, inputs) = action.split_once("\ninputs:\n").expect("it has inputs");
    let (inputs, _) = inputs.split_once("\noutputs:\n").expect("outputs come behind them");
    let (mut name, mut defaults) = ("", BTreeMap::new());
    for line in inputs.lines() {
        match line.strip_prefix("  ").filter(|line| !line.starts_with(' ')).and_then(|line| line.strip_suffix(':')) {
            Some(input) => name = input,
            None => defaults.extend(
                line.trim()
                    .strip_prefix("default: ")
                    .map(|value| (name.to_owned(), value.trim_matches('\'').to_owned())),
            ),
        }
    }
    defaults
}

#[test]
fn relative_links_lead_somewhere() {
    let mut pages: Vec<PathBuf> = [root(), root().join("docs")]
        .iter()
        .flat_map(|directory| fs::read_dir(directory).expect("it can be read"))
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    assert!(pages.len() > 10, "only {pages:?} were found");
    let wrong: Vec<_> = pages.iter().flat_map(|path| broken_links(path)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The links of a page that lead nowhere.
fn broken_links(from: &Path) -> Vec<String> {
    let text = fs::read_to_string(from).expect("it can be read");
    let targets = prose(&text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
    let relative = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    let broken = relative.filter(|target| {
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let file = if file.is_empty() { from.to_owned() } else { from.with_file_name(file) };
        !file.exists() || (!heading.is_empty() && !anchors(&file).contains(heading))
    });
    broken.map(|target| format!("{}: {target}", from.display())).collect()
}

/// What links to the headings of a page end in, as GitHub makes it of them.
fn anchors(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).expect("it can be read");
    let headings = prose(&text).filter(|line| line.starts_with('#'));
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>())
        .map(|heading| heading.replace(' ', "-"))
        .collect()
}
