//! No module takes part in an import cycle: neither a file, nor a folder as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The path of a module below `src`: `["api", "errors"]`.
type Module = Vec<String>;

/// A path as it is imported, and whether the import is a re-export.
struct Import {
    path: Vec<String>,
    is_reexport: bool,
}

#[derive(Default)]
struct Sources {
    /// The code of each module without comments, tests and imports.
    code: BTreeMap<Module, String>,
    imports: BTreeMap<Module, Vec<Import>>,
}

impl Sources {
    fn read(root: &Path) -> Self {
        let mut sources = Self::default();
        for file in files(root) {
            let relative = file.strip_prefix(root).unwrap().with_extension("");
            let mut module: Module = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            if ["lib", "main"].contains(&module[0].as_str()) || module.contains(&"tests".to_owned()) {
                continue;
            }
            module.pop_if(|last| last == "mod");
            sources.add(module, &fs::read_to_string(&file).unwrap());
        }
        sources
    }

    fn add(&mut self, module: Module, text: &str) {
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let (mut code, mut imports, mut open) = (String::new(), Vec::new(), None::<(bool, String)>);
        for line in lines {
            let start = line.trim_start();
            let visible =
                start.strip_prefix("pub").map(|rest| rest.split_once(") ").map_or(rest, |(_, rest)| rest).trim_start());
            let begins = start.strip_prefix("use ").map(|rest| (false, rest));
            let begins = begins.or_else(|| Some((true, visible?.strip_prefix("use ")?)));
            match (&mut open, begins) {
                (Some((_, statement)), _) => statement.push_str(line),
                (None, Some((is_reexport, rest))) => open = Some((is_reexport, rest.to_owned())),
                (None, None) => {
                    code.push_str(line);
                    code.push('\n');
                }
            }
            if let Some((is_reexport, statement)) = open.take_if(|(_, statement)| statement.ends_with(';')) {
                let paths = expand(statement.trim_end_matches(';'));
                imports.extend(paths.into_iter().map(|path| Import { path, is_reexport }));
            }
        }
        self.imports.insert(module.clone(), imports);
        self.code.insert(module, code);
    }

    /// The module that defines what a path names, seen from `from`.
    fn resolve(&self, from: &Module, path: &[String]) -> Option<Module> {
        let (mut base, mut rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (from.clone(), &path[1..]),
            "super" => (from.clone(), path),
            first if self.code.contains_key(&[from.clone(), vec![first.to_owned()]].concat()) => (from.clone(), path),
            _ => return None,
        };
        while rest.first().is_some_and(|part| part == "super") {
            base.pop();
            rest = &rest[1..];
        }
        while let Some((first, others)) = rest.split_first() {
            let inner = [base.clone(), vec![first.clone()]].concat();
            if !self.code.contains_key(&inner) {
                break;
            }
            (base, rest) = (inner, others);
        }
        let reexports = self.imports.get(&base)?.iter().filter(|import| import.is_reexport);
        let name = rest.first();
        let found = reexports.filter(|import| name.is_some() && import.path.last() == name).find_map(|import| {
            let target = self.resolve(&base, &import.path)?;
            (target != base).then_some(target)
        });
        found.or(Some(base))
    }

