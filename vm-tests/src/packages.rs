//! Debian packages of other releases than the host's, by lists of their own: nothing is installed, and the host's own lists
//! stay as they are.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

const ARCHIVE: &str = "http://deb.debian.org/debian";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Lists of packages in a directory of their own.
#[derive(Debug)]
pub struct Lists {
    directory: PathBuf,
}

impl Lists {
    /// Of these releases.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made.
    pub fn new(directory: &Path, releases: &[&str]) -> Result<Self> {
        let lists = Self {
            directory: directory.to_owned(),
        };
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = directory.join(part);
            fs::create_dir_all(&part).with_context(|| format!("make {}", part.display()))?;
        }
        let sources: String = releases
            .iter()
            .map(|release| format!("deb [signed-by={KEYRING}] {ARCHIVE} {release} main\n"))
            .collect();
        fs::write(lists.sources(), sources).context("write the list of sources")?;
        Ok(lists)
    }

    fn sources(&self) -> PathBuf {
        self.directory.join("sources.list")
    }

    /// An apt command with these lists.
    pub fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let places = [
            ("Dir::Etc::sourcelist", self.sources()),
            ("Dir::Etc::sourceparts", "/dev/null".into()),
            ("Dir::State::lists", self.directory.join("lists")),
            ("Dir::Cache", self.directory.join("cache")),
        ];
        for (name, place) in places {
            command
                .arg("--option")
                .arg(format!("{name}={}", place.display()));
        }
        // Its own user may not write here.
        command.args(["--option", "APT::Sandbox::User=root", "--quiet=2"]);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Fetches the lists anew.
    ///
    /// # Errors
    ///
    /// When that fails.
    pub fn update(&self) -> Result<()> {
        run(self.apt("apt-get").arg("update"))
    }

    /// What a package depends on, and its version.
    fn record(&self, package: &str) -> Result<Record> {
        let mut command = self.apt("apt-cache");
        let output = command
            .args(["--no-all-versions", "show", package])
            .output();
        let output = output.context("start apt-cache")?;
        ensure!(
            output.status.success() && !output.stdout.is_empty(),
            "there is no package {package} in {}",
            fs::read_to_string(self.sources())?.trim()
        );
        Ok(Record::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    /// The packages of one kernel that have files of it, and its version.
    ///
    /// # Errors
    ///
    /// When the lists have none of that name.
    pub fn of_kernel(&self, metapackage: &str) -> Result<(Vec<String>, String)> {
        let top = self.record(metapackage)?;
        let mut found = Vec::new();
        let mut open = top.depends;
        while let Some(name) = open.pop() {
            if has_files_of_a_kernel(&name) && !found.contains(&name) {
                open.extend(self.record(&name)?.depends);
                found.push(name);
            }
        }
        ensure!(
            !found.is_empty(),
            "the package {metapackage} depends on no kernel"
        );
        found.sort();
        Ok((found, top.version))
    }

    /// Downloads packages into a directory.
    ///
    /// # Errors
    ///
    /// When that fails.
    pub fn download(&self, packages: &[String], directory: &Path) -> Result<()> {
        let mut command = self.apt("apt-get");
        run(command
            .arg("download")
            .args(packages)
            .current_dir(directory))
    }
}

/// Some fields of what apt-cache shows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Record {
    version: String,
    depends: Vec<String>,
}

impl Record {
    fn parse(text: &str) -> Self {
        let field = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(name)).unwrap_or("")
        };
        let depends = field("Depends: ")
            .split([',', '|'])
            .filter_map(|entry| entry.split_whitespace().next())
            .map(String::from)
            .collect();
        Self {
            version: field("Version: ").into(),
            depends,
        }
    }
}

/// Whether it is a package of one version of a kernel, rather than of tools.
fn has_files_of_a_kernel(package: &str) -> bool {
    [
        "linux-image-",
        "linux-binary-",
        "linux-modules-",
        "linux-base-",
    ]
    .iter()
    .filter_map(|prefix| package.strip_prefix(prefix))
    .any(|version| version.starts_with(|first: char| first.is_ascii_digit()))
}

/// Unpacks a package.
///
/// # Errors
///
/// When dpkg cannot.
pub fn unpack(archive: &Path, directory: &Path) -> Result<()> {
    run(Command::new("dpkg")
        .arg("--extract")
        .arg(archive)
        .arg(directory))
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("start {name}"))?;
    let last = command.get_args().last().unwrap_or_default();
    ensure!(
        output.status.success(),
        "{name} … {}: {}",
        last.to_string_lossy(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read() {
        let text = "Package: p\nVersion: 6.1.176-1\nDepends: kmod, linux-base (>= 4.3~), a | b\n";
        let expected = Record {
            version: "6.1.176-1".into(),
            depends: ["kmod", "linux-base", "a", "b"].map(String::from).into(),
        };
        assert_eq!(Record::parse(text), expected);
        assert_eq!(Record::parse(""), Record::default());
    }

    #[test]
    fn packages_of_a_kernel_are_told_from_tools() {
        assert!(has_files_of_a_kernel("linux-image-6.1.0-50-amd64"));
        assert!(has_files_of_a_kernel("linux-base-7.3.4+deb13-amd64"));
        assert!(!has_files_of_a_kernel("linux-base"));
        assert!(!has_files_of_a_kernel("initramfs-tools"));
    }
}
