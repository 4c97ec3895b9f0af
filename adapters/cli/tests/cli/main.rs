//! The binary, run as a person runs it, over loopback.

mod connect;
mod hostile;
mod serve;
mod support;
mod usage;