    /// The modules that each module depends on.
    fn graph(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let graph = self.code.iter().map(|(module, code)| {
            let mut paths = inline_paths(code);
            for import in &self.imports[module] {
                let name = import.path.last().unwrap();
                if !import.is_reexport || words(code).any(|word| word == name) {
                    paths.push(import.path.clone());
                }
                // `errors::into_response` after `use super::errors`.
                let prefix = format!("{name}::");
                let names = code.match_indices(prefix.as_str()).filter_map(|(at, text)| {
                    let is_whole = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
                    is_whole.then(|| words(&code[at + text.len()..]).next().unwrap_or_default().to_owned())
                });
                paths.extend(names.map(|inner| [import.path.clone(), vec![inner]].concat()));
            }
            let targets = paths.iter().filter_map(|path| self.resolve(module, path));
            (module.clone(), targets.filter(|target| target != module && !target.is_empty()).collect())
        });
        graph.collect()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The paths of the tree `a::{b, c::{self, d as e}}`.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some((prefix, inner)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap();
        return vec![path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()];
    };
    let prefix: Vec<String> =
        prefix.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    let inner = inner.rsplit_once('}').unwrap().0;
    let (mut depth, mut items) = (0, vec![String::new()]);
    for character in inner.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if character == ',' && depth == 0 {
            items.push(String::new());
        } else {
            items.last_mut().unwrap().push(character);
        }
    }
    let items = items.iter().filter(|item| !item.trim().is_empty()).flat_map(|item| expand(item));
    items.map(|path| if path == ["self"] { prefix.clone() } else { [prefix.clone(), path].concat() }).collect()
}

/// The paths that the code names without importing them: `crate::api::document()`.
fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let starts = ["crate::", "super::", "self::"].into_iter().flat_map(|start| code.match_indices(start));
    let paths = starts.filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
    paths
        .map(|(at, _)| {
            let end =
                code[at..].find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(code.len() - at);
            code[at..at + end].split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
        })
        .collect()
}

/// The nodes that can reach themselves, each with the cycle's next node.
fn cycles<T: Ord + Clone>(graph: &BTreeMap<T, BTreeSet<T>>) -> Vec<Vec<T>> {
    let reach = |start: &T| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(node) = open.pop() {
            open.extend(graph.get(node).into_iter().flatten().filter(|next| reached.insert((*next).clone())));
        }
        reached
    };
    let reached: BTreeMap<&T, BTreeSet<T>> = graph.keys().map(|node| (node, reach(node))).collect();
    let mut found: BTreeSet<Vec<T>> = BTreeSet::new();
    for (node, targets) in &reached {
        let cycle: Vec<T> = targets
            .iter()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(node)))
            .cloned()
            .collect();
        if cycle.len() > 1 {
            found.insert(cycle);
        }
    }
    found.into_iter().collect()
}

/// The graph of the entries of each folder: files, and subfolders as a whole.
fn folders(graph: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut entries: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (from, targets) in graph {
        for to in targets {
            let common = from.iter().zip(to).take_while(|(one, other)| one == other).count();
            // A module and one below it are compared as files.
            if common < from.len() && common < to.len() {
                entries.entry(from[..=common].to_vec()).or_default().insert(to[..=common].to_vec());
            }
        }
    }
    entries
}

fn names(cycles: Vec<Vec<Module>>) -> Vec<String> {
    let name = |cycle: Vec<Module>| cycle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(", ");
    cycles.into_iter().map(name).collect()
}

#[test]
fn no_file_takes_part_in_an_import_cycle() {
    let found = names(cycles(&Sources::read(Path::new("src")).graph()));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_folder_takes_part_in_an_import_cycle() {
    let found = names(cycles(&folders(&Sources::read(Path::new("src")).graph())));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_cycle_through_a_reexport_is_found() {
    let mut sources = Sources::default();
    let module = |path: &str| path.split("::").map(str::to_owned).collect::<Module>();
    sources.add(module("a"), "mod one;\nmod two;\npub use one::One;\n");
    sources.add(module("a::one"), "use super::two::{self, Two};\npub struct One(Two);\n");
    sources.add(module("a::two"), "pub struct Two;\nfn f() -> crate::a::One { todo!() }\n");
    sources.add(module("b"), "use crate::a::One;\nfn f(one: One) {}\n");
    let graph = sources.graph();
    assert_eq!(graph[&module("a")], BTreeSet::new());
    assert_eq!(graph[&module("b")], BTreeSet::from([module("a::one")]));
    assert_eq!(cycles(&graph), [[module("a::one"), module("a::two")]]);
    assert_eq!(cycles(&folders(&graph)), [[module("a::one"), module("a::two")]]);
}
