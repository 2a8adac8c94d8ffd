//! <https://dcb.events/examples/dynamic-product-price/>: what was displayed is what is paid, for ten minutes.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use eventsource_core::{
    Append, Boundary, Decision, DomainEvent, EventStore, NewEvent, Result, Tag, View, decision,
};

use crate::given::{conflict, decided, time};
use crate::{CaseResult, Cx};

const GRACE: TimeDelta = TimeDelta::minutes(10);

#[derive(serde::Serialize, serde::Deserialize)]
struct Price {
    product: String,
    price: u64,
}

fn now() -> DateTime<Utc> {
    time("2024-06-10T12:00:00Z")
}

/// A product's price, set so many minutes ago.
fn priced(event_type: &str, product: &str, price: u64, minutes_ago: i64) -> Result<NewEvent> {
    NewEvent::new(event_type, &Price { product: product.into(), price })?
        .tag("product", product)?
        .occurred_at(now() - TimeDelta::minutes(minutes_ago))
}

async fn given(cx: &Cx, events: impl IntoIterator<Item = Result<NewEvent>>) -> CaseResult {
    cx.store().append(Append::events(events.into_iter().collect::<Result<Vec<_>>>()?)).await?;
    Ok(())
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", content = "data")]
enum ProductEvent {
    ProductDefined(Price),
    ProductPriceChanged(Price),
    ProductsOrdered(BTreeMap<String, u64>),
}

use ProductEvent::{ProductDefined, ProductPriceChanged, ProductsOrdered};

impl DomainEvent for ProductEvent {
    fn tags(&self) -> Result<Vec<Tag>> {
        match self {
            ProductDefined(Price { product, .. }) | ProductPriceChanged(Price { product, .. }) => {
                Ok(vec![Tag::new("product", product)?])
            }
            ProductsOrdered(items) => items.keys().map(|product| Tag::new("product", product)).collect(),
        }
    }
}

/// Prices at which a product may be bought: the newest, and what it replaced less than the grace ago.
fn valid_prices(product: &str) -> impl View<State = Vec<u64>> + use<> {
    Boundary::of_types(["ProductDefined", "ProductPriceChanged"]).tagged("product", product).fold_recorded(
        Vec::new(),
        |mut prices, event, recorded| match event {
            ProductDefined(Price { price, .. }) | ProductPriceChanged(Price { price, .. }) => {
                // What this one replaced longer ago than the grace, and whatever that had replaced, is over.
                if now() - recorded.occurred_at() > GRACE {
                    prices.clear();
                }
                prices.push(price);
                prices
            }
            ProductsOrdered(_) => prices,
        },
    )
}

/// Orders a cart at the displayed prices, unless one of them is not valid. The boundary grows with the cart.
fn purchase(cart: &[(&str, u64)]) -> impl Decision<Event = ProductEvent, Rejection = String> {
    let views: Vec<_> = cart.iter().map(|(product, _)| valid_prices(product)).collect();
    decision(views, move |valid: Vec<Vec<u64>>| {
        match cart.iter().zip(valid).find(|((_, displayed), valid)| !valid.contains(displayed)) {
            Some(((product, _), _)) => Err(format!("invalid price for product {product}")),
            None => {
                let items = cart.iter().map(|(product, price)| ((*product).to_owned(), *price));
                Ok(vec![ProductsOrdered(items.collect())])
            }
        }
    })
}

async fn order(store: &dyn EventStore, cart: &[(&str, u64)]) -> CaseResult<Result<Append, String>> {
    decided(store, purchase(cart)).await
}

/// Whether the cart is sold; if not, because of which product.
async fn sold(cx: &Cx, cart: &[(&str, u64)]) -> CaseResult<Option<String>> {
    match order(&**cx.store(), cart).await? {
        Err(why) => Ok(Some(why)),
        Ok(append) => {
            cx.store().append(append).await?;
            Ok(None)
        }
    }
}

fn invalid(product: &str) -> Option<String> {
    Some(format!("invalid price for product {product}"))
}

pub async fn the_displayed_price_is_the_one_that_holds(cx: Cx) -> CaseResult {
    given(&cx, [priced("ProductDefined", "p1", 123, 500)]).await?;
    assert_eq!(sold(&cx, &[("p1", 100)]).await?, invalid("p1"));
    assert_eq!(sold(&cx, &[("p1", 123)]).await?, None);
    assert_eq!(sold(&cx, &[("p0", 123)]).await?, invalid("p0"));
    Ok(())
}

pub async fn a_changed_price_holds_at_once(cx: Cx) -> CaseResult {
    given(&cx, [priced("ProductDefined", "p1", 123, 500), priced("ProductPriceChanged", "p1", 134, 20)])
        .await?;
    assert_eq!(sold(&cx, &[("p1", 134)]).await?, None);
    assert_eq!(sold(&cx, &[("p1", 123)]).await?, invalid("p1"));
    Ok(())
}

pub async fn an_old_price_holds_for_ten_minutes(cx: Cx) -> CaseResult {
    for (minutes, verdict) in [(9, None), (10, None), (11, invalid("p1"))] {
        let cx = cx.fresh(crate::Setup::default()).await?;
        given(
            &cx,
            [priced("ProductDefined", "p1", 123, 500), priced("ProductPriceChanged", "p1", 134, minutes)],
        )
        .await?;
        assert_eq!(sold(&cx, &[("p1", 123)]).await?, verdict, "{minutes} minutes");
        assert_eq!(sold(&cx, &[("p1", 134)]).await?, None);
    }
    Ok(())
}

pub async fn every_item_of_a_cart_has_its_own_price(cx: Cx) -> CaseResult {
    given(
        &cx,
        [
            priced("ProductDefined", "p1", 123, 500),
            priced("ProductDefined", "p2", 321, 500),
            priced("ProductPriceChanged", "p1", 124, 20),
            priced("ProductPriceChanged", "p2", 333, 5),
        ],
    )
    .await?;
    assert_eq!(sold(&cx, &[("p1", 123), ("p2", 333)]).await?, invalid("p1"));
    assert_eq!(sold(&cx, &[("p1", 124), ("p2", 320)]).await?, invalid("p2"));
    assert_eq!(sold(&cx, &[("p1", 124), ("p2", 321)]).await?, None);
    assert_eq!(sold(&cx, &[("p1", 124), ("p2", 333)]).await?, None);
    Ok(())
}

pub async fn a_price_that_changes_meanwhile_refuses_the_order(cx: Cx) -> CaseResult {
    given(&cx, [priced("ProductDefined", "p1", 123, 500), priced("ProductDefined", "p2", 321, 500)]).await?;
    let cart = order(&**cx.store(), &[("p1", 123), ("p2", 321)]).await?.expect("the prices hold");
    let other = order(&**cx.store(), &[("p1", 123)]).await?.expect("the price holds");
    given(&cx, [priced("ProductPriceChanged", "p2", 333, 0)]).await?;
    conflict(cx.store().append(cart).await)?;
    cx.store().append(other).await?;
    Ok(())
}
