//! Tasks of this workspace, run as `cargo xtask NAME`.

mod adr;
mod cargo;
mod contract;
mod dependencies;
mod failure;
mod file_size;
mod further;
mod installation;
mod money;
mod server_directory;
mod test;
mod tidy;

use std::env;
use std::process::ExitCode;

use failure::Failure;

const USAGE: &str = "\
cargo xtask test [ARGUMENTS OF cargo test]   every test that needs no server but a Postgres, which it sees to
cargo xtask further [THE SAME]               every test that needs further servers (see CONTRIBUTING.md)
cargo xtask contract                         all stores run one and the same list of contract tests
cargo xtask tidy                             the workspace's own rules: dependencies, sizes of files, numbers of ADRs,
                                             no money in floats in examples";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Failure> {
    match words {
        ["test", arguments @ ..] => test::run(arguments),
        ["further", arguments @ ..] => further::run(arguments),
        ["contract"] => contract::run(),
        ["tidy"] => tidy::run(),
        _ => Err(Failure::new(USAGE)),
    }
}
