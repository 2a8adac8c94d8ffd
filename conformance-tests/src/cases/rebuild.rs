//! A view is built anew beside the one that is in use.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use eventsource_consumers::{
    ConsumerGroup, Control, DeadLetterOffice, FailurePolicy, IntoSink as _, Outcome, Progress, Reaction,
    Rebuild, State, each_event,
};
use eventsource_core::{
    Append, DeadLetterKey, DeadLetterQuery, DeadLetterState, Delivery, DeliveryError, ErrorKind,
    EventStoreExt, Purpose, Record, RecordedEvent, Sink,
};

use crate::bad_network::BadNetwork;
use crate::consuming::{Diary, consumer, quick};
use crate::given::{event, events, log_of, name, positions, refused, tagged, types};
use crate::{CaseResult, Cx};

fn rebuild(cx: &Cx) -> CaseResult<Rebuild> {
    Ok(Rebuild::new("orders", cx.consumer_store())?.page_size(2))
}

pub async fn a_rebuild_starts_anew_and_has_no_side_effects(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(7))).await?;
    consumer(&cx, "orders")?.run_until_caught_up(Diary::default().handler()).await?;
    let purposes = Arc::new(Mutex::new(Vec::new()));
    let handler = each_event({
        let purposes = purposes.clone();
        move |_, context: eventsource_consumers::Context| {
            purposes.lock().expect("nothing panics under it").push(context.purpose);
            async { Ok(()) }
        }
    });
    let rebuild = Rebuild::new("orders", cx.consumer_store())?.page_size(2);
    let report = rebuild.run(handler).await?;
    assert_eq!(
        (report.outcome, report.progress.applied, report.progress.failures),
        (Outcome::CaughtUp, 7, 0)
    );
    assert_eq!(report.progress.position, cx.store().head().await?);
    assert_eq!(*purposes.lock().expect("nothing panics under it"), [Purpose::Rebuild; 7]);
    let reaction = Reaction::new(name("stock"), cx.store().clone(), |_| async {
        Ok(vec![Append::events([event("Never")])])
    });
    Rebuild::new("stock", cx.consumer_store())?.run(reaction).await?;
    assert!(cx.store().last(&types(["Never"])).await?.is_none());
    let left: Vec<_> = cx.checkpoints().checkpoints().await?.into_iter().map(|each| each.consumer).collect();
    assert_eq!(left, [name("orders"), name("stock")]);
    Ok(())
}

pub async fn it_tells_how_far_it_is(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(9))).await?;
    let told = Arc::new(Mutex::new(Vec::<Progress>::new()));
    let tell = {
        let told = told.clone();
        move |progress: &Progress| told.lock().expect("nothing panics under it").push(*progress)
    };
    let slow = each_event(|_, _| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(())
    });
    rebuild(&cx)?.report(Duration::from_millis(1), tell).run(slow).await?;
    let told = told.lock().expect("nothing panics under it").clone();
    assert!(told.is_sorted_by_key(|each| each.applied) && told.len() > 2, "{told:?}");
    let midway = told.iter().find(|each| (1..9).contains(&each.applied)).expect("it tells on its way");
    assert!(midway.position < midway.head && midway.rate > 0.0, "{midway:?}");
    assert!(midway.time_left.is_some_and(|left| left > Duration::ZERO), "{midway:?}");
    let end = told.last().expect("it tells at its end");
    assert_eq!((end.applied, end.position, end.parked), (9, cx.store().head().await?, 0));
    Ok(())
}

/// Notes how a rebuild stands when it switches.
struct Onlooker {
    sink: Arc<dyn Sink>,
    control: Control,
    switched_at: Arc<Mutex<Vec<State>>>,
}

#[async_trait]
impl Sink for Onlooker {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        if matches!(delivery.record, Record::Switch { .. }) {
            self.switched_at.lock().expect("nothing panics under it").push(self.control.status().state);
        }
        self.sink.deliver(delivery).await
    }
}

pub async fn it_has_not_ended_before_it_has_switched(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3))).await?;
    let (rebuild, store, switched_at) = (rebuild(&cx)?, cx.consumer_store(), Arc::default());
    let control = rebuild.control();
    let sink = Diary::default().handler().into_sink(&store);
    rebuild.run(Onlooker { sink, control: control.clone(), switched_at: Arc::clone(&switched_at) }).await?;
    let switched_at = switched_at.lock().expect("nothing panics under it").clone();
    assert!(!switched_at.is_empty() && !switched_at.contains(&State::Stopped), "{switched_at:?}");
    assert_eq!(control.status().state, State::Stopped);
    Ok(())
}

