//! The Containerfile, as far as it can be looked at without building it.

use crate::{VARIANTS, container, daemon_set, read, strings};

/// Its instructions, each a keyword and the rest, with continued lines joined.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let instructions = joined.lines().filter(|line| !line.trim().is_empty());
    instructions
        .map(|line| {
            let (keyword, rest) = line.split_once(' ').unwrap();
            (keyword.to_owned(), rest.trim().to_owned())
        })
        .collect()
}

#[test]
fn it_has_the_programs_that_the_manifests_start() {
    let instructions = instructions(&read("Containerfile"));
    let known = ["FROM", "WORKDIR", "COPY", "RUN", "ENTRYPOINT"];
    for (keyword, rest) in &instructions {
        assert!(known.contains(&keyword.as_str()), "{keyword} {rest}");
    }
    let stages: Vec<&str> = instructions
        .iter()
        .filter(|(keyword, _)| keyword == "FROM")
        .map(|(_, rest)| rest.rsplit(' ').next().unwrap())
        .collect();
    let copied = &instructions
        .iter()
        .rfind(|(keyword, _)| keyword == "COPY")
        .unwrap()
        .1;
    let from = copied
        .split(' ')
        .next()
        .unwrap()
        .strip_prefix("--from=")
        .unwrap();
    assert!(
        stages[..stages.len() - 1].contains(&from),
        "{from} of {stages:?}"
    );
    let programs: Vec<&str> = copied
        .split(' ')
        .filter_map(|file| file.strip_prefix("/source/target/release/"))
        .collect();
    for variant in VARIANTS {
        for name in ["tsnd", "cni"] {
            let daemon_set = daemon_set(variant);
            let started = strings(&container(&daemon_set, name)["command"])[0].to_owned();
            assert!(programs.contains(&started.as_str()), "{started}");
        }
    }
    // `tsnctl cni install` looks for it beside itself.
    assert!(programs.contains(&"tsn-cni"));
}

#[test]
fn its_compiler_is_that_of_the_workspace() {
    let workspace = include_str!("../../../Cargo.toml");
    let version = workspace
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap();
    let image = format!("rust:{}-", version.trim_matches('"'));
    assert!(read("Containerfile").contains(&image), "{image}");
}
