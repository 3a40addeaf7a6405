//! Reads items from the lines of a file or pipe, which may be slow or endless.

use std::fs::File;
use std::io::{self, Read};
use std::task::Poll;

use crate::blocking::{Until, patiently};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use crate::cli::threads;

/// Bytes per read: the default capacity of a pipe.
const READ_BYTES: usize = 64 << 10;

/// How many chunks may be read ahead.
const CHUNKS_AHEAD: usize = 4;

/// If items may be longer than this, only one chunk is read ahead: it may hold such an item, and so may the one being read.
const LONG_BYTES: usize = 1 << 20;

/// The items of a file or pipe, read ahead by a thread.
///
/// Each separator ends an item: an empty line is an empty item, and nothing follows a separator at the end. Items may be any bytes.
/// An item longer than `longest` is cut off one byte after that, which shows that it is too long.
#[derive(Debug)]
pub struct LineReader {
    separator: u8,
    longest: usize,
    state: State,
    /// Whole items, each with its separator (the very last may lack it).
    chunk: Vec<u8>,
    /// The offset of the next item in the chunk.
    position: usize,
}

#[derive(Debug)]
enum State {
    NotStarted(File),
    Running(Receiver<io::Result<Vec<u8>>>),
    Ended,
}

impl LineReader {
    /// A reader of items of up to `longest` bytes that end in `separator`.
    pub fn new(file: File, separator: u8, longest: usize) -> LineReader {
        LineReader { separator, longest, state: State::NotStarted(file), chunk: Vec::new(), position: 0 }
    }

    /// Starts the thread, unless it runs already; it calls `wake` after each chunk and at the end. If it cannot be started,
    /// [`poll_next`](Self::poll_next) returns the error.
    pub fn start(&mut self, wake: impl Fn() + Send + 'static) {
        let file = match std::mem::replace(&mut self.state, State::Ended) {
            State::NotStarted(file) => file,
            started => {
                self.state = started;
                return;
            }
        };
        let (sender, receiver) = bounded(if self.longest > LONG_BYTES { 1 } else { CHUNKS_AHEAD });
        let reader = Inlet(file);
        let chunks = Chunks { reader, separator: self.separator, longest: self.longest, partial: Vec::new() };
        let failed = sender.clone();
        if let Err(error) = threads::start("wrun-items", move || send_all(chunks, sender, &wake)) {
            // The channel is empty and has room for one.
            let _ = failed.send(Err(error));
        }
        self.state = State::Running(receiver);
    }

    /// Waits for the next chunk or the end; returns at once before [`start`](Self::start).
    pub fn wait(&mut self) {
        if let State::Running(receiver) = &self.state {
            // This takes nothing from the channel; `poll_next` does.
            let mut select = crossbeam_channel::Select::new();
            select.recv(receiver);
            select.ready();
        }
    }

    /// The next item; `Pending` while there is none yet, `Ready(Ok(None))` at the end.
    pub fn poll_next(&mut self) -> Poll<io::Result<Option<Vec<u8>>>> {
        loop {
            let rest = &self.chunk[self.position..];
            if !rest.is_empty() {
                let (len, step) = match memchr::memchr(self.separator, rest) {
                    Some(len) => (len, len + 1),
                    None => (rest.len(), rest.len()),
                };
                if step == self.chunk.len() {
                    // It is alone in its chunk, as long items are, and needs no copy.
                    let mut item = std::mem::take(&mut self.chunk);
                    item.truncate(len);
                    return Poll::Ready(Ok(Some(item)));
                }
                let item = rest[..len].to_vec();
                self.position += step;
                return Poll::Ready(Ok(Some(item)));
            }
            let State::Running(receiver) = &self.state else { return Poll::Ready(Ok(None)) };
            match receiver.try_recv() {
                Ok(Ok(chunk)) => (self.chunk, self.position) = (chunk, 0),
                Ok(Err(error)) => {
                    self.state = State::Ended;
                    return Poll::Ready(Err(error));
                }
                Err(TryRecvError::Empty) => return Poll::Pending,
                Err(TryRecvError::Disconnected) => self.state = State::Ended,
            }
        }
    }
}

