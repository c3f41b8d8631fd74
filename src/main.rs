//! The `agent` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    folder_sync_agent::cli::main()
}
