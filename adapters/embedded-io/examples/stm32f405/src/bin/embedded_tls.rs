//! Sends the device's mail through a TLS library that is not this project's choice: the negotiation
//! hands the line over to embedded-tls. There is neither rustls in it nor an allocator.
#![no_std]
#![no_main]

use core::pin::pin;

use embedded_tls::TlsError;
use embedded_tls::blocking::{Aes128GcmSha256, TlsConfig, TlsConnection, TlsContext};
use starttls::error::{Error as Cause, Misbehaviour};
use starttls::negotiate::ForeignTls;
use starttls::protocol::Mail as Protocol;
use starttls::submission::{Event, Submission};
use starttls_embedded_io::{Ahead, Error, Negotiated, negotiate_by, submit_inside};
use starttls_stm32f405::config::Config;
use starttls_stm32f405::device::{Job, deliver, prepare};
use starttls_stm32f405::failure::Failure;
use starttls_stm32f405::message::Mail;
use starttls_stm32f405::tls::embedded_tls::{Handshake, Line, Outcome, Pin};
use starttls_stm32f405::{board, guard, time, uart::By};

#[cortex_m_rt::entry]
fn main() -> ! {
    guard::enter(program)
}

extern "C" fn program() -> ! {
    time::wait(pin!(deliver(board::start(), async |job| submit(job))))
}

fn submit(job: Job<'_, Pin>) -> Result<(), Failure> {
    let machine = job.machine()?;
    let Job { uart, tls: pin, receive, send, message, end, config, to } = job;
    let negotiated = negotiate_by(uart, machine, &mut *receive, &mut *send, By(end));
    let Negotiated { transport, tls, .. } = negotiated.map_err(|error| Failure::from(&error))?;
    // A server of SMTP says nothing in TLS before the client does, and the buffer is free again.
    let (uart, first) = transport.into_parts();
    if !first.octets().is_empty() {
        return Err(Cause::from(Misbehaviour::BytesAfterUpgrade).into());
    }

    let mut line = Line::new(uart, end);
    let mut connection = TlsConnection::new(&mut line, receive, send);
    let mut handshake = Handshake::with(*pin)?;
    if let Err(error) = open(&mut connection, &mut handshake, config.server) {
        return Err(handshake.failure(error, &line));
    }
    // That it is over is the library's word; what it proved is not.
    handshake.check()?;
    let (outcome, ended) = speak(&mut connection, &tls, config, to, message)?;
    match ended {
        Ok(()) => {
            // With close_notify. What becomes of the mail is known already.
            drop(connection.close());
            outcome.with(None)
        }
        Err(error) => outcome.with(Some(line.broken(error))),
    }
}

type Connection<'a, 'l> = TlsConnection<'a, &'a mut Line<'l>, Aes128GcmSha256>;

// What the handshake needs of the stack, and what the session does, is not needed at once.
#[inline(never)]
fn open(
    connection: &mut Connection<'_, '_>,
    handshake: &mut Handshake,
    server: &str,
) -> Result<(), TlsError> {
    let config = TlsConfig::new().with_server_name(server);
    connection.open(TlsContext::new(&config, handshake))
}

#[inline(never)]
fn speak(
    connection: &mut Connection<'_, '_>,
    tls: &ForeignTls,
    config: &Config<'_>,
    to: &[&str],
    message: Mail<'_>,
) -> Result<(Outcome, Result<(), Error<TlsError>>), Failure> {
    // It is large, and used where it is made.
    let mut submission = Submission::new(Protocol::Smtp, config.name, config.implicit);
    let submission = submission.as_mut().map_err(|error| *error)?;
    prepare(submission, config, to)?;
    let mut outcome = Outcome::UNSENT;
    let (mut receive, mut send) = ([0; 128], [0; 128]);
    let (receive, send) = (&mut receive, &mut send);
    let tell = |event: Event<'_>| outcome.hear(event);
    let ended = submit_inside(connection, tls, submission, message, receive, send, tell);
    if submission.in_doubt() {
        outcome.doubt();
    }
    Ok((outcome, ended))
}
