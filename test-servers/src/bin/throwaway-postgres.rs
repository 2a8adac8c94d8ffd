//! A PostgreSQL server to try things on: prints where it runs and its URL, and is gone when this program ends, however it ends.
//!
//! `cargo run -p test-servers --bin throwaway-postgres`, then Enter or ^C.

use std::io;

use test_servers::{Error, Postgres};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let postgres = Postgres::start().await?;
    println!("{} {}", postgres.kind().name(), postgres.url());
    // A reading error means the same as the end of input: nobody needs the server any more.
    let _ = io::stdin().read_line(&mut String::new());
    Ok(())
}
