//! The rules of the house, held by reading its source.

use std::path::{Path, PathBuf};

/// A file of `src/` by its path from there, with its text up to its tests.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    let mut open = vec![src.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(&path) {
                let text = std::fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod ").next().unwrap().to_owned();
                files.push((path.strip_prefix(&src).unwrap().display().to_string(), text));
            }
        }
    }
    files.sort();
    assert!(files.len() > 30, "the source was found");
    files
}

/// `tests.rs`, `…_tests.rs`, and the script's audit with what it is made of.
fn is_test(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name == "tests.rs"
        || name.ends_with("_tests.rs")
        || path.components().any(|part| part.as_os_str() == "audit")
        || name == "audit.rs"
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// The first lines of `src/` below `folder` that hold one of `words`, comments apart.
fn mentions(folders: &[&str], words: &[&str]) -> Vec<String> {
    let mut found = vec![];
    for (file, text) in sources() {
        if !folders.iter().any(|folder| file.starts_with(folder)) {
            continue;
        }
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !is_comment(line)) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

/// Seven floors, and no way up: what each may not know.
#[test]
fn imports_go_one_way() {
    let above_ground = ["crate::resource", "crate::event", "crate::engine", "crate::script", "crate::providers"];
    let upstairs = ["crate::report", "crate::cli"];
    let forbidden: [(&[&str], Vec<&str>); 8] = [
        (&["diagnostic.rs"], [&above_ground[..], &upstairs, &["crate::inventory", "crate::template"]].concat()),
        (&["resource/"], [&above_ground[1..], &upstairs].concat()),
        (&["event.rs"], [&above_ground[2..], &upstairs].concat()),
        (&["inventory", "template"], [&above_ground[1..], &upstairs].concat()),
        (&["providers/"], [&["crate::engine", "crate::script", "crate::event"][..], &upstairs].concat()),
        (&["engine/"], [&["crate::script", "crate::providers"][..], &upstairs].concat()),
        (&["script/"], [&["crate::engine", "crate::providers", "crate::event"][..], &upstairs].concat()),
        (&["report/"], vec!["crate::script", "crate::providers", "crate::cli"]),
    ];
    for (folders, words) in forbidden {
        assert_eq!(mentions(folders, &words), [""; 0], "{folders:?} must not know {words:?}");
    }
}

/// The files of the commands stand one on the other, too.
#[test]
fn commands_import_in_no_circle() {
    let files: Vec<(String, String)> = sources()
        .into_iter()
        .filter_map(|(file, text)| Some((file.strip_prefix("cli/")?.strip_suffix(".rs")?.to_owned(), text)))
        .filter(|(name, _)| name != "mod")
        .collect();
    let knows = |text: &str, other: &str| {
        // As one line, since a list of imports may take several.
        let whole = text.lines().filter(|line| !is_comment(line)).collect::<Vec<_>>().join(" ");
        let named = |rest: &str| {
            let names = match rest.strip_prefix('{') {
                Some(list) => list.split(';').next().unwrap_or_default(),
                None => rest.split([':', ';', ' ', '(']).next().unwrap_or_default(),
            };
            // Of `{run::asked, exit}` both; what stands behind `::` is no file of its own.
            names.split([',', '{', '}']).any(|name| name.trim().split("::").next() == Some(other))
        };
        whole.split("super::").skip(1).any(named)
    };
    let mut left: Vec<(&str, Vec<&str>)> = files
        .iter()
        .map(|(name, text)| {
            let others = files.iter().map(|(other, _)| other.as_str());
            (name.as_str(), others.filter(|other| other != name && knows(text, other)).collect())
        })
        .collect();
    assert!(left.iter().map(|(_, known)| known.len()).sum::<usize>() > 40, "imports were found: {left:?}");
    // Whoever knows only those who are gone goes, too: a circle stays.
    while let Some(lowest) = left.iter().position(|(_, known)| known.is_empty()) {
        let (gone, _) = left.remove(lowest);
        left.iter_mut().for_each(|(_, known)| known.retain(|name| *name != gone));
    }
    assert!(left.is_empty(), "each of these knows itself in the end: {left:?}");
}

/// Each outside library has one room.
#[test]
fn libraries_stay_where_they_belong() {
    let rooms: [(&str, &[&str]); 13] = [
        ("rhai::", &["script/"]),
        ("aws_", &["providers/aws/"]),
        ("minijinja::", &["template"]),
        ("indicatif::", &["report/"]),
        ("console::", &["report/"]),
        ("annotate_snippets::", &["report/"]),
        ("clap::", &["cli/"]),
        ("toml::", &["inventory"]),
        ("kube::", &["providers/kubernetes/"]),
        ("serde_saphyr::", &["providers/kubernetes/yaml.rs"]),
        ("reqwest::", &["providers/remote.rs", "providers/cloudflare/"]),
        ("rustls::", &["providers/tls.rs"]),
        ("ring::pbkdf2", &["digest.rs"]),
    ];
    for (library, homes) in rooms {
        let strays: Vec<String> = mentions(&[""], &[library])
            .into_iter()
            .filter(|line| !homes.iter().any(|home| line.starts_with(home)))
            .filter(|line| !line.contains(&format!("\"{library}")))
            .collect();
        assert_eq!(strays, [""; 0], "`{library}` belongs in {homes:?}");
        assert!(!mentions(homes, &[library]).is_empty(), "`{library}` is used in {homes:?}");
    }
}

#[test]
fn only_report_prints() {
    let printing = ["println!", "print!(", "eprintln!", "eprint!(", "dbg!(", "io::stdout", "io::stderr"];
    let strays: Vec<String> =
        mentions(&[""], &printing).into_iter().filter(|line| !line.starts_with("report/")).collect();
    assert_eq!(strays, [""; 0]);
}

/// Waiting is the engine's. The sandbox lets simulated time pass, which is the outside's doing.
#[test]
fn providers_never_sleep() {
    let sleeping: Vec<String> = mentions(&["providers/"], &["sleep("])
        .into_iter()
        .filter(|line| !line.starts_with("providers/sandbox"))
        .collect();
    assert_eq!(sleeping, [""; 0]);
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    let words = ["todo!(", "unimplemented!(", "FIXME", "XXX", "#[ignore", "#![allow", "#[allow(dead_code"];
    assert_eq!(mentions(&[""], &words), [""; 0]);
}

#[test]
fn files_are_of_a_size_to_be_read() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|(file, text)| (text.lines().count(), file))
        .filter(|(lines, _)| *lines > 500)
        .map(|(lines, file)| format!("{file}: {lines} lines"))
        .collect();
    assert_eq!(long, [""; 0], "which two things is each?");
}

/// One file per kind, named after it.
#[test]
fn every_kind_has_a_file_of_its_name() {
    for kind in runner::providers::kinds() {
        let file = format!("src/providers/{}.rs", kind.name.replace("::", "/").replace("k8s/", "kubernetes/"));
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file).is_file(), "{} lives in {file}", kind.name);
    }
}
