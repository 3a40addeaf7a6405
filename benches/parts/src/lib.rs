//! Benches of wrun's parts: tasks on their way through the ring.

pub mod journey;
