//! Running commands as the first process: what is left of a command's children is ours to wait for.

use std::process::Command;

use anyhow::{Context, Result};
use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::Pid,
};

/// Runs them one after the other and gives back the exit status of the first that failed, or 0.
pub fn run_all(commands: &[tsn_vm_init::Command]) -> i32 {
    let mut result = 0;
    for command in commands {
        let name = command.words.join(" ");
        let status = run(command).unwrap_or_else(|error| {
            println!("tsn-vm-init: {name}: {error:#}");
            127
        });
        if status != 0 {
            println!("tsn-vm-init: status {status} of {name}");
        }
        if result == 0 {
            result = status;
        }
    }
    result
}

fn run(command: &tsn_vm_init::Command) -> Result<i32> {
    let (program, arguments) = command.words.split_first().context("an empty command")?;
    let child = Command::new(program)
        .args(arguments)
        .current_dir(&command.directory)
        .env_clear()
        .envs(&command.environment)
        .spawn()
        .with_context(|| format!("start {program}"))?;
    let child = Pid::from_raw(i32::try_from(child.id())?);
    loop {
        // As a shell tells a signal: 128 more than its number.
        match waitpid(None, None).context("wait")? {
            WaitStatus::Exited(pid, status) if pid == child => return Ok(status),
            WaitStatus::Signaled(pid, signal, _) if pid == child => {
                return Ok(128 + signal as i32);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> tsn_vm_init::Command {
        tsn_vm_init::Command {
            words: words.iter().map(|word| String::from(*word)).collect(),
            directory: "/".into(),
            environment: [("WORD".into(), "7".into())].into(),
        }
    }

    // One test, since each waits for any child.
    #[test]
    fn the_first_failure_counts_and_hides_no_command_after_it() {
        assert_eq!(run_all(&[command(&["/bin/true"])]), 0);
        assert_eq!(run_all(&[command(&["/bin/sh", "-c", "exit $WORD"])]), 7);
        assert_eq!(run_all(&[command(&["/bin/sh", "-c", "kill -9 $$"])]), 137);
        assert_eq!(run_all(&[command(&["/no/such/program"])]), 127);
        let file = std::env::temp_dir().join(format!("tsn-vm-init-{}", std::process::id()));
        let touch = format!("> {}", file.display());
        let both = [
            command(&["/bin/false"]),
            command(&["/bin/sh", "-c", &touch]),
        ];
        assert_eq!(run_all(&both), 1);
        std::fs::remove_file(file).unwrap();
    }
}
