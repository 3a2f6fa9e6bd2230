//! Payloads: ours, NVIDIA's and those that nobody means.

mod any;
mod golden;
mod hostile;
mod python;
mod round_trip;
mod rules;
mod sample;
mod seeds;
