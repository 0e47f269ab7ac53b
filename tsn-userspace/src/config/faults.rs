//! What is wrong with a configuration.

/// A value that cannot be used; says where, the value, the limit and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ConfigurationError {
    /// Path of the field, such as `uplinks[0].gate-parameters.admin-cycle-time`.
    pub place: String,
    /// What is wrong and what to do.
    pub reason: String,
}

/// Collects what is wrong, so that one look finds all of it.
#[derive(Debug, Default)]
pub struct Faults(Vec<ConfigurationError>);

impl Faults {
    /// What `compile` makes if it finds nothing wrong, else the first that it finds.
    ///
    /// # Errors
    ///
    /// The first value that cannot be used.
    pub fn none_in<T>(compile: impl FnOnce(&mut Self) -> T) -> Result<T, ConfigurationError> {
        let mut faults = Self::default();
        let compiled = compile(&mut faults);
        match faults.0.into_iter().next() {
            None => Ok(compiled),
            Some(first) => Err(first),
        }
    }

    /// The value at `place` cannot be used.
    pub fn add(&mut self, place: impl Into<String>, reason: impl Into<String>) {
        self.0.push(ConfigurationError {
            place: place.into(),
            reason: reason.into(),
        });
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// All of them, in the order in which they were found.
    pub fn into_vec(self) -> Vec<ConfigurationError> {
        self.0
    }
}
