//! Small graphs, written by hand.

mod build;
mod constants;
mod elements;
mod functions;
mod hostile;
mod inputs;
mod joins;
mod layers;
mod metadata;
mod refused;
