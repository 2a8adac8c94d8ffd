use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::Error;

/// Below the range that operating systems take for outgoing connections. A port in that range could be taken by a client
/// while its server is down, even by the one that keeps trying to connect to that server.
const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;

/// A loopback port that nothing listens on. Somebody else may take it before it's used: be ready to ask again.
pub(crate) fn free() -> Result<u16, Error> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes begin at different places, so that they rarely race for a port.
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or_default();
    for _ in 0..COUNT {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + start.wrapping_add(offset) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::new(format!("no loopback port is free from {FIRST} on")))
}
