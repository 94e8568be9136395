//! Tells the crate which commit and which compiler it was built from.

use std::process::Command;

fn main() {
    // `--exclude *` leaves tags out: a report names the commit, which no later tag renames.
    let describe = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"];
    println!("cargo::rustc-env=FATHOM_GIT_REVISION={}", output("git", &describe).unwrap_or("unknown".to_owned()));
    let rustc = std::env::var("RUSTC").expect("cargo sets RUSTC for build scripts");
    println!("cargo::rustc-env=FATHOM_RUSTC={}", output(&rustc, &["--version"]).unwrap_or("unknown".to_owned()));
    // What a clean tree turns dirty by, and what a commit or a checkout touches.
    for path in ["src", "../server/src", "../wire/src", "../Cargo.toml", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    for file in ["HEAD", "index", "logs/HEAD"] {
        if let Some(path) = output("git", &["rev-parse", "--git-path", file]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
