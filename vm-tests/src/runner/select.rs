//! Which tests run on which kernels.

use anyhow::{Result, bail};

use crate::{Kernel, Test};

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only on these kernels; on all if there are none.
    pub kernels: Vec<Kernel>,
    /// Only tests whose names begin with one of these; all if there are none.
    pub tests: Vec<String>,
    /// Only what each change is tested with.
    pub quick: bool,
}

impl Selection {
    /// The tests that it means, kernel by kernel.
    ///
    /// # Errors
    ///
    /// When a part of it means nothing.
    pub fn of(&self, tests: &[Test]) -> Result<Vec<(Kernel, Test)>> {
        for part in &self.tests {
            if !tests.iter().any(|test| test.name.starts_with(part)) {
                bail!("no test's name begins with `{part}`; `cargo xtask vm-test --list` has them");
            }
        }
        let wanted = |test: &&Test| {
            self.tests.is_empty() || self.tests.iter().any(|part| test.name.starts_with(part))
        };
        let mut units = Vec::new();
        for kernel in Kernel::ALL {
            if !self.kernels.is_empty() && !self.kernels.contains(&kernel) {
                continue;
            }
            for test in tests.iter().filter(wanted) {
                let kernels = if self.quick {
                    &test.quick
                } else {
                    &test.kernels
                };
                if kernels.contains(&kernel) {
                    units.push((kernel, test.clone()));
                }
            }
        }
        if units.is_empty() {
            bail!("none of these tests runs on these kernels; `--list` tells on which each does");
        }
        Ok(units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Guest, Program};

    fn tests() -> Vec<Test> {
        let test = |name| Test::new(name, "", Guest::running(Program::Shell("true")));
        vec![
            test("a-one").quick_on(&[Kernel::Newest]),
            test("a-two").on(&[Kernel::V6_1Cloud]),
        ]
    }

    fn selected(selection: &Selection) -> Vec<String> {
        let units = selection.of(&tests()).unwrap();
        let name = |(kernel, test): &(Kernel, Test)| format!("{kernel}/{}", test.name);
        units.iter().map(name).collect()
    }

    #[test]
    fn tests_kernels_and_the_quick_matrix_are_chosen() {
        let all = Selection::default();
        assert_eq!(selected(&all).len(), Kernel::WITH_NICS.len() + 1);
        let quick = Selection {
            quick: true,
            ..Selection::default()
        };
        assert_eq!(selected(&quick), ["newest/a-one"]);
        let one = Selection {
            kernels: vec![Kernel::V6_1, Kernel::V6_1Cloud],
            tests: vec!["a-".into()],
            quick: false,
        };
        assert_eq!(selected(&one), ["6.1/a-one", "6.1-cloud/a-two"]);
    }

    #[test]
    fn what_means_nothing_is_told() {
        let selection = Selection {
            tests: vec!["b".into()],
            ..Selection::default()
        };
        let error = selection.of(&tests()).unwrap_err().to_string();
        assert!(error.contains("`b`"), "{error}");
        let selection = Selection {
            kernels: vec![Kernel::V6_12Cloud],
            ..Selection::default()
        };
        assert!(selection.of(&tests()).is_err());
    }
}
