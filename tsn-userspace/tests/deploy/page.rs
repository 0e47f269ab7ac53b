//! What `docs/kubernetes.md` shows.

use tsn_userspace::config::Configuration;

use crate::{cni, commands, kubernetes, path, yaml};

const PAGE: &str = include_str!("../../../docs/kubernetes.md");

fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let blocks: Vec<_> = PAGE
        .split(&fence)
        .skip(1)
        .map(|after| after.split_once("```").expect("a block ends").0)
        .collect();
    assert!(!blocks.is_empty(), "no {language}");
    blocks
}

#[test]
fn every_manifest_and_configuration_is_right() {
    for block in blocks("yaml") {
        if block.contains("apiVersion:") {
            kubernetes::check(&yaml(block));
            continue;
        }
        let whole = match block.contains("uplinks:") {
            true => block.to_owned(),
            false => format!("uplinks: [{{ device: eth0 }}]\n{block}"),
        };
        if let Err(error) = Configuration::from_yaml(&whole) {
            panic!("{error}\n{whole}");
        }
    }
}

#[test]
fn every_network_names_the_plugin_as_it_wants_to_be() {
    for block in blocks("json") {
        cni::check(&serde_json::from_str(block).unwrap());
    }
}

#[test]
fn every_command_of_ours_has_options_that_there_are() {
    let mut ours = 0;
    for block in blocks("sh") {
        for line in block.replace("\\\n", " ").lines() {
            // On the node, or in a container of it; without a comment and where its output goes.
            let command = line
                .split(" #")
                .next()
                .unwrap()
                .rsplit(" -- ")
                .next()
                .unwrap();
            let command = command.split(" > ").next().unwrap();
            let words: Vec<&str> = command.split_whitespace().collect();
            if let ["tsnd" | "tsnctl", ..] = words[..] {
                commands::check(&words);
                ours += 1;
            }
        }
    }
    assert!(ours > 5, "{ours}");
}

#[test]
fn every_file_that_it_names_is_there() {
    let mut named = 0;
    for after in PAGE.split("deploy/").skip(1) {
        let end = after.find(|letter: char| !letter.is_alphanumeric() && !"/.-_".contains(letter));
        let file = after[..end.unwrap_or(after.len())].trim_end_matches(['.', '/']);
        assert!(path(file).exists(), "deploy/{file}");
        named += 1;
    }
    assert!(named > 5, "{named}");
}
