//! A NATS server.

use std::net::TcpStream;

use test_servers::Nats;

#[tokio::test]
async fn a_server_is_there_until_it_is_dropped() {
    let (one, other) = (Nats::start().await.expect("a server"), Nats::start().await.expect("another"));
    assert_ne!(one.url(), other.url());
    let address = one.url().strip_prefix("nats://").expect("a URL").to_owned();
    assert!(TcpStream::connect(&address).is_ok(), "it answers at {address}");
    drop(one);
    assert!(TcpStream::connect(&address).is_err(), "a dropped server is gone");
}
