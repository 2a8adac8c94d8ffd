//! Publishes an event store's events to NATS JetStream, as CloudEvents.
//!
//! [`NatsPublisher`] is where a [`Relay`](eventsource_core::Relay) takes events to. Each is one message: its subject comes
//! from a [template](SubjectTemplate), its body is a [CloudEvent](https://cloudevents.io) in JSON (structured mode), its
//! metadata is in headers as well, and the event's id is its `Nats-Msg-Id`, so that the server keeps one of those that come
//! twice. An event counts as published when JetStream has acknowledged it.
//!
//! # Once
//! JetStream knows the ids of a stream's last messages for the stream's `duplicate_window` (two minutes, unless set).
//! Choose it longer than an event may take from its first attempt to its last: the relay's lease, its delays and its
//! timeouts together. Then the stream holds each event once, whatever dies or gets lost in between.
//!
//! # Subjects
//! A stream in JetStream must take the subjects of the template: `orders.>` for `orders.{event_type}`. Where none does, every
//! attempt fails, and the relay says so.
//!
//! # TLS
//! This crate asks `async-nats` for JetStream and nothing else. For TLS, depend on `async-nats` with the feature `ring` or
//! `aws-lc-rs`, and connect with it.

mod cloud_event;
mod escape;
mod headers;
mod publisher;
mod subject;

pub use async_nats;
pub use cloud_event::cloud_event;
pub use publisher::NatsPublisher;
pub use subject::SubjectTemplate;