/// Sends all chunks, until the end or an error, or until the receiver is gone.
fn send_all<R: Read>(mut chunks: Chunks<R>, sender: Sender<io::Result<Vec<u8>>>, wake: &impl Fn()) {
    while let Some(chunk) = chunks.next().transpose() {
        let failed = chunk.is_err();
        if sender.send(chunk).is_err() {
            return;
        }
        wake();
        if failed {
            break;
        }
    }
    // The receiver sees the end only after the sender is dropped.
    drop(sender);
    wake();
}

/// A file or pipe that may be non-blocking.
struct Inlet(File);

impl Read for Inlet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        patiently(&self.0, Until::Readable, || (&self.0).read(buffer))
    }
}

/// Cuts the input into chunks of whole items.
struct Chunks<R> {
    reader: R,
    separator: u8,
    longest: usize,
    /// The start of an item whose end has not been read yet.
    partial: Vec<u8>,
}

impl<R: Read> Chunks<R> {
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = [0; READ_BYTES];
        loop {
            let read = match self.reader.read(&mut buffer) {
                Ok(0) => {
                    let last = std::mem::take(&mut self.partial);
                    return Ok((!last.is_empty()).then_some(last));
                }
                Ok(read) => &buffer[..read],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let Some(first) = memchr::memchr(self.separator, read) else {
                self.extend_partial(read);
                continue;
            };
            let last = memchr::memrchr(self.separator, read).expect("there is a first one");
            self.extend_partial(&read[..first]);
            let mut chunk = std::mem::take(&mut self.partial);
            chunk.extend_from_slice(&read[first..=last]);
            self.extend_partial(&read[last + 1..]);
            return Ok(Some(chunk));
        }
    }

    /// Keeps at most one byte more than an item may have, however long it is.
    fn extend_partial(&mut self, bytes: &[u8]) {
        let room = (self.longest + 1).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in reads of the given size.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(self.0.len()).min(buffer.len());
            buffer[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    fn items(text: &[u8], separator: u8, step: usize, longest: usize) -> Vec<Vec<u8>> {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let mut chunks = Chunks { reader: Slowly(text, step), separator, longest, partial: Vec::new() };
        while let Some(chunk) = chunks.next().unwrap() {
            sender.send(Ok(chunk)).unwrap();
        }
        drop(sender);
        let state = State::Running(receiver);
        let mut lines = LineReader { separator, longest, state, chunk: Vec::new(), position: 0 };
        let mut items = Vec::new();
        while let Poll::Ready(Ok(Some(item))) = lines.poll_next() {
            items.push(item);
        }
        items
    }

    #[test]
    fn every_separator_ends_an_item_however_the_bytes_arrive() {
        for (text, expected) in [
            ("", &[][..]),
            ("\n", &[""][..]),
            ("a", &["a"]),
            ("a\n", &["a"]),
            ("a\n\nb", &["a", "", "b"]),
            ("\n\nlong line\r\n", &["", "", "long line\r"]),
        ] {
            for step in 1..=text.len().max(1) {
                assert_eq!(
                    items(text.as_bytes(), b'\n', step, 100),
                    expected.iter().map(|s| s.as_bytes()).collect::<Vec<_>>()
                );
            }
        }
        assert_eq!(items(b"a\nb\0c", 0, 2, 100), [&b"a\nb"[..], b"c"]);
        assert_eq!(items(b"\xff\xfe\n", b'\n', 1, 100), [b"\xff\xfe"]);
    }

    #[test]
    fn an_item_without_end_takes_no_memory_without_end() {
        let text = [&b"x".repeat(1000)[..], b"\nnext\n", &b"y".repeat(1000)].concat();
        for step in [1, 7, 4000] {
            let cut: Vec<usize> = items(&text, b'\n', step, 10).iter().map(Vec::len).collect();
            assert_eq!(cut, [11, 4, 11]);
        }
    }
}
