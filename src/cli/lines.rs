//! Items that come as lines of a file or pipe, which may be slow, endless, or both.

use std::fs::File;
use std::io::{self, Read};
use std::task::Poll;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

/// Bytes read at a time; what a pipe holds by default.
const READ_BYTES: usize = 64 << 10;

/// Chunks that may wait to be taken.
const CHUNKS_AHEAD: usize = 4;

/// Where items may be longer than this, only one chunk may wait: it may hold one such item, and so may what is read meanwhile.
const LONG_BYTES: usize = 1 << 20;

/// The items of a file or pipe, read ahead by a thread of their own.
///
/// Each separator ends an item, so an empty line is an empty item, and a text that ends in a separator has no further
/// item after it. Items may be any bytes. Of a longer item than asked for, one byte more than that is given.
#[derive(Debug)]
pub struct Lines {
    separator: u8,
    longest: usize,
    reading: Reading,
    /// Whole items, each with its separator (the last of all may lack it).
    chunk: Vec<u8>,
    /// Where in the chunk the next item begins.
    position: usize,
}

#[derive(Debug)]
enum Reading {
    NotYet(File),
    Running(Receiver<io::Result<Vec<u8>>>),
    Ended,
}

impl Lines {
    /// Items of `file` that end in `separator`, of which the first `longest` bytes matter.
    pub fn new(file: File, separator: u8, longest: usize) -> Lines {
        Lines { separator, longest, reading: Reading::NotYet(file), chunk: Vec::new(), position: 0 }
    }

    /// Starts to read, unless that was done before; `wake` is called whenever there is something new.
    pub fn start(&mut self, wake: impl Fn() + Send + 'static) {
        let file = match std::mem::replace(&mut self.reading, Reading::Ended) {
            Reading::NotYet(file) => file,
            begun => {
                self.reading = begun;
                return;
            }
        };
        let (sender, receiver) = bounded(if self.longest > LONG_BYTES { 1 } else { CHUNKS_AHEAD });
        let chunks = Chunks { reader: file, separator: self.separator, longest: self.longest, partial: Vec::new() };
        // The thread is not joined: it may wait for input that never comes.
        std::thread::spawn(move || send_all(chunks, sender, &wake));
        self.reading = Reading::Running(receiver);
    }

    /// Waits until there is something new, or the end; does not wait before [`start`](Self::start).
    pub fn wait(&mut self) {
        if let Reading::Running(receiver) = &self.reading {
            // `poll_next` looks there again, and has the end from there, too.
            let mut select = crossbeam_channel::Select::new();
            select.recv(receiver);
            select.ready();
        }
    }

    /// The next item, `Pending` while there is none yet, `Ready(Ok(None))` at the end.
    pub fn poll_next(&mut self) -> Poll<io::Result<Option<Vec<u8>>>> {
        loop {
            let rest = &self.chunk[self.position..];
            if !rest.is_empty() {
                let (len, step) = match memchr::memchr(self.separator, rest) {
                    Some(len) => (len, len + 1),
                    None => (rest.len(), rest.len()),
                };
                if step == self.chunk.len() {
                    // The only one of its chunk, as long ones are: it needs no copy.
                    let mut item = std::mem::take(&mut self.chunk);
                    item.truncate(len);
                    return Poll::Ready(Ok(Some(item)));
                }
                let item = rest[..len].to_vec();
                self.position += step;
                return Poll::Ready(Ok(Some(item)));
            }
            let Reading::Running(receiver) = &self.reading else { return Poll::Ready(Ok(None)) };
            match receiver.try_recv() {
                Ok(Ok(chunk)) => (self.chunk, self.position) = (chunk, 0),
                Ok(Err(error)) => {
                    self.reading = Reading::Ended;
                    return Poll::Ready(Err(error));
                }
                Err(TryRecvError::Empty) => return Poll::Pending,
                Err(TryRecvError::Disconnected) => self.reading = Reading::Ended,
            }
        }
    }
}

/// Sends all chunks, until the end, an error, or nobody wants them any more.
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
    // The end is news, too, and it is known only when the sender is gone.
    drop(sender);
    wake();
}

/// Cuts what is read into chunks of whole items.
struct Chunks<R> {
    reader: R,
    separator: u8,
    longest: usize,
    /// The beginning of an item whose end has not been read yet.
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

    /// Keeps no more of an item than shows that it is too long, however long it is.
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
        let reading = Reading::Running(receiver);
        let mut lines = Lines { separator, longest, reading, chunk: Vec::new(), position: 0 };
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
