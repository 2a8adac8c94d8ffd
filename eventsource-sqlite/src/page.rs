use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use eventsource_core::{Page, Position, RecordedEvent, Result};
use futures_util::future::{Either, select};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::decoder::EventDecoder;
use crate::raw_events::RawEvents;

/// A page that was read, without the parts that were handed over meanwhile.
pub(crate) struct RawPage {
    pub(crate) last: RawEvents,
    pub(crate) head: i64,
    pub(crate) more: bool,
    /// By which parts were handed over. To end it sooner would wake the caller once more, for nothing.
    pub(crate) _parts: UnboundedSender<RawEvents>,
}

/// The page that `reading` comes to, decoded part by part while more is read. The parts count only with the page: before,
/// nobody knows whether what they hold is durable. What the page may hold bounds how many wait.
pub(crate) async fn decoded(
    reading: impl Future<Output = Result<RawPage>>,
    mut parts: UnboundedReceiver<RawEvents>,
) -> Result<Page> {
    let mut reading = pin!(reading);
    let mut decoding = Decoding::default();
    let page = loop {
        match select(reading.as_mut(), pin!(parts.recv())).await {
            Either::Left((page, _)) => break page,
            Either::Right((Some(part), _)) => decoding.add(&part)?,
            Either::Right((None, _)) => break reading.await,
        }
        let_others_go_on().await;
    };
    // Before the page's own error: what is wrong with an earlier event is told first.
    while let Ok(part) = parts.try_recv() {
        decoding.add(&part)?;
        let_others_go_on().await;
    }
    let page = page?;
    decoding.add(&page.last)?;
    Ok(Page { events: decoding.events, head: Position::try_from(page.head)?, more: page.more })
}

#[derive(Default)]
struct Decoding {
    decoder: EventDecoder,
    events: Vec<RecordedEvent>,
}

impl Decoding {
    fn add(&mut self, part: &RawEvents) -> Result<()> {
        self.events.reserve(part.len());
        for event in part.iter() {
            self.events.push(self.decoder.decode(event)?);
        }
        Ok(())
    }
}

/// Gives the executor, whichever it is, back its thread for once.
async fn let_others_go_on() {
    let mut gone = false;
    poll_fn(|context| {
        if gone {
            return Poll::Ready(());
        }
        gone = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use eventsource_core::{Error, ErrorKind};
    use futures_util::FutureExt as _;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn others_have_their_turn_after_each_part() -> Result<()> {
        let (sender, parts) = unbounded_channel();
        for _ in 0..10 {
            assert!(sender.send(RawEvents::of_at_most(0)).is_ok());
        }
        let page = RawPage { last: RawEvents::of_at_most(0), head: 7, more: true, _parts: sender };
        let mut decoded = pin!(decoded(ready(Ok(page)), parts));
        for _ in 0..10 {
            assert!(decoded.as_mut().now_or_never().is_none());
        }
        let page = decoded.now_or_never().expect("all parts are decoded")?;
        assert_eq!((page.events, page.head, page.more), (Vec::new(), Position::from_raw(7), true));
        Ok(())
    }

    #[tokio::test]
    async fn parts_that_nobody_answers_for_are_no_page() {
        let (sender, parts) = unbounded_channel();
        assert!(sender.send(RawEvents::of_at_most(0)).is_ok());
        let page = decoded(ready(Err(Error::unavailable("not flushed"))), parts).await;
        assert_eq!(page.expect_err("the read failed").kind(), ErrorKind::Unavailable);
        drop(sender);
    }
}
