//! SSLRequest of PostgreSQL (protocol 3.0, "SSL Session Encryption"), both roles.
//!
//! ```text
//! client   SSLRequest ──S──► TLS
//!              ├──N──► refused
//!              └──E──► refused, and the server ends
//!
//! server   GSSENCRequest N, once ──► SSLRequest S ──► TLS
//!              ├──► StartupMessage: FATAL 28000, not asked
//!              └──► CancelRequest: silence, not asked
//!
//! inside TLS
//! client   ready, unless the server speaks first
//! server   SSLRequest, GSSENCRequest: FATAL 0A000, refused; behind direct TLS first N, once each
//!          anything else is the application's
//! ```
//!
//! The answer is one octet, and nothing is read behind it (CVE-2021-23222). The text of an error
//! from before TLS is not even read (CVE-2024-10977). Servers of version 17 also take TLS from the
//! first octet on the same port: that is the implicit scheme of this row, and needs the ALPN name.
//! Inside TLS the server waits for the StartupMessage, which nothing precedes ([`InsideServer`]).

use crate::error::{Error, Misbehaviour, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::Row;
use crate::wire::{Frame, Out};

/// PostgreSQL's frontend/backend protocol.
pub static POSTGRESQL: Row = Row {
    name: "postgresql",
    aliases: &[("postgres", 5432)],
    port: 5432,
    implicit: &[("postgresqls", 5432)],
    alpn: Some("postgresql"),
    specification: "PostgreSQL protocol 3.0",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static POSTGRESQL_MACHINES: Machines = Machines {
    client: |_| Ok(alloc::boxed::Box::new(Client::new())),
    server: |_| Ok(alloc::boxed::Box::new(Server::new())),
    inside_client: |_, _| Ok(alloc::boxed::Box::new(crate::inside::Nothing::first(&POSTGRESQL))),
    inside_server: |_, direct| Ok(alloc::boxed::Box::new(InsideServer::new().direct(direct))),
};

/// Length and code of a first packet, in octets. What follows them is never needed here.
const HEAD: usize = 8;

/// The longest first packet, as the original server has it, in octets.
const MAX_STARTUP: u32 = 10_000;

/// A CancelRequest has a key of at most 256 octets behind its code and process number.
const MAX_CANCEL: u32 = 268;

// Codes of first packets: major version in the upper half, minor in the lower.
const CANCEL_REQUEST: u32 = 1234 << 16 | 5678;
const SSL_REQUEST: u32 = 1234 << 16 | 5679;
const GSSENC_REQUEST: u32 = 1234 << 16 | 5680;

/// ErrorResponse: FATAL, invalid_authorization_specification.
const TLS_REQUIRED: &[u8] = b"E\0\0\0\x36SFATAL\0VFATAL\0C28000\0MSSL connection is required\0\0";

/// The same: feature_not_supported.
const TLS_ACTIVE: &[u8] =
    b"E\0\0\0\x3cSFATAL\0VFATAL\0C0A000\0MSSL connection is active already\0\0";

/// The client's side.
#[derive(Debug, Default)]
pub struct Client {
    plaintext: bool,
}

impl Client {
    /// A client that asks for TLS before its StartupMessage.
    pub fn new() -> Self {
        Self::default()
    }
}

fn refused(kind: RefusalKind) -> Error {
    Error::PeerRefused(Refusal::new(kind, 0))
}

impl Negotiate for Client {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &POSTGRESQL
    }

    fn max_frame(&self) -> usize {
        1
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        out.put(&[&8_u32.to_be_bytes(), &SSL_REQUEST.to_be_bytes()])?;
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], _: usize) -> Result<Frame, Error> {
        Ok(if input.is_empty() { Frame::Partial } else { Frame::Whole(1) })
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], _: &mut Out<'_>) -> Result<Next, Error> {
        // There is no goodbye before a StartupMessage.
        match frame {
            b"S" => Ok(Next::Tls),
            b"N" if self.plaintext && !behind.is_empty() => Err(Misbehaviour::Unsolicited.into()),
            b"N" => Err(refused(RefusalKind::Upgrade)),
            // A server that can serve nobody now, or one from before SSLRequest. Either ends.
            b"E" => Err(refused(RefusalKind::Service)),
            _ => Err(Misbehaviour::Malformed.into()),
        }
    }
}

/// The server's side.
#[derive(Debug, Default)]
pub struct Server {
    declined_gss: bool,
    plaintext: bool,
}

