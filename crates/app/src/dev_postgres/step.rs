//! Runs one program with a limit in time, so that no start-up ever hangs in silence.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::error::DevPostgresError;

/// A program to run, what for, and how long it may take.
pub(super) struct Step {
    pub(super) what: &'static str,
    pub(super) command: Command,
    pub(super) limit: Duration,
    pub(super) advice: &'static str,
}

impl Step {
    /// Runs it to its end and gives back what it wrote to standard output.
    ///
    /// It gets no standard input; a program that outlasts its limit is killed.
    pub(super) async fn run(mut self) -> Result<String, DevPostgresError> {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let result = timeout(self.limit, self.command.output()).await;
        match result {
            Err(_elapsed) => {
                let reason = format!("it did not end within {} s", self.limit.as_secs());
                Err(self.failed(reason, String::new()))
            }
            Ok(Err(error)) => Err(self.failed(error.to_string(), String::new())),
            Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Ok(Ok(output)) => {
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said).trim().to_owned();
                Err(self.failed(output.status.to_string(), said))
            }
        }
    }

    fn failed(&self, reason: String, output: String) -> DevPostgresError {
        let command = self.command.as_std();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        DevPostgresError::Step {
            what: self.what,
            command: words.join(" "),
            reason,
            output,
            advice: self.advice.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn shell(script: &str, limit: Duration) -> Step {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Step { what: "the trial", command, limit, advice: "try something else." }
    }

    #[tokio::test]
    async fn a_step_gives_back_its_output() {
        let output = shell("echo hello", Duration::from_secs(10)).run().await;
        assert_eq!(output.unwrap(), "hello\n");
    }

    #[tokio::test]
    async fn a_failed_step_says_what_ran_how_it_ended_what_it_said_and_what_to_do() {
        let error = shell("echo out; echo err >&2; exit 3", Duration::from_secs(10)).run().await.unwrap_err();
        let text = error.to_string();
        for part in ["the trial failed", "exit status: 3", "sh -c", "  | out", "  | err", "To do: try something else."]
        {
            assert!(text.contains(part), "{part:?} is missing in:\n{text}");
        }
    }

    #[tokio::test]
    async fn a_step_that_hangs_is_ended_at_its_limit() {
        let error = shell("sleep 60", Duration::from_millis(50)).run().await.unwrap_err();
        assert!(error.to_string().contains("did not end within"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let step = Step {
            what: "the trial",
            command: Command::new("/nonexistent/program"),
            limit: Duration::from_secs(1),
            advice: "install it.",
        };
        let text = step.run().await.unwrap_err().to_string();
        assert!(text.contains("/nonexistent/program"), "{text}");
    }
}
