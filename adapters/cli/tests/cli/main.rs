//! The binary, run as a person runs it, over loopback.

mod connect;
mod demo;
mod hostile;
mod ready;
mod send;
mod serve;
mod streams;
mod support;
mod usage;