impl Server {
    /// A server that requires TLS of its clients, and has no GSSAPI encryption.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Negotiate for Server {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &POSTGRESQL
    }

    fn max_frame(&self) -> usize {
        HEAD
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, _: &mut Out<'_>) -> Result<Next, Error> {
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], _: usize) -> Result<Frame, Error> {
        Ok(head(input))
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        match Request::parse(frame)? {
            Request::Ssl => {
                out.put(&[b"S"])?;
                Ok(Next::Tls)
            }
            // One who does not wait for the answer would have cleartext taken for what follows it.
            Request::GssEnc if !behind.is_empty() => Err(Misbehaviour::BytesAfterUpgrade.into()),
            Request::GssEnc if self.declined_gss => Err(Misbehaviour::TooManyFrames.into()),
            Request::GssEnc => {
                out.put(&[b"N"])?;
                self.declined_gss = true;
                Ok(Next::Frame)
            }
            Request::Startup if !self.plaintext => {
                out.put(&[TLS_REQUIRED])?;
                Err(refused(RefusalKind::NotAsked))
            }
            // Nobody who cancels is answered. The application reads all of it where it may.
            Request::Startup | Request::Cancel => Err(refused(RefusalKind::NotAsked)),
        }
    }
}

/// The server's side inside TLS, up to the first packet for its application, of which it examines
/// the head.
#[derive(Debug)]
pub struct InsideServer {
    /// What was declined, or granted, and cannot be asked for again.
    ssl: bool,
    gss: bool,
}

impl Default for InsideServer {
    fn default() -> Self {
        Self { ssl: true, gss: true }
    }
}

impl InsideServer {
    /// A server that granted SSLRequest.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether TLS was there from the first octet instead. A client may ask then, for either once,
    /// and goes on without it, as with the original server.
    #[must_use]
    pub fn direct(self, direct: bool) -> Self {
        Self { ssl: !direct, gss: !direct }
    }
}

impl Inside for InsideServer {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &POSTGRESQL
    }

    fn max_frame(&self) -> usize {
        HEAD
    }

    fn start(&mut self, _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], _: usize) -> Result<Frame, Error> {
        Ok(head(input))
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        let asked = match Request::parse(frame) {
            Ok(Request::Ssl) => &mut self.ssl,
            Ok(Request::GssEnc) => &mut self.gss,
            _ => return Ok(Step::Application),
        };
        if *asked {
            out.put(&[TLS_ACTIVE])?;
            return Err(refused(RefusalKind::Inside));
        }
        out.put(&[b"N"])?;
        *asked = true;
        Ok(Step::Frame)
    }
}

fn head(input: &[u8]) -> Frame {
    if input.len() < HEAD { Frame::Partial } else { Frame::Whole(HEAD) }
}

/// What a client may send first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Ssl,
    GssEnc,
    Cancel,
    Startup,
}

