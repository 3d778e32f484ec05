//! Where a command gets a password from: a variable for scripts, a prompt without echo for people.

use std::io::{IsTerminal, Write, stderr, stdin};

use domain::account::{InvalidPassword, Password};

use crate::environment::Environment;

/// Holds the password for commands that no person sits at.
pub const ADMIN_PASSWORD: &str = "APP_ADMIN_PASSWORD";

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The variable holds none that is good enough.
    #[error("{ADMIN_PASSWORD}: its value (not shown) {0}")]
    Variable(InvalidPassword),
    /// Nobody can be asked.
    #[error("no password: set {ADMIN_PASSWORD}, or run the command in a terminal to be asked for one")]
    NobodyToAsk,
    /// The person gave none that is good enough, too often.
    #[error("no password after {ATTEMPTS} attempts")]
    TooManyAttempts,
    /// The terminal failed.
    #[error("the password could not be read from the terminal")]
    Terminal(#[from] std::io::Error),
}

const ATTEMPTS: u32 = 3;

/// The new password of `account`: from the environment, else asked for twice at the terminal.
///
/// Blocks while the person types.
pub fn new_password(environment: &Environment, account: &str) -> Result<Password, PasswordError> {
    if let Some(text) = environment.get(ADMIN_PASSWORD) {
        return Password::new(text).map_err(PasswordError::Variable);
    }
    if !stdin().is_terminal() {
        return Err(PasswordError::NobodyToAsk);
    }
    let ask = |what: &str| rpassword::prompt_password(format!("{what} for {account}: "));
    ask_until_good(ask, |reason| writeln!(stderr(), "{reason}"))
}

fn ask_until_good(
    mut ask: impl FnMut(&str) -> std::io::Result<String>,
    mut tell: impl FnMut(&str) -> std::io::Result<()>,
) -> Result<Password, PasswordError> {
    for _ in 0..ATTEMPTS {
        let text = ask("New password")?;
        match Password::new(&text) {
            Err(invalid) => tell(&format!("The password {invalid}."))?,
            Ok(_) if ask("The same again")? != text => tell("The two are not the same.")?,
            Ok(password) => return Ok(password),
        }
    }
    Err(PasswordError::TooManyAttempts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const GOOD: &str = "Correct-Horse-7";

    /// Answers one after the other; gives the result and what the person was told.
    fn ask(answers: &[&str]) -> (Result<Password, PasswordError>, Vec<String>) {
        let mut answers = answers.iter();
        let mut told = Vec::new();
        let result = ask_until_good(
            |_| answers.next().map(ToString::to_string).ok_or_else(|| std::io::Error::other("asked too often")),
            |reason| {
                told.push(reason.to_owned());
                Ok(())
            },
        );
        (result, told)
    }

    #[test]
    fn a_good_password_typed_twice_is_taken() {
        let (result, told) = ask(&[GOOD, GOOD]);
        assert_eq!(result.unwrap().expose(), GOOD);
        assert!(told.is_empty());
    }

    #[test]
    fn a_slip_is_told_and_asked_again() {
        let (result, told) = ask(&["weak", GOOD, "Correct-Horse-8", GOOD, GOOD]);
        assert_eq!(result.unwrap().expose(), GOOD);
        assert_eq!(told.len(), 2);
        assert!(told[1].contains("not the same"));
    }

    #[test]
    fn it_is_not_asked_for_ever() {
        let (result, told) = ask(&["weak", "weak", "weak", GOOD, GOOD]);
        assert!(matches!(result, Err(PasswordError::TooManyAttempts)));
        assert_eq!(told.len(), 3);
    }

    #[test]
    fn the_variable_is_checked_and_never_shown() {
        let with = |text: &str| new_password(&[(ADMIN_PASSWORD, text)].into_iter().collect(), "a@b.example");
        assert_eq!(with(GOOD).unwrap().expose(), GOOD);
        let error = with("hunter2").unwrap_err().to_string();
        assert!(error.starts_with(ADMIN_PASSWORD), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
