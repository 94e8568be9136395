//! Reports get to where they were asked to go, or the error says where they did not.

use std::error::Error as _;
use std::fs;
use std::io::{self, Read as _, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::thread;

use loadgen::program::output::{Format, Output, OutputError, Sinks};
use loadgen::report::{Report, Runs};

use crate::fixture::{how_fast, how_late};

const TEXT: Output = Output { format: Format::Text, json_file: None, hgrm: None, hlog: None, quiet: true };

/// A file of this test binary's own.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn one_run_goes_everywhere_at_once() {
    let [json, hgrm, hlog] = ["one.json", "one.hgrm", "one.hlog"].map(scratch);
    fs::write(&json, "x".repeat(1 << 20)).unwrap();
    let output = Output { json_file: Some(json.clone()), hgrm: Some(hgrm.clone()), hlog: Some(hlog.clone()), ..TEXT };
    let mut stdout = Vec::new();
    let mut sinks = Sinks::open(&output, &mut stdout).unwrap();
    assert_eq!(fs::metadata(&json).unwrap().len(), 1 << 20, "the last report stays until there is a new one");
    sinks.run(&how_fast()).unwrap();
    assert!(stdout.starts_with(b"how fast: closed loop"));
    let saved: Report = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(saved, how_fast());
    assert!(fs::read_to_string(hgrm).unwrap().contains("TotalCount"));
    assert!(fs::read_to_string(hlog).unwrap().contains("BaseTime"));
}

#[test]
fn json_has_stdout_for_itself() {
    let mut stdout = Vec::new();
    Sinks::open(&Output { format: Format::Json, ..TEXT }, &mut stdout).unwrap().run(&how_fast()).unwrap();
    assert_eq!(serde_json::from_slice::<Report>(&stdout).unwrap(), how_fast());

    let (mut stdout, both) = (Vec::new(), [how_fast(), how_late()]);
    let mut sinks = Sinks::open(&Output { format: Format::Json, ..TEXT }, &mut stdout).unwrap();
    both.iter().for_each(|report| sinks.text(report));
    sinks.runs(&Runs::from(both.to_vec())).unwrap();
    assert_eq!(serde_json::from_slice::<Runs>(&stdout).unwrap().runs, both);
}

#[test]
fn a_wrong_path_fails_before_the_run_and_names_itself() {
    let missing = scratch("no such directory/x.json");
    let folder = missing.parent().unwrap().display().to_string();
    for (wrong, words) in [
        (&missing, format!("there is no folder {folder}")),
        (&PathBuf::from(env!("CARGO_TARGET_TMPDIR")), "cannot open".to_owned()),
    ] {
        let error = Sinks::open(&Output { json_file: Some(wrong.clone()), ..TEXT }, io::sink()).unwrap_err();
        assert!(matches!(error, OutputError::Open { .. } | OutputError::NoFolder { .. }));
        let said = error.to_string();
        assert!(said.contains(&wrong.display().to_string()) && said.contains(&words), "{said}");
    }
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let output = Output { hgrm: Some("/dev/full".into()), ..TEXT };
    let error = Sinks::open(&output, io::sink()).unwrap().run(&how_fast()).unwrap_err();
    assert_eq!(error.to_string(), "cannot write the report to /dev/full");
    let cause = error.source().expect("the cause is kept").to_string();
    assert!(cause.starts_with("No space left"), "{cause}");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = Sinks::open(&TEXT, full).unwrap().run(&how_fast()).unwrap_err();
    assert_eq!(error.to_string(), "cannot write the report to stdout");
}

#[test]
fn a_reader_that_had_enough_is_no_error_and_files_are_written_all_the_same() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let json = scratch("closed.json");
    let output = Output { json_file: Some(json.clone()), ..TEXT };
    Sinks::open(&output, Closed).unwrap().run(&how_fast()).unwrap();
    assert!(fs::metadata(json).unwrap().len() > 1_000);
}

