//! A whole mail in memory: our exchange against our server and receiver, with the waits counted.

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};
use starttls::Error;
use starttls::protocol::{ClientMachine, Mail, ServerMachine};
use starttls::receiver::{Account, Received, Receiver};
use starttls::session::{Event, RECEIVE_BUFFER};
use starttls::submission::{Exchange, ExchangeStep, Report, Submission};
use starttls::tls::{ClientTls, ServerTls};
use starttls::wire::Out;

use crate::pki::NAME;
use crate::sessions::{Heap, machines};

/// Who may log in.
pub const ACCOUNT: Account<'static> = Account { user: "user@example.org", password: "secret" };

/// What a mail came to.
#[derive(Debug)]
pub struct Mailed {
    /// What the client knows.
    pub report: Report,
    /// How the client ended.
    pub end: Result<(), Error>,
    /// The messages the server took, whole.
    pub messages: Vec<Vec<u8>>,
    /// How often the client waited for the server.
    pub waits: usize,
}

/// The server's side: our session and our receiver, which lets [`ACCOUNT`] in.
pub struct Sink {
    session: Heap<ServerMachine<'static>>,
    receiver: Receiver<'static>,
    body: Vec<u8>,
    /// The messages it took, whole.
    pub messages: Vec<Vec<u8>>,
}

impl Sink {
    /// A server for a URL scheme.
    pub fn new(scheme: &str, server: ServerConfig) -> Self {
        let row = starttls::protocol::scheme(scheme).unwrap();
        let tls = ServerTls::new(Arc::new(server)).unwrap();
        let receiver =
            Receiver::new(row.row.mail.unwrap_or(Mail::Smtp), NAME, row.implicit).unwrap();
        let (input, output) = (vec![0; RECEIVE_BUFFER], vec![0; 100_000]);
        Self {
            session: Heap::server(machines(scheme).1, &tls, input, output).unwrap(),
            receiver: receiver.with_account(ACCOUNT).with_size(10_000_000),
            body: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Takes in `octets` and gives what it answers.
    pub fn answer(&mut self, mut octets: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        loop {
            let event = self.session.process();
            answer.extend_from_slice(self.session.transmit());
            self.session.transmitted(self.session.transmit().len()).unwrap();
            match event {
                Ok(Event::Data) => {
                    let mut data = vec![0; 20_000];
                    let n = self.session.read(&mut data);
                    self.receive(&data[..n]);
                }
                // A greeting, where there is one, goes out unasked.
                Ok(Event::Established) => self.receive(&[]),
                Ok(Event::Transmit) => {}
                Ok(Event::NeedInput | Event::PeerClosed) if !octets.is_empty() => {
                    let n = self.session.spare_mut().len().min(octets.len());
                    self.session.spare_mut()[..n].copy_from_slice(&octets[..n]);
                    self.session.received(n).unwrap();
                    octets = &octets[n..];
                }
                _ => return answer,
            }
        }
    }

    fn receive(&mut self, data: &[u8]) {
        let mut rest = decrypted(data);
        loop {
            let mut room = [0; 4096];
            let mut out = Out::new(&mut room);
            let (consumed, received) = self.receiver.process(rest, &mut out).unwrap();
            let wait = matches!(received, Received::NeedInput | Received::Closed);
            match received {
                Received::Body(piece) => self.body.extend_from_slice(piece),
                Received::MessageEnd => self.messages.push(std::mem::take(&mut self.body)),
                Received::Reset => self.body.clear(),
                _ => {}
            }
            assert_eq!(self.session.write(out.octets()).unwrap(), out.len());
            rest = rest.skip(consumed);
            if wait {
                return;
            }
        }
    }
}

/// Octets that came out of a session, given back their type.
pub fn decrypted(octets: &[u8]) -> starttls::wire::Decrypted<'_> {
    use starttls::negotiate::Negotiation;
    use starttls::protocol::{Implicit, SMTP};
    use starttls::wire::RecvBuf;
    let mut negotiation = Negotiation::new(Implicit::server(&SMTP));
    let (mut recv, mut out) = (RecvBuf::new(&mut []), Out::new(&mut []));
    negotiation.process(&mut recv, &mut out).map(|_| ()).unwrap();
    let (_, tls) = negotiation.upgrade(recv).unwrap().0.into_foreign_tls();
    tls.decrypted(octets)
}

/// Sends `message` by `submission`, which was told whom to send it to, in pieces of `piece` octets.
pub fn mail(
    scheme: &str,
    submission: Submission<'_>,
    message: &[u8],
    piece: usize,
    client: ClientConfig,
    server: ServerConfig,
) -> Mailed {
    mail_until(usize::MAX, scheme, submission, message, piece, client, server)
}

/// The same, with a connection that is lost when the client waits for the last of `answers`.
pub fn mail_until(
    answers: usize,
    scheme: &str,
    submission: Submission<'_>,
    message: &[u8],
    piece: usize,
    client: ClientConfig,
    server: ServerConfig,
) -> Mailed {
    let mut sink = Sink::new(scheme, server);
    let tls = ClientTls::new(Arc::new(client));
    let (input, output) = (vec![0; RECEIVE_BUFFER], vec![0; 100_000]);
    let machine = machines(scheme).0;
    let session = Heap::<ClientMachine<'static>>::client(machine, &tls, NAME, input, output);
    let session = session.unwrap();
    let mut exchange = Exchange::new(session, submission);

    let (mut waits, mut rest, mut inbox) = (0, message, Vec::new());
    let mut outbox = Vec::new();
    let end = loop {
        match exchange.process() {
            Ok(ExchangeStep::Transmit) => {
                outbox.extend_from_slice(exchange.session().transmit());
                let n = exchange.session().transmit().len();
                exchange.session_mut().transmitted(n).unwrap();
            }
            Ok(ExchangeStep::NeedInput) => {
                if inbox.is_empty() {
                    // One flight out, and a wait for what it brings back.
                    waits += 1;
                    inbox = sink.answer(&std::mem::take(&mut outbox));
                    if waits == answers {
                        inbox.clear();
                    }
                }
                let spare = exchange.session_mut().spare_mut();
                let n = spare.len().min(inbox.len());
                spare[..n].copy_from_slice(&inbox[..n]);
                inbox.drain(..n);
                exchange.session_mut().received(n).unwrap();
            }
            Ok(ExchangeStep::Body) if rest.is_empty() => match exchange.end_body() {
                Ok(()) => {}
                Err(error) => break Err(error),
            },
            Ok(ExchangeStep::Body) => match exchange.body(&rest[..rest.len().min(piece)]) {
                Ok(n) => rest = &rest[n..],
                Err(error) => break Err(error),
            },
            Ok(ExchangeStep::Over) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    Mailed { report: exchange.into_report(), end, messages: sink.messages, waits }
}