impl Request {
    fn parse(head: &[u8]) -> Result<Self, Error> {
        let &[a, b, c, d, e, f, g, h] = head else {
            return Err(Misbehaviour::Malformed.into());
        };
        let (length, code) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        match (code, length) {
            _ if length > MAX_STARTUP => Err(Misbehaviour::FrameTooLong.into()),
            (SSL_REQUEST, 8) => Ok(Self::Ssl),
            (GSSENC_REQUEST, 8) => Ok(Self::GssEnc),
            (CANCEL_REQUEST, 13..=MAX_CANCEL) => Ok(Self::Cancel),
            // Versions 1 to 3, whatever their minor one.
            (0x0001_0000..=0x0003_ffff, 8..) => Ok(Self::Startup),
            _ => Err(Misbehaviour::Malformed.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "alloc")]
    use crate::protocol::vectors::check_inside;
    use crate::protocol::vectors::check_octets;

    fn client(answer: u8) -> Result<Next, Error> {
        let (mut client, mut out) = (Client::new(), Out::new(&mut []));
        client.process(&[answer], b"", &mut out)
    }

    fn server(length: u32, code: u32, sent: &[u8]) -> Result<Next, Error> {
        let mut storage = [0; 64];
        let (mut server, mut out) = (Server::new(), Out::new(&mut storage));
        let head = [length.to_be_bytes(), code.to_be_bytes()].concat();
        let next = server.process(&head, b"", &mut out);
        assert_eq!(out.octets(), sent, "{code:#x}");
        next
    }

    const MALFORMED: Result<Next, Error> = Err(Error::PeerMisbehaved(Misbehaviour::Malformed));
    const TOO_LONG: Result<Next, Error> = Err(Error::PeerMisbehaved(Misbehaviour::FrameTooLong));

    #[test]
    fn the_request_is_as_documented() {
        let mut storage = [0; 8];
        let mut out = Out::new(&mut storage);
        assert_eq!(Client::new().start(&mut out), Ok(Next::Frame));
        assert_eq!(out.octets(), b"\0\0\0\x08\x04\xd2\x16\x2f");
    }

    #[test]
    fn of_all_answers_one_is_yes() {
        for answer in 0..=255 {
            let expected = match answer {
                b'S' => Ok(Next::Tls),
                b'N' => Err(refused(RefusalKind::Upgrade)),
                b'E' => Err(refused(RefusalKind::Service)),
                _ => MALFORMED,
            };
            assert_eq!(client(answer), expected, "{answer:#x}");
        }
    }

    #[test]
    fn an_error_knows_its_length() {
        for error in [TLS_REQUIRED, TLS_ACTIVE] {
            assert_eq!(error.len(), 1 + usize::from(error[4]));
        }
    }

    #[test]
    fn first_packets() {
        let not_asked = Err(refused(RefusalKind::NotAsked));
        assert_eq!(server(8, SSL_REQUEST, b"S"), Ok(Next::Tls));
        assert_eq!(server(8, GSSENC_REQUEST, b"N"), Ok(Next::Frame));
        for length in [0, 7, 9, 16] {
            assert_eq!(server(length, SSL_REQUEST, b""), MALFORMED);
            assert_eq!(server(length, GSSENC_REQUEST, b""), MALFORMED);
        }
        for length in [13, 16, 268] {
            assert_eq!(server(length, CANCEL_REQUEST, b""), not_asked);
        }
        for length in [0, 8, 12, 269] {
            assert_eq!(server(length, CANCEL_REQUEST, b""), MALFORMED);
        }
        for version in [0x0001_0000, 0x0002_0000, 0x0003_0000, 0x0003_0002, 0x0003_ffff] {
            assert_eq!(server(8, version, TLS_REQUIRED), not_asked);
            assert_eq!(server(10_000, version, TLS_REQUIRED), not_asked);
            assert_eq!(server(7, version, b""), MALFORMED);
            assert_eq!(server(10_001, version, b""), TOO_LONG);
        }
        for code in [0, 0xffff, 0x0004_0000, CANCEL_REQUEST - 1, GSSENC_REQUEST + 1, u32::MAX] {
            assert_eq!(server(8, code, b""), MALFORMED, "{code:#x}");
        }
        assert_eq!(server(u32::MAX, SSL_REQUEST, b""), TOO_LONG);
    }

    const SSL: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
    const GSS: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";

    #[test]
    fn server_refuses_a_second_request_inside_tls() {
        let end = Err(refused(RefusalKind::Inside));
        for request in [SSL, GSS] {
            let machine = || InsideServer::new().direct(false);
            check_octets(machine(), b"", &[request], TLS_ACTIVE, end);
            check_octets(InsideServer::new(), request, &[], TLS_ACTIVE, end);
            let machine = || InsideServer::new().direct(true);
            check_octets(machine(), b"", &[request], b"N", Err(Error::Closed));
            let twice = [request, request].concat();
            check_octets(machine(), b"", &[&twice], &[b"N", TLS_ACTIVE].concat(), end);
        }
        let both = [GSS, SSL, SSL].concat();
        let sent = [b"NN", TLS_ACTIVE].concat();
        check_octets(InsideServer::new().direct(true), b"", &[&both], &sent, end);
    }

    #[test]
    fn server_leaves_the_first_packet_to_its_application() {
        for packet in [
            &b"\0\0\0\x25\0\x03\0\0user\0peer\0"[..],
            b"\0\0\x27\x11\0\x03\0\0",
            b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02",
            b"\0\0\0\x09\x04\xd2\x16\x2f?",
            b"GET / HTTP/1.1",
        ] {
            for direct in [false, true] {
                let machine = || InsideServer::new().direct(direct);
                check_octets(machine(), b"", &[packet], b"", Ok(packet));
                check_octets(machine(), packet, &[], b"", Ok(packet));
            }
            let declined = [GSS, SSL, packet].concat();
            check_octets(InsideServer::new().direct(true), b"", &[&declined], b"NN", Ok(packet));
        }
        check_octets(InsideServer::new(), b"", &[&SSL[..7]], b"", Err(Error::Closed));
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn client_speaks_first_inside_tls() {
        use crate::protocol::{Names, scheme};
        for name in ["postgresql", "postgresqls"] {
            let machine = || scheme(name).unwrap().inside_client(Names::new("x")).unwrap();
            check_inside(machine(), "", &[], "", Ok(""));
            check_inside(machine(), "E", &[], "", Err(Misbehaviour::Greeting.into()));
        }
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<Client>() <= 8 && size_of::<Server>() <= 8);
    }
}
