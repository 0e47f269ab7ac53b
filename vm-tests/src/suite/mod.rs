//! The tests, one file for each area.

mod end_to_end;
mod faults;
mod features;
mod gptp;
mod nics;
mod peers;
mod vfio;
mod vhost_user;

use crate::Test;

/// All of them.
pub fn tests() -> Vec<Test> {
    [
        faults::tests(),
        features::tests(),
        end_to_end::tests(),
        peers::tests(),
        nics::tests(),
        vfio::tests(),
        gptp::tests(),
        vhost_user::tests(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_the_quick_kernels_are_among_all() {
        let mut names = HashSet::new();
        for test in tests() {
            assert!(
                names.insert(test.name.clone()),
                "{} is there twice",
                test.name
            );
            assert!(!test.kernels.is_empty(), "{} runs nowhere", test.name);
            for kernel in &test.quick {
                assert!(test.kernels.contains(kernel), "{}: {kernel}", test.name);
            }
            if test.host.is_some() {
                assert_eq!(
                    test.guests.len(),
                    1,
                    "{}: a host boots one guest",
                    test.name
                );
            }
        }
    }
}
