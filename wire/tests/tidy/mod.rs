//! What every crate's tree keeps to, read from its sources: which room may look into which, that no files import each
//! other in a circle, and how long files and functions may be. Shared by the crates, each of which has a table of its
//! rooms (`tests/rooms.rs`) and names this file by `#[path]`. (The model is TigerBeetle's `src/tidy.zig`.)
//!
//! It knows just enough Rust for sources that rustfmt has laid out: `use` declarations, paths that begin with
//! `crate::`, and functions that end at a brace under their first letter. What follows `#[cfg(test)]` may look wherever
//! it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module at the root of a crate, and the rooms before it in the table that it may look into. It may look into
/// whatever those may, too.
pub struct Room {
    /// The module's name.
    pub name: &'static str,
    /// The rooms that it builds upon.
    pub sees: &'static [&'static str],
}

/// One room of a table.
pub const fn room(name: &'static str, sees: &'static [&'static str]) -> Room {
    Room { name, sees }
}

/// Checks the crate that is being tested.
///
/// # Panics
/// If something is not as it should be, with a line for each thing that is not.
pub fn check(rooms: &[Room]) {
    let tree = Tree::read(Path::new("src"));
    let mut faults = tree.strangers(rooms);
    faults.extend(tree.against_the_order(rooms));
    faults.extend(tree.circle());
    for path in ["src", "tests", "benches"].into_iter().flat_map(|folder| sources(Path::new(folder))) {
        faults.extend(too_long(&path, &fs::read_to_string(&path).expect("a source is text")));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The sources of a crate.
struct Tree {
    files: Vec<File>,
    /// What the root re-exports: by its name, the module that it comes from.
    exported: BTreeMap<String, Vec<String>>,
}

/// A source, and what it imports.
struct File {
    path: PathBuf,
    /// The module it is, such as `["lane", "line"]`.
    module: Vec<String>,
    imports: Vec<Import>,
}

/// A path of this crate that a source names.
#[derive(Debug, PartialEq, Eq)]
struct Import {
    /// From the crate's root.
    path: Vec<String>,
    /// Counted from 1.
    line: usize,
}

impl Tree {
    fn read(root: &Path) -> Self {
        let modules: Vec<_> = sources(root).into_iter().map(|path| (module(root, &path), path)).collect();
        let names: BTreeSet<_> = modules.iter().map(|(module, _)| module.clone()).collect();
        let read = |(module, path): (Vec<String>, PathBuf)| {
            let text = fs::read_to_string(&path).expect("a source is text");
            File { imports: imports(&module, &text, &names), path, module }
        };
        let (roots, files): (Vec<_>, Vec<_>) = modules.into_iter().map(read).partition(|file| file.module.is_empty());
        let exports = roots.into_iter().flat_map(|root| root.imports);
        let exported = exports.filter_map(|Import { path, .. }| Some((path.last()?.clone(), path))).collect();
        Self { files, exported }
    }

    /// Root modules without a room, and rooms without a module.
    fn strangers(&self, rooms: &[Room]) -> Vec<String> {
        let modules: BTreeSet<_> = self.files.iter().map(|file| file.module[0].as_str()).collect();
        let rooms: BTreeSet<_> = rooms.iter().map(|room| room.name).collect();
        let stranger = |name: &&str| format!("src: the module {name} stands at the root and is no room of the table");
        let missing = |name: &&str| format!("src: the room {name} of the table has no module");
        let strangers = modules.difference(&rooms).map(stranger);
        strangers.chain(rooms.difference(&modules).map(missing)).collect()
    }

    /// The imports from rooms that may not be seen from where they are.
    fn against_the_order(&self, rooms: &[Room]) -> Vec<String> {
        let seen = seen_from(rooms);
        let mut faults = Vec::new();
        for file in &self.files {
            let here = &file.module[0];
            for import in &file.imports {
                let Some(there) = self.room_of(import) else { continue };
                if there != here && !seen.get(here.as_str()).is_some_and(|seen| seen.contains(there.as_str())) {
                    let (path, line, what) = (file.path.display(), import.line, import.path.join("::"));
                    faults.push(format!("{path}:{line}: {here} may not look into {there} (crate::{what})"));
                }
            }
        }
        faults
    }

    /// The room that an import comes from, if it is of one.
    fn room_of<'t>(&'t self, import: &'t Import) -> Option<&'t String> {
        let first = import.path.first()?;
        match self.exported.get(first) {
            Some(path) if !self.files.iter().any(|file| file.module[0] == *first) => path.first(),
            _ => Some(first),
        }
    }

    /// The first circle of files that is found. A file in a module's own folder is a part of that module: that it names
    /// what the module's file defines makes no circle.
    fn circle(&self) -> Option<String> {
        let mut finished = BTreeSet::new();
        (0..self.files.len()).find_map(|start| self.circle_from(start, &mut Vec::new(), &mut finished))
    }

    fn circle_from(&self, at: usize, way: &mut Vec<usize>, finished: &mut BTreeSet<usize>) -> Option<String> {
        if let Some(begin) = way.iter().position(|&file| file == at) {
            let names: Vec<_> = way[begin..].iter().map(|&file| self.files[file].path.display().to_string()).collect();
            return Some(format!("{}: imports itself: {} -> itself", names[0], names.join(" -> ")));
        }
        if finished.contains(&at) {
            return None;
        }
        way.push(at);
        let next: BTreeSet<_> = self.files[at].imports.iter().filter_map(|import| self.file_of(import)).collect();
        let is_part = |file: usize| self.files[at].module.starts_with(&self.files[file].module);
        let found =
            next.into_iter().filter(|&file| !is_part(file)).find_map(|file| self.circle_from(file, way, finished));
        way.pop();
        finished.insert(at);
        found
    }

    /// The file that an import comes from: that of the innermost module in its path.
    fn file_of(&self, import: &Import) -> Option<usize> {
        let path = match self.exported.get(import.path.first()?) {
            Some(path) if import.path.len() == 1 => path,
            _ => &import.path,
        };
        let of = |length: usize| self.files.iter().position(|file| file.module == path[..length]);
        (1..=path.len()).rev().find_map(of)
    }
}

/// By its name, what each room may look into.
///
/// # Panics
/// For a room that sees one that does not stand before it.
fn seen_from(rooms: &[Room]) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut seen = BTreeMap::<_, BTreeSet<_>>::new();
    for room in rooms {
        let mut all = BTreeSet::new();
        for other in room.sees {
            all.extend(seen.get(other).unwrap_or_else(|| panic!("{other} must stand before {}", room.name)));
            all.insert(*other);
        }
        seen.insert(room.name, all);
    }
    seen
}

/// The Rust sources in a folder and all folders in it, sorted; none if there is no such folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("a folder can be read").path()).collect();
    entries.sort();
    let sources = entries.into_iter().flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    sources.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The module that a file is: none for a crate's root.
fn module(root: &Path, path: &Path) -> Vec<String> {
    let path = path.strip_prefix(root).expect("it was found there").with_extension("");
    let mut names: Vec<_> = path.iter().map(|name| name.to_str().expect("a name in UTF-8").to_owned()).collect();
    if names.last().is_some_and(|name| name == "mod" || (names.len() == 1 && (name == "lib" || name == "main"))) {
        names.pop();
    }
    names
}

/// What a module imports from its own crate, whose modules are `modules`.
fn imports(module: &[String], text: &str, modules: &BTreeSet<Vec<String>>) -> Vec<Import> {
    let mut imports = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|(_, next)| next.ends_with('{')) {
            break;
        }
        let code = line.split("//").next().unwrap_or_default();
        let mut found = Vec::new();
        if let Some(tree) = used(code) {
            let mut tree = tree.to_owned();
            while !tree.contains(';')
                && let Some((_, more)) = lines.next()
            {
                tree.push_str(more.trim());
            }
            leaves("", tree.split(';').next().unwrap_or_default(), &mut found);
        } else {
            let inline = code.split("crate::").skip(1);
            found.extend(
                inline.map(|rest| format!("crate::{}", &rest[..rest.find(|c| !is_path(c)).unwrap_or(rest.len())])),
            );
        }
        let paths = found.iter().filter_map(|path| absolute(module, path, modules));
        imports.extend(paths.map(|path| Import { path, line: index + 1 }));
    }
    imports
}