#[test]
fn a_place_that_takes_nothing_takes_nothing_from_the_others() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let [json, hlog] = ["others.json", "others.hlog"].map(scratch);
    let output =
        Output { json_file: Some(json.clone()), hgrm: Some("/dev/full".into()), hlog: Some(hlog.clone()), ..TEXT };
    let error = Sinks::open(&output, full()).unwrap().run(&how_fast()).unwrap_err();
    let words = error.to_string();
    for wanted in ["report to stdout: No space left", "report to /dev/full: No space left"] {
        assert!(words.contains(wanted), "{words}");
    }
    assert_eq!(serde_json::from_slice::<Report>(&fs::read(&json).unwrap()).unwrap(), how_fast());
    assert!(fs::read_to_string(hlog).unwrap().contains("BaseTime"));

    fs::remove_file(&json).unwrap();
    let mut sinks = Sinks::open(&Output { json_file: Some(json.clone()), ..TEXT }, full()).unwrap();
    sinks.text(&how_fast());
    sinks.text(&how_late());
    let error = sinks.runs(&Runs::from(vec![how_fast(), how_late()])).unwrap_err();
    assert_eq!(error.to_string(), "cannot write the report to stdout", "told once");
    assert_eq!(serde_json::from_slice::<Runs>(&fs::read(&json).unwrap()).unwrap().runs.len(), 2);
}

#[test]
fn what_is_opened_and_never_written_is_as_it_was() {
    let [new, old] = ["never.json", "old.json"].map(scratch);
    fs::write(&old, "old").unwrap();
    for file in [&new, &old] {
        Sinks::open(&Output { json_file: Some(file.clone()), ..TEXT }, io::sink()).unwrap();
    }
    assert!(!new.exists());
    assert_eq!(fs::read_to_string(old).unwrap(), "old");
}

#[test]
fn a_file_is_replaced_as_a_whole_and_keeps_its_permissions_and_links() {
    let directory = scratch("whole");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    let [file, link, dangling, missing] =
        ["file.json", "link.json", "dangling.json", "missing.json"].map(|name| directory.join(name));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("file.json", &link).unwrap();
    symlink("missing.json", &dangling).unwrap();
    let reading = fs::File::open(&file).unwrap();
    for link in [&link, &dangling] {
        let output = Output { json_file: Some(link.clone()), ..TEXT };
        Sinks::open(&output, io::sink()).unwrap().run(&how_fast()).unwrap();
        assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    }
    assert_eq!(io::read_to_string(reading).unwrap(), "old", "whoever reads the old one has all of it");
    for file in [&file, &missing] {
        assert_eq!(serde_json::from_slice::<Report>(&fs::read(file).unwrap()).unwrap(), how_fast());
    }
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    let plain = directory.join("plain");
    fs::write(&plain, "").unwrap();
    let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode(&missing), mode(&plain), "a new file is like any other");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 5, "nothing is left beside them");
}

#[test]
fn pipes_and_descriptors_are_written_to_directly() {
    let (mut reader, writer) = io::pipe().unwrap();
    let pipe = PathBuf::from(format!("/proc/self/fd/{}", writer.as_raw_fd()));
    let report = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    let mut sinks = Sinks::open(&Output { json_file: Some(pipe), ..TEXT }, io::sink()).unwrap();
    sinks.run(&how_fast()).unwrap();
    drop((sinks, writer));
    assert_eq!(serde_json::from_str::<Report>(&report.join().unwrap().unwrap()).unwrap(), how_fast());

    // As `loadgen run -o /dev/stdout > both`.
    let both = scratch("both");
    let stdout = fs::File::create(&both).unwrap();
    let same = scratch("same");
    let _ = fs::remove_file(&same);
    symlink(format!("/proc/self/fd/{}", stdout.as_raw_fd()), &same).unwrap();
    let mut sinks = Sinks::open(&Output { json_file: Some(same), ..TEXT }, &stdout).unwrap();
    sinks.run(&how_fast()).unwrap();
    let both = fs::read_to_string(both).unwrap();
    let (text, json) = both.split_at(both.find("\n{").unwrap());
    assert!(text.starts_with("how fast: closed loop"));
    assert_eq!(serde_json::from_str::<Report>(json).unwrap(), how_fast());
}

#[test]
fn a_pipe_that_nobody_reads_is_no_error() {
    let (reader, writer) = io::pipe().unwrap();
    let pipe = PathBuf::from(format!("/proc/self/fd/{}", writer.as_raw_fd()));
    let mut sinks = Sinks::open(&Output { json_file: Some(pipe), ..TEXT }, io::sink()).unwrap();
    drop(reader);
    sinks.run(&how_fast()).unwrap();
}
