//! TLS of your own: `starttls` negotiates, without rustls or any feature, then OpenSSL takes the
//! socket. What it decrypts goes to the submission, which takes nothing else: one message, from
//! standard input, for one recipient.
//!
//! ```text
//! cargo run -p starttls-std --example openssl -- mx.example.org 25 ca.pem FROM TO < message
//! ```
//!
//! What OpenSSL verifies is its own affair from the boundary on: here the server's certificate, by
//! the authorities of the file and no other, and the name in it.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use openssl::ssl::{SslConnector, SslMethod, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use starttls::negotiate::{ForeignTls, Negotiation, Status};
use starttls::protocol::{Mail, smtp};
use starttls::submission::{Content, Envelope, Event, Require, Submission};
use starttls::wire::{MAX_LINE, Out, RecvBuf, Reply};

/// What we call ourselves, inside TLS too.
const NAME: &str = "client.example.org";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [host, port, ca_file, from, to] = &arguments[..] else {
        return Err("usage: openssl HOST PORT CA-FILE FROM TO < MESSAGE".into());
    };
    let mut message = Vec::new();
    io::stdin().read_to_end(&mut message)?;
    let connector = trusting(ca_file)?;

    let mut transport = TcpStream::connect((host.as_str(), port.parse()?))?;
    let foreign = upgrade(&mut transport)?;
    // The boundary. The socket is OpenSSL's, and all we have is the right to call Decrypted what
    // comes out of it; so it has to be a connection that was verified.
    let mut stream = connector.connect(host, transport)?;
    println!("{}", stream.ssl().version_str());
    println!("{}", deliver(&mut stream, &foreign, from, to, &message)?);
    stream.shutdown()?;
    Ok(())
}

/// OpenSSL, verifying by the authorities of a file instead of the system's.
fn trusting(ca_file: &str) -> Result<SslConnector, Box<dyn Error>> {
    let mut store = X509StoreBuilder::new()?;
    for certificate in X509::stack_from_pem(&fs::read(ca_file)?)? {
        store.add_cert(certificate)?;
    }
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    connector.set_cert_store(store.build());
    connector.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    Ok(connector.build())
}

/// Negotiates as far as TLS: the server waits for a ClientHello when this returns.
fn upgrade(transport: &mut TcpStream) -> Result<ForeignTls, Box<dyn Error>> {
    let (mut storage, mut output) = ([0; MAX_LINE], [0; 512]);
    let mut recv = RecvBuf::new(&mut storage);
    let mut negotiation = Negotiation::new(smtp::Client::new(NAME)?);
    loop {
        let mut out = Out::new(&mut output);
        let status = negotiation.process(&mut recv, &mut out);
        transport.write_all(out.octets())?;
        match status? {
            Status::Progress => {}
            Status::Ready => break,
            Status::NeedInput => match transport.read(recv.spare_mut())? {
                0 => return Err(negotiation.close_received().into()),
                n => recv.received(n)?,
            },
        }
    }
    // Octets behind the go-ahead are an error here. An SMTP server has no TLS to say before the
    // client, so there are no first records; where a peer may speak TLS first (MySQL's client)
    // they have to reach the TLS library before what the socket brings.
    let (upgrade, _machine) = negotiation.upgrade(recv)?;
    let (_first_records, foreign) = upgrade.into_foreign_tls();
    Ok(foreign)
}

/// Gives the server a message, and returns what it says of it.
fn deliver(
    stream: &mut (impl Read + Write),
    foreign: &ForeignTls,
    from: &str,
    to: &str,
    message: &[u8],
) -> Result<String, Box<dyn Error>> {
    let to = &[to];
    let mut submission = Submission::new(Mail::Smtp, NAME, false)?;
    let (size, content, utf8, require) = (None, Content::Unknown, false, Require::All);
    submission.mail(Envelope { from, to, size, content, utf8, require }, true)?;
    submission.declare(message);

    let (mut input, mut waiting, mut output) = ([0; 4096], 0..0, [0; 4096]);
    let (mut message, mut fate) = (message, Err("no answer".to_owned()));
    loop {
        let mut out = Out::new(&mut output);
        let decrypted = foreign.decrypted(&input[waiting.clone()]);
        let (consumed, event) = submission.process(decrypted, &mut out)?;
        waiting.start += consumed;
        match event {
            Event::Send => stream.write_all(out.octets())?,
            Event::NeedInput => match stream.read(&mut input)? {
                0 => break submission.close_received()?,
                n => waiting = 0..n,
            },
            Event::Body => match submission.body(message, &mut out)? {
                0 if message.is_empty() => submission.end_body()?,
                n => {
                    message = &message[n..];
                    stream.write_all(out.octets())?;
                }
            },
            Event::Delivered { reply, .. } => fate = Ok(text(reply)),
            Event::Recipient { refused: Some(reply), .. }
            | Event::SenderRefused(reply)
            | Event::MessageRefused { reply, .. }
            | Event::HelloRefused(reply) => fate = Err(text(reply)),
            Event::Lacks(feature) => return Err(format!("the server lacks {feature:?}").into()),
            Event::Done => break,
            _ => {}
        }
    }
    Ok(fate?)
}

fn text(reply: Reply<'_>) -> String {
    format!("{} {}", reply.code, String::from_utf8_lossy(reply.text).escape_debug())
}
