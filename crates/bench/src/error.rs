//! What ends a run: the step that failed, and why.

use std::error::Error;
use std::fmt;

/// A step that could not be done.
#[derive(Debug)]
pub(crate) struct StepFailed {
    step: String,
    cause: Box<dyn Error + Send + Sync>,
}

/// The result of a step.
pub(crate) type Step<T> = Result<T, StepFailed>;

impl StepFailed {
    /// A failure in words.
    pub(crate) fn new(step: impl Into<String>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { step: step.into(), cause: cause.into() }
    }
}

impl fmt::Display for StepFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.step, self.cause)?;
        let mut source = self.cause.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl Error for StepFailed {}

/// Names the step that a result is of.
pub(crate) trait During<T> {
    /// An error says that this failed; `step` reads like "starting the app".
    fn during(self, step: impl Into<String>) -> Step<T>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> During<T> for Result<T, E> {
    fn during(self, step: impl Into<String>) -> Step<T> {
        self.map_err(|cause| StepFailed::new(step, cause))
    }
}
