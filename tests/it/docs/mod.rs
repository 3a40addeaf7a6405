//! Documents and sources: examples in documents behave as shown, and the sources follow the rules of ARCHITECTURE.md.

mod documents;
mod example_images;
mod example_shared_object;
mod example_unzip;
mod examples;
mod folders;
mod packed;
mod parity;
mod reference;
mod tidy;