pub async fn an_interrupted_rebuild_goes_on_where_it_was(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(10))).await?;
    let diary = Diary::default();
    let first = rebuild(&cx)?;
    let control = first.control();
    let handler = each_event({
        let (diary, control) = (diary.clone(), control.clone());
        move |event: RecordedEvent, _| {
            let answer = diary.handle(&event);
            if diary.handled().len() == 3 {
                control.stop();
            }
            async { answer }
        }
    });
    let report = first.run(handler).await?;
    assert_eq!((report.outcome, report.progress.applied), (Outcome::Stopped, 4));
    assert_eq!(cx.checkpoints().load_checkpoint(&name("orders")).await?, None, "nothing is switched");
    let report = rebuild(&cx)?.run(diary.handler()).await?;
    assert_eq!((report.outcome, report.progress.applied), (Outcome::CaughtUp, 10));
    assert_eq!(diary.handled(), positions(&log_of(cx.store()).await?));
    Ok(())
}

pub async fn a_rebuild_that_fails_leaves_everything_as_it_was(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("A"), event("Poison"), event("A")])).await?;
    let parking = consumer(&cx, "orders")?.policy(quick(FailurePolicy::park()).attempts(1));
    parking.run_until_caught_up(Diary::default().handler()).await?;
    let before = cx.checkpoints().load_checkpoint(&name("orders")).await?;
    let policy = quick(FailurePolicy::stop()).attempts(2);
    let failed = rebuild(&cx)?.policy(policy).run(Diary::default().handler()).await;
    refused(ErrorKind::Backend, failed)?;
    assert_eq!(cx.checkpoints().load_checkpoint(&name("orders")).await?, before);
    let open = DeadLetterQuery::all().in_state(DeadLetterState::Failed);
    assert_eq!(cx.dead_letters().count_dead_letters(&open.clone().of(name("orders"))).await?, 1);
    assert_eq!(cx.dead_letters().count_dead_letters(&open).await?, 1);
    Ok(())
}

pub async fn what_it_fails_on_is_the_live_consumers_when_it_switches(cx: Cx) -> CaseResult {
    let of = |name, customer| tagged(name, "customer", customer);
    let given = [of("A", "a"), of("Poison", "a"), of("B", "b"), of("A", "a")];
    cx.store().append(Append::events(given)).await?;
    let key = || eventsource_consumers::OrderingKey::tag("customer");
    let (diary, policy) = (Diary::default(), quick(FailurePolicy::park_and_hold()).attempts(2));
    let report = rebuild(&cx)?.policy(policy).ordering_key(key()).run(diary.handler()).await?;
    let log = log_of(cx.store()).await?;
    assert_eq!(diary.handled(), [log[0].position(), log[2].position()]);
    assert_eq!((report.outcome, report.progress.parked), (Outcome::CaughtUp, 2));
    let named: Vec<_> = report.parked.iter().map(|key| (key.consumer.as_str(), key.event_id)).collect();
    assert_eq!(named, [("orders", log[1].id()), ("orders", log[3].id())]);
    let letters = cx.dead_letters().dead_letters(&DeadLetterQuery::all()).await?;
    assert_eq!(letters.iter().map(|letter| letter.key.clone()).collect::<Vec<_>>(), report.parked);

    // The live consumer waits behind it, too, until it is dealt with.
    cx.store().append(Append::events([of("A", "a"), of("B", "b")])).await?;
    let live = consumer(&cx, "orders")?.policy(policy).ordering_key(key());
    live.run_until_caught_up(diary.handler()).await?;
    let log = positions(&log_of(cx.store()).await?);
    assert_eq!(diary.handled()[2..], [log[5]]);
    diary.heal();
    let office = DeadLetterOffice::new("orders", cx.consumer_store(), diary.handler())?;
    assert_eq!(office.retry_all("ann").await?.resolved, 3);
    assert_eq!(diary.handled()[3..], [log[1], log[3], log[4]]);
    Ok(())
}

pub async fn what_had_failed_before_is_resolved_by_it(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("A"), event("Poison"), event("A")])).await?;
    let (diary, policy) = (Diary::default(), quick(FailurePolicy::park()).attempts(1));
    consumer(&cx, "orders")?.policy(policy).run_until_caught_up(diary.handler()).await?;
    diary.heal();
    let report = rebuild(&cx)?.run(diary.handler()).await?;
    assert!(report.parked.is_empty(), "{report:?}");
    let office = DeadLetterOffice::new("orders", cx.consumer_store(), diary.handler())?;
    let retried = office.retry_all("ann").await?;
    assert_eq!((retried.resolved, retried.failed, retried.left), (0, 0, 0), "the new view has it already");
    let letters = cx.dead_letters().dead_letters(&DeadLetterQuery::all()).await?;
    let resolution = letters[0].resolution.as_ref().map(|resolution| resolution.by.as_str());
    assert_eq!((letters.len(), resolution), (1, Some("orders~rebuild")));
    Ok(())
}

