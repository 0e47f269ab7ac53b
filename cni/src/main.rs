//! The plugin as container runtimes start it: a call in the environment and on standard input, its answer on standard
//! output, and a log on standard error.

use std::io::{Write, stdin, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    let answer = tsn_cni::answer(|variable| std::env::var_os(variable), stdin().lock());
    let printed = stdout().lock().write_all(answer.output.as_bytes());
    match printed {
        Ok(()) if answer.success => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
