//! A bouncer in front of a server.

use sqlx::{Connection, PgConnection};
use test_servers::{PgBouncer, Postgres};

#[tokio::test]
async fn queries_pass_through_in_transaction_mode() {
    let postgres = Postgres::shared().await;
    let url = postgres.create_database("bounced").await.expect("a database");
    let bouncer = PgBouncer::start(&url).await.expect("a bouncer");
    assert_ne!(bouncer.url(), url);

    let mut connection = PgConnection::connect(bouncer.url()).await.expect("a connection");
    // A bouncer that hands out its server connections per transaction cannot serve prepared statements that outlive one.
    let read = sqlx::query_scalar("SELECT current_database()").persistent(false);
    let name: String = read.fetch_one(&mut connection).await.expect("a name");
    assert_eq!(name, "test_pgbouncer_bounced");

    let gone = bouncer.url().to_owned();
    drop(bouncer);
    assert!(PgConnection::connect(&gone).await.is_err(), "a dropped bouncer is gone");
}
