//! Why a task failed, as a worker reports it.

use serde::{Deserialize, Serialize};

/// Why a task failed. It takes the place of the message in a completion, encoded by postcard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One or more lines for people; for [`Status::InputFault`](crate::Status::InputFault) an encoded
    /// [`InputFault`](crate::wire::InputFault).
    pub message: Vec<u8>,
    /// What the worker has to add to the guest's own words; may be empty.
    pub hint: String,
    /// What a program wrote to standard error.
    pub stderr: Vec<u8>,
    /// The length in bytes of what a program wrote to standard output. It stands at the end of the completion's output, after the
    /// core dump.
    pub stdout_len: u64,
}

impl Failure {
    /// A failure with this message alone.
    pub fn new(message: impl Into<Vec<u8>>) -> Failure {
        Failure { message: message.into(), ..Failure::default() }
    }

    /// Appends the encoded failure to `to`.
    pub fn encode(&self, to: &mut Vec<u8>) {
        // Encoding to a vector cannot fail; if it did, the pool would refuse the empty message as invalid.
        to.extend(postcard::to_stdvec(self).unwrap_or_default());
    }

    /// Decodes what an untrusted worker wrote; `None` if it is invalid. Never longer in memory than `bytes`, but for a constant.
    pub fn decode(bytes: &[u8]) -> Option<Failure> {
        postcard::from_bytes(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_come_back_as_they_were() {
        let failure = Failure {
            message: b"no such file \xff".to_vec(),
            hint: "grant a directory".into(),
            stderr: b"\xfe".to_vec(),
            stdout_len: 1 << 40,
        };
        let mut bytes = Vec::new();
        failure.encode(&mut bytes);
        assert_eq!(Failure::decode(&bytes), Some(failure));
        for end in 0..bytes.len() {
            assert_eq!(Failure::decode(&bytes[..end]), None);
        }
    }

    #[test]
    fn lengths_beyond_the_end_are_refused() {
        assert_eq!(Failure::decode(&[0xff, 0xff, 0xff, 0xff, 0x0f]), None);
    }
}
