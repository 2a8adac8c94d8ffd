//! The shared server: one for all tests of a binary, a database for each.

use sqlx::{Connection, PgConnection};
use test_servers::Postgres;

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let postgres = Postgres::shared().await;
    let url = postgres.create_database("own").await.expect("a database");
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    let name: String =
        sqlx::query_scalar("SELECT current_database()").fetch_one(&mut connection).await.expect("a name");
    assert_eq!(name, "test_shared_own");
}

#[tokio::test]
async fn two_tests_cannot_share_a_name() {
    let postgres = Postgres::shared().await;
    postgres.create_database("twice").await.expect("a database");
    let refused = postgres.create_database("twice").await.expect_err("the second of that name");
    assert!(refused.to_string().contains("a name of its own"), "{refused}");
}

#[test]
fn tests_without_a_runtime_of_their_own_share_it_too() {
    let url = |runtime: tokio::runtime::Runtime| runtime.block_on(async { Postgres::shared().await.url() });
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    assert_eq!(url(runtime()), url(runtime()));
}
