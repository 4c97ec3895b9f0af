//! Every public type of `core` can be logged by defmt: it derives `defmt::Format`, or stands in
//! `format.rs`.

use std::fs;
use std::path::Path;

fn sources(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The name of the type that this line declares to be public.
fn declared(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "))?;
    rest.split(|c: char| !c.is_alphanumeric()).next()
}

#[test]
fn every_public_type_has_a_format() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src"), &mut files);
    let (_, listed) = files.iter().find(|(path, _)| path.ends_with("format.rs")).unwrap();
    let in_list = |name: &str| {
        let mut names = listed.split(|c: char| !c.is_alphanumeric());
        names.any(|word| word == name)
    };
    let (mut derived, mut by_debug) = (0, 0);
    for (path, text) in &files {
        let mut attributes = String::new();
        for line in text.lines() {
            match declared(line) {
                Some(_) if attributes.contains("derive(defmt::Format)") => derived += 1,
                Some(name) => {
                    assert!(in_list(name), "{path}: {name} cannot be logged");
                    by_debug += 1;
                }
                None if line.starts_with("#[") || line.starts_with("///") => {
                    attributes += line;
                    continue;
                }
                None => {}
            }
            attributes.clear();
        }
    }
    println!("{derived} derive it, {by_debug} are listed");
    assert!(derived > 30 && by_debug > 80, "{derived}, {by_debug}");
}
