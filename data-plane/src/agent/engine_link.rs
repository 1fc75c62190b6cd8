//! The node's end of the helper's socket: the newest order out, the newest report in.

use crate::engine::{
    Command, EngineReport, FrameError, InstanceDir, Order, frame_read, frame_write,
};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::sleep;

/// Pause before dialing the helper again, milliseconds: the first, and the longest.
const REDIAL_MS: (u64, u64) = (2, 100);

/// What shall be and what is, for whoever supervises. The task behind it dials again and again.
#[derive(Debug)]
pub(crate) struct EngineLink {
    orders: watch::Sender<Option<Order>>,
    reports: watch::Receiver<Option<EngineReport>>,
    number: u64,
}

impl EngineLink {
    /// Starts the task that keeps the link up. Orders count up from `first_number`, which differs
    /// between any two nodes.
    pub(crate) fn start(instance: &InstanceDir, first_number: u64) -> Self {
        let (orders, orders_out) = watch::channel(None);
        let (reports_in, reports) = watch::channel(None);
        tokio::spawn(keep_up(instance.helper_socket(), orders_out, reports_in));
        Self {
            orders,
            reports,
            number: first_number,
        }
    }

    /// Says what shall be, unless it was the last thing said.
    pub(crate) fn order(&mut self, command: Command) {
        let said = self.orders.borrow().as_ref().map(|order| &order.command) == Some(&command);
        if said {
            return;
        }
        self.number += 1;
        self.orders.send_replace(Some(Order {
            number: self.number,
            command,
        }));
    }

    /// What the helper said last; `None` before it said anything and while it is away.
    pub(crate) fn report(&mut self) -> Option<EngineReport> {
        self.reports.borrow_and_update().clone()
    }

    /// Whether the last order is wholly in force.
    pub(crate) fn is_settled(&self, report: &EngineReport) -> bool {
        report.settled == Some(self.number)
    }

    /// Completes when there is a new report.
    pub(crate) async fn changed(&mut self) {
        if self.reports.changed().await.is_err() {
            // The task that reports lives as long as this.
            std::future::pending::<()>().await;
        }
    }
}

async fn keep_up(
    path: PathBuf,
    mut orders: watch::Receiver<Option<Order>>,
    reports: watch::Sender<Option<EngineReport>>,
) {
    let mut pause_ms = REDIAL_MS.0;
    loop {
        match serve_link(&path, &mut orders, &reports, &mut pause_ms).await {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "no link to the engine's helper"),
        }
        reports.send_if_modified(|report| report.take().is_some());
        if reports.is_closed() {
            return;
        }
        sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms * 2).min(REDIAL_MS.1);
    }
}

/// One connection. Ends without an error when nobody gives orders any more.
async fn serve_link(
    path: &Path,
    orders: &mut watch::Receiver<Option<Order>>,
    reports: &watch::Sender<Option<EngineReport>>,
    pause_ms: &mut u64,
) -> Result<(), FrameError> {
    let (mut from_helper, mut to_helper) = UnixStream::connect(path).await?.into_split();
    *pause_ms = REDIAL_MS.0;
    orders.mark_changed();
    let reading = async {
        loop {
            let report: EngineReport = frame_read(&mut from_helper).await?;
            reports.send_replace(Some(report));
        }
    };
    let writing = async {
        while orders.changed().await.is_ok() {
            let order = orders.borrow_and_update().clone();
            if let Some(order) = order {
                frame_write(&mut to_helper, &order).await?;
            }
        }
        Ok(())
    };
    tokio::select! {
        ended = reading => ended,
        ended = writing => ended,
    }
}
