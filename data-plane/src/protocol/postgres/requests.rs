//! Counts requests: pure, fed with the letters of messages in both directions.
//!
//! A request is a command that the engine answered: CommandComplete, EmptyQueryResponse,
//! FunctionCallResponse, PortalSuspended, or an ErrorResponse to a Query, an Execute or a
//! FunctionCall. An error of Parse, Bind, Describe or Close is none, nor is one that answers
//! nothing (the engine says that it shuts down). To tell them apart, what the client sent and the
//! engine has not answered yet is kept in order.
//!
//! Invariants:
//! - What is kept is bounded by what can be on its way to the engine and back: the relay stops
//!   reading from a client beyond [`OUTSTANDING_MAX`].
//! - A client that breaks the protocol can spoil the count of its own connection only, and the
//!   next ReadyForQuery sets it right.

use std::collections::VecDeque;

/// Commands without an answer beyond which a client is not read from.
pub const OUTSTANDING_MAX: usize = 64 * 1024;

/// What a client sent and the engine answers, in the order of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Query,
    FunctionCall,
    Parse,
    Bind,
    Describe,
    Close,
    Execute,
    Sync,
    /// CopyDone or CopyFail. Without an answer of its own; it says which Syncs the engine ignored.
    CopyEnd,
}

impl Command {
    /// ReadyForQuery follows it.
    fn ends_with_ready(self) -> bool {
        matches!(self, Self::Query | Self::FunctionCall | Self::Sync)
    }
}

/// What one message of the engine adds to the meters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    pub requests: u64,
    pub errors: u64,
}

/// Whether the session is in a transaction, as the last ReadyForQuery said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    None,
    Open,
    Failed,
}

#[derive(Debug)]
pub struct RequestTracker {
    outstanding: VecDeque<Command>,
    /// The engine discards everything up to the next Sync (an error in the extended protocol).
    skipping: bool,
    /// The engine reads COPY data: it ignores Sync until CopyDone or CopyFail.
    copy_in: bool,
    /// The client sent messages of the extended protocol and has not sent their Sync yet.
    inside_batch: bool,
    transaction: Transaction,
}

impl Default for RequestTracker {
    fn default() -> Self {
        Self {
            outstanding: VecDeque::new(),
            skipping: false,
            copy_in: false,
            inside_batch: false,
            transaction: Transaction::None,
        }
    }
}

impl RequestTracker {
    /// The client sent a message of this type.
    pub fn sent(&mut self, letter: u8) {
        let command = match letter {
            b'Q' => Command::Query,
            b'F' => Command::FunctionCall,
            b'P' => Command::Parse,
            b'B' => Command::Bind,
            b'D' => Command::Describe,
            b'C' => Command::Close,
            b'E' => Command::Execute,
            b'S' => Command::Sync,
            b'c' | b'f' => Command::CopyEnd,
            _ => return,
        };
        if command == Command::CopyEnd {
            let copying = std::mem::take(&mut self.copy_in);
            let pointless =
                self.skipping || matches!(self.outstanding.back(), None | Some(Command::CopyEnd));
            if copying || pointless {
                return;
            }
        }
        self.inside_batch = !command.ends_with_ready();
        if self.skipping {
            if command != Command::Sync {
                return;
            }
            self.skipping = false;
        }
        if self.copy_in && command == Command::Sync {
            return;
        }
        self.outstanding.push_back(command);
    }

    /// The engine sent a message of this type; `status` is that of ReadyForQuery.
    pub fn answered(&mut self, letter: u8, status: u8) -> Counted {
        match letter {
            b'C' | b'I' | b's' => self.command_ended(),
            b'V' => Counted {
                requests: 1,
                errors: 0,
            },
            b'E' => self.failed(),
            b'Z' => {
                self.ready(status);
                Counted::default()
            }
            b'1' => self.finish(Command::Parse),
            b'2' => self.finish(Command::Bind),
            b'3' => self.finish(Command::Close),
            b'T' | b'n' => self.described(),
            b'G' | b'W' => {
                self.copy_begins();
                Counted::default()
            }
            _ => Counted::default(),
        }
    }

    /// Commands without an answer.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Nothing is asked and no transaction is open.
    pub fn is_idle(&self) -> bool {
        self.outstanding.is_empty() && !self.skipping && self.transaction == Transaction::None
    }

    /// What the client sent last belongs together with what it will send: a batch of the extended
    /// protocol before its Sync, or data for a COPY.
    pub fn is_inside_batch(&self) -> bool {
        self.inside_batch || self.skipping || self.copy_in
    }

    pub fn transaction(&self) -> Transaction {
        self.transaction
    }

    fn front(&mut self) -> Option<Command> {
        while self.outstanding.front() == Some(&Command::CopyEnd) {
            self.outstanding.pop_front();
        }
        self.outstanding.front().copied()
    }

    fn command_ended(&mut self) -> Counted {
        if self.front() == Some(Command::Execute) {
            self.outstanding.pop_front();
        }
        self.copy_in = false;
        Counted {
            requests: 1,
            errors: 0,
        }
    }

    fn finish(&mut self, command: Command) -> Counted {
        if self.front() == Some(command) {
            self.outstanding.pop_front();
        }
        Counted::default()
    }

    /// RowDescription or NoData ends a Describe; within a Query it is part of a result.
    fn described(&mut self) -> Counted {
        self.finish(Command::Describe)
    }

    fn failed(&mut self) -> Counted {
        let (request, extended) = match self.front() {
            Some(Command::Query | Command::FunctionCall) => (true, false),
            Some(Command::Execute) => (true, true),
            Some(Command::Parse | Command::Bind | Command::Describe | Command::Close) => {
                (false, true)
            }
            // A Sync fails when it commits a transaction that cannot be committed; the engine then
            // answers it nevertheless. Nothing outstanding: the engine says farewell.
            Some(Command::Sync | Command::CopyEnd) | None => (false, false),
        };
        self.copy_in = false;
        if extended {
            self.skip_to_sync();
        }
        Counted {
            requests: u64::from(request),
            errors: u64::from(request),
        }
    }

    fn skip_to_sync(&mut self) {
        while let Some(command) = self.outstanding.front() {
            if *command == Command::Sync {
                return;
            }
            self.outstanding.pop_front();
        }
        self.skipping = true;
    }

    fn ready(&mut self, status: u8) {
        while let Some(command) = self.outstanding.pop_front() {
            if command.ends_with_ready() {
                break;
            }
        }
        self.copy_in = false;
        self.transaction = match status {
            b'T' => Transaction::Open,
            b'E' => Transaction::Failed,
            _ => Transaction::None,
        };
        if self.outstanding.is_empty() && self.outstanding.capacity() > 64 {
            self.outstanding = VecDeque::new();
        }
    }

    /// From here on the engine ignores the Syncs that it reads, up to the end of the data.
    fn copy_begins(&mut self) {
        if self.front().is_none() {
            return;
        }
        self.copy_in = true;
        let mut index = 1;
        while let Some(command) = self.outstanding.get(index) {
            match command {
                Command::Sync => {
                    self.outstanding.remove(index);
                }
                Command::CopyEnd => {
                    self.outstanding.remove(index);
                    self.copy_in = false;
                    return;
                }
                _ => index += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests;
