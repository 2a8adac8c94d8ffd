//! Books and readers: dynamic streams by event types and payload values, without any tag.
//!
//! `cargo run -p examples --bin library_lending -- [--backend memory|sqlite|postgres] [--url …]`

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use eventsource_core::{Append, EventStore, EventStoreExt, Filter, FilterItem, NewEvent, Queried};
use examples::StoreArguments;
use serde::Serialize;
use uuid::Uuid;

/// How many books one reader may have at home.
const BOOKS_PER_READER: usize = 2;

const LENT: &str = "BookCopyLentToReader";
const RETURNED: &str = "BookCopyReturnedByReader";
const ADDED: &str = "BookCopyAddedToCirculation";

#[derive(Serialize)]
struct Copy<'a> {
    #[serde(rename = "BookID")]
    book: &'a str,
}

#[derive(Serialize)]
struct Lending<'a> {
    #[serde(rename = "BookID")]
    book: &'a str,
    #[serde(rename = "ReaderID")]
    reader: &'a str,
}

/// Everything about this book, and what this reader borrowed and returned.
fn boundary(book: &str, reader: &str) -> eventsource_core::Result<Filter> {
    Filter::any_of([
        FilterItem::new().event_types([ADDED, LENT, RETURNED])?.all_payload("BookID", book)?,
        FilterItem::new().event_types([LENT, RETURNED])?.all_payload("ReaderID", reader)?,
    ])
}

fn decide(known: &Queried, book: &str, reader: &str) -> Result<NewEvent, Box<dyn Error>> {
    let of_book = Filter::any_of([FilterItem::new().all_payload("BookID", book)?])?;
    let of_reader = Filter::any_of([FilterItem::new().all_payload("ReaderID", reader)?])?;
    let (mut on_shelf, mut at_home) = (false, 0);
    for event in &known.events {
        let lent = event.event_type() == LENT;
        if of_book.matches(event) {
            on_shelf = !lent;
        }
        if of_reader.matches(event) {
            at_home = if lent { at_home + 1 } else { at_home - 1 };
        }
    }
    match (on_shelf, at_home) {
        (false, _) => Err("the book is not on the shelf".into()),
        (true, BOOKS_PER_READER..) => Err("the reader has too many books".into()),
        (true, _) => Ok(NewEvent::new(LENT, &Lending { book, reader })?),
    }
}

async fn lend(store: &dyn EventStore, book: &str, reader: &str) -> Result<(), Box<dyn Error>> {
    let boundary = boundary(book, reader)?;
    let known = store.query(&boundary).await?;
    let event = decide(&known, book, reader)?;
    store.append(Append::events([event]).fail_if(boundary).after(known.head)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::conclude(run().await)
}

async fn run() -> Result<(), Box<dyn Error>> {
    let picked = StoreArguments::parse().open("library_lending.db").await?;
    let store = &*picked.store;
    println!("Library lending in {}", picked.place);
    let run = Uuid::now_v7();
    let [dune, emma, ulysses] = ["Dune", "Emma", "Ulysses"].map(|title| format!("{title}-{run}"));
    // Any value is only a value: it is never part of a query's text.
    let [ann, bob] = ["O'Brien", r#"x"}' OR '1'='1"#].map(|name| format!("{name}-{run}"));

    for book in [&dune, &emma, &ulysses] {
        store.append_events(vec![NewEvent::new(ADDED, &Copy { book })?]).await?;
    }
    println!("added: Dune, Emma, Ulysses");

    // Both want Dune at the same moment, and both see it on the shelf.
    let (anns, bobs) = (boundary(&dune, &ann)?, boundary(&dune, &bob)?);
    let (ann_knows, bob_knows) = (store.query(&anns).await?, store.query(&bobs).await?);
    let (anns_event, bobs_event) = (decide(&ann_knows, &dune, &ann)?, decide(&bob_knows, &dune, &bob)?);
    store.append(Append::events([anns_event]).fail_if(anns).after(ann_knows.head)).await?;
    println!("lent: Dune to the first reader");
    match store.append(Append::events([bobs_event]).fail_if(bobs).after(bob_knows.head)).await {
        Err(error) if error.is_conflict() => println!("conflict: the second reader was too late: {error}"),
        other => return Err(format!("one book was lent twice: {other:?}").into()),
    }

    lend(store, &emma, &ann).await?;
    println!("lent: Emma to the first reader");
    match lend(store, &ulysses, &ann).await {
        Err(rejection) => println!("rejected: Ulysses, {rejection}"),
        Ok(()) => return Err("a reader has too many books".into()),
    }

    store.append_events(vec![NewEvent::new(RETURNED, &Lending { book: &dune, reader: &ann })?]).await?;
    println!("returned: Dune by the first reader");
    lend(store, &dune, &bob).await?;
    println!("lent: Dune to the second reader");

    store.close().await?;
    println!("SUCCESS: no book was lent twice");
    Ok(())
}