pub async fn what_it_fails_on_is_tried_again_as_a_rebuild_until_it_switches(cx: Cx) -> CaseResult {
    cx.store().append(Append::events([event("A"), event("Poison"), event("A")])).await?;
    let (stopping, policy) = (rebuild(&cx)?, quick(FailurePolicy::park()).attempts(1));
    let (control, purposes) = (stopping.control(), Arc::new(Mutex::new(Vec::new())));
    let handler = |fails: bool| {
        let (control, purposes) = (control.clone(), purposes.clone());
        each_event(move |event: RecordedEvent, context: eventsource_consumers::Context| {
            control.stop();
            purposes.lock().expect("nothing panics under it").push(context.purpose);
            let poisoned = fails && event.event_type().as_str() == "Poison";
            async move { if poisoned { Err("poison".into()) } else { Ok(()) } }
        })
    };
    let report = stopping.policy(policy).run(handler(true)).await?;
    let parked =
        DeadLetterKey { consumer: name("orders~rebuild"), event_id: log_of(cx.store()).await?[1].id() };
    assert_eq!((report.outcome, report.parked), (Outcome::Stopped, vec![parked.clone()]));
    let office = DeadLetterOffice::new(parked.consumer.clone(), cx.consumer_store(), handler(false))?;
    assert!(office.retry(&parked, "ann").await?);
    assert_eq!(*purposes.lock().expect("nothing panics under it"), [Purpose::Rebuild; 3]);
    assert!(rebuild(&cx)?.run(handler(false)).await?.parked.is_empty());
    Ok(())
}

pub async fn the_view_of_a_group_is_not_rebuilt(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(3))).await?;
    let partition = ConsumerGroup::partition_name(&name("orders"), 1, 2)?;
    consumer(&cx, partition.as_str())?.run_until_caught_up(Diary::default().handler()).await?;
    let (diary, before) = (Diary::default(), cx.checkpoints().checkpoints().await?);
    let rebuilt = rebuild(&cx)?;
    let control = rebuilt.control();
    let error = refused(ErrorKind::InvalidInput, rebuilt.run(diary.handler()).await)?;
    assert!(error.to_string().contains("2 partitions"), "{error}");
    assert_eq!(control.status().state, State::Stopped);
    assert_eq!((diary.handled(), cx.checkpoints().checkpoints().await?), (vec![], before));
    // Nor if it begins meanwhile.
    let begins = each_event({
        let cx = cx.clone();
        move |_, _| {
            let cx = cx.clone();
            async move {
                let partition = ConsumerGroup::partition_name(&name("late"), 1, 2)?;
                let member = consumer(&cx, partition.as_str()).expect("its name is valid");
                member.run_until_caught_up(Diary::default().handler()).await?;
                Ok(())
            }
        }
    });
    let late = Rebuild::new("late", cx.consumer_store())?.page_size(2);
    refused(ErrorKind::InvalidInput, late.run(begins).await)?;
    assert!(cx.checkpoints().load_checkpoint(&name("late")).await?.is_none());
    // One that is called like a partition and is none keeps nobody from anything.
    consumer(&cx, "stock[new]")?.run_until_caught_up(diary.handler()).await?;
    let report = Rebuild::new("stock", cx.consumer_store())?.run(diary.handler()).await?;
    assert_eq!(report.outcome, Outcome::CaughtUp);
    Ok(())
}

pub async fn whatever_answers_are_lost_the_view_is_rebuilt_and_switched_to(cx: Cx) -> CaseResult {
    cx.store().append(Append::events(events(9))).await?;
    let (diary, network) = (Diary::default(), BadNetwork::before(&cx));
    let rebuild = Rebuild::new("orders", network.consumer_store())?.page_size(2);
    let control = rebuild.control();
    let report = rebuild.run(diary.handler()).await?;
    assert_eq!(control.status().state, State::Stopped);
    network.was_bad_for_a_consumer()?;
    let (log, mut handled) = (positions(&log_of(cx.store()).await?), diary.handled());
    handled.dedup();
    assert_eq!((report.outcome, report.progress.applied, handled), (Outcome::CaughtUp, 9, log));
    let left = cx.checkpoints().checkpoints().await?;
    let left: Vec<_> = left.iter().map(|each| (each.consumer.as_str(), each.position)).collect();
    assert_eq!(left, [("orders", cx.store().head().await?)]);
    Ok(())
}
