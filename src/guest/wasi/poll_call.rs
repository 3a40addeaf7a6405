//! `poll_oneoff` for descriptors. Files and streams are always ready.

use wasmtime::component::ResourceTableError;
use wasmtime_wasi::p1::types::{Errno, Error, Event, Subscription, SubscriptionFdReadwrite, SubscriptionU};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wiggle::{GuestMemory, GuestPtr};

use super::context::Wasi;
use super::descriptors::Descriptor;

/// The length of a subscription and of an event, in bytes, and their alignment.
const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: u32 = 32;
const ALIGN: usize = 8;

impl Wasi {
    /// Has the context poll, with its own descriptors.
    pub(super) async fn poll(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<Subscription>,
        events: GuestPtr<Event>,
        count: u32,
    ) -> Result<u32, Error> {
        if count as usize > self.open_files {
            return Err(Error::trap(ResourceTableError::Full.into()));
        }
        let len = (count * (SUBSCRIPTION_BYTES + EVENT_BYTES)) as usize;
        let mut host = vec![0; len + ALIGN];
        let start = host.as_ptr().align_offset(ALIGN);
        let mut host = GuestMemory::Unshared(&mut host[start..start + len]);
        let host_subscriptions = GuestPtr::<Subscription>::new(0);
        let host_events = GuestPtr::<Event>::new(count * SUBSCRIPTION_BYTES);
        for index in 0..count {
            let subscription = memory.read(subscriptions.add(index)?)?;
            let u = match subscription.u {
                SubscriptionU::FdRead(on) => SubscriptionU::FdRead(self.polled(on, 0)?),
                SubscriptionU::FdWrite(on) => SubscriptionU::FdWrite(self.polled(on, 1)?),
                SubscriptionU::Clock(clock) => SubscriptionU::Clock(clock),
            };
            host.write(host_subscriptions.add(index)?, Subscription { u, ..subscription })?;
        }
        self.begin_poll();
        let happened = self.ctx.poll_oneoff(&mut host, host_subscriptions, host_events, count).await?;
        for index in 0..happened {
            let event = host.read(host_events.add(index)?)?;
            memory.write(events.add(index)?, event)?;
        }
        Ok(happened)
    }

    /// What the context polls for a descriptor: for a file of the task's own, a stream that is always ready as well.
    fn polled(&self, on: SubscriptionFdReadwrite, stream: u32) -> Result<SubscriptionFdReadwrite, Errno> {
        let number = match *self.descriptors.get(on.file_descriptor.into())? {
            Descriptor::Stream(number) | Descriptor::Granted(number) => number,
            Descriptor::File(_) => stream,
            Descriptor::Preopen(_) | Descriptor::Directory { .. } => return Err(Errno::Badf),
        };
        Ok(SubscriptionFdReadwrite { file_descriptor: number.into() })
    }
}
