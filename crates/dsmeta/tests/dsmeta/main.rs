//! Payloads: ours, NVIDIA's and those that nobody means.

mod any;
mod field;
mod golden;
mod hostile;
mod merge;
mod oracle;
mod python;
mod round_trip;
mod rules;
mod sample;
mod schema;
mod seeds;