/// The tree of a `use` declaration that begins on this line.
fn used(line: &str) -> Option<&str> {
    let (before, tree) = line.trim_start().split_once("use ")?;
    (before.is_empty() || (before.starts_with("pub") && before.ends_with(' ') && !before.contains('='))).then_some(tree)
}

/// The paths in the tree of a `use` declaration.
fn leaves(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let Some((path, inner)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        found.push(format!("{prefix}{path}").trim_end_matches("::self").to_owned());
        return;
    };
    let (mut depth, mut start) = (0, 0);
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let prefix = format!("{prefix}{}", path.trim());
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    leaves(&prefix, inner[start..at].trim(), found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

fn is_path(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == ':'
}

/// A path from the crate's root, if it is of this crate, as it stands in `module`.
fn absolute(module: &[String], path: &str, modules: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
    let names: Vec<_> = path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let above = names.iter().take_while(|name| *name == "super").count();
    match names.first()?.as_str() {
        "crate" => Some(names[1..].to_vec()),
        "self" => Some([module, &names[1..]].concat()),
        "super" => Some([&module[..module.len().checked_sub(above)?], &names[above..]].concat()),
        first => {
            let child = [module, &[first.to_owned()]].concat();
            modules.contains(&child).then(|| [module, &names[..]].concat())
        }
    }
}

/// A file, and the functions in it, that are longer than they should be.
fn too_long(path: &Path, text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().collect();
    let mut faults = Vec::new();
    if lines.len() > LONGEST_FILE {
        faults.push(format!("{}:1: {} lines, where {LONGEST_FILE} are the most", path.display(), lines.len()));
    }
    for (start, line) in lines.iter().enumerate() {
        if !is_function(line) {
            continue;
        }
        let last = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        // A function without a body, or all of it on a line, ends at the next brace of another.
        let ended = |line: &&str| line.ends_with(';') || line.ends_with('}');
        let body = lines[start..].iter().position(|line| line.ends_with('{') || ended(line)).unwrap_or_default();
        if ended(&lines[start + body]) {
            continue;
        }
        let length = lines[start..].iter().position(|line| *line == last).map_or(0, |end| end + 1);
        if length > LONGEST_FUNCTION {
            faults.push(format!(
                "{}:{}: a function of {length} lines, where {LONGEST_FUNCTION} are the most",
                path.display(),
                start + 1
            ));
        }
    }
    faults
}

/// Whether a function begins on this line.
fn is_function(line: &str) -> bool {
    let words: Vec<_> = line.split("fn ").next().unwrap_or_default().split_whitespace().collect();
    line.contains("fn ")
        && words.iter().all(|word| {
            word.starts_with("pub")
                || word.ends_with(')')
                || ["const", "async", "unsafe", "extern", "\"C\""].contains(word)
        })
}

/// Lines: more than this is about more than one thing.
const LONGEST_FILE: usize = 400;

/// Lines: what fits on a screen.
const LONGEST_FUNCTION: usize = 70;

#[test]
fn imports_are_found_wherever_they_are_written() {
    let text = "use std::io;\n\nuse super::line::{self, Line};\npub(crate) use crate::{\n    a::B,\n    c::{D as E, f::*},\n};\n\
                use child::X; // use crate::no::no;\nlet x = crate::g::h(1);\n#[cfg(test)]\nmod tests {\n    use crate::no;\n";
    let names = |path: &str| path.split("::").map(str::to_owned).collect::<Vec<_>>();
    let module = names("lane::echo");
    let found = imports(&module, text, &BTreeSet::from([module.clone(), names("lane::echo::child")]));
    let found: Vec<_> = found.iter().map(|import| (import.path.join("::"), import.line)).collect();
    let expected = [
        ("lane::line", 3),
        ("lane::line::Line", 3),
        ("a::B", 4),
        ("c::D", 4),
        ("c::f::*", 4),
        ("lane::echo::child::X", 8),
        ("g::h", 9),
    ];
    assert_eq!(found, expected.map(|(path, line)| (path.to_owned(), line)));
}

#[test]
fn what_runs_against_the_order_or_in_a_circle_is_named_with_its_line() {
    let file = |name: &str, import: &str| File {
        path: PathBuf::from(format!("src/{name}.rs")),
        module: vec![name.to_owned()],
        imports: vec![Import { path: vec![import.to_owned(), "X".to_owned()], line: 7 }],
    };
    let tree = Tree { files: vec![file("low", "high"), file("high", "low")], exported: BTreeMap::new() };
    let rooms = [room("low", &[]), room("high", &["low"])];
    assert_eq!(tree.against_the_order(&rooms), ["src/low.rs:7: low may not look into high (crate::high::X)"]);
    assert_eq!(tree.circle().unwrap(), "src/low.rs: imports itself: src/low.rs -> src/high.rs -> itself");
    assert_eq!(tree.strangers(&rooms[..1]), ["src: the module high stands at the root and is no room of the table"]);
}

#[test]
fn long_functions_are_found() {
    let text = |lines: usize| format!("    pub(crate) async fn f() {{\n{}    }}\n", "        g();\n".repeat(lines - 2));
    assert_eq!(too_long(Path::new("a.rs"), &text(70)), Vec::<String>::new());
    assert_eq!(too_long(Path::new("a.rs"), &text(71)), ["a.rs:1: a function of 71 lines, where 70 are the most"]);
    assert_eq!(too_long(Path::new("a.rs"), &"\n".repeat(401)), ["a.rs:1: 401 lines, where 400 are the most"]);
}
