//! SSLRequest of MySQL and MariaDB (protocol 10, "Connection Phase"), both roles.
//!
//! ```text
//! client   greeting, 0 ──CLIENT_SSL──► SSLRequest, 1 ──► TLS; the HandshakeResponse is 2
//!              ├── without it ──► refused, and nothing is sent
//!              └── ERR ─────────► refused
//!
//! server   greeting, 0 ──► SSLRequest, 1 ──► TLS
//!                      └─► HandshakeResponse: ERR 3159, not asked
//!
//! inside TLS
//! client   ready, unless the server speaks first
//! server   SSLRequest: ERR 1043, refused; anything else is the application's
//! ```
//!
//! There is no go-ahead: TLS begins right behind SSLRequest, and a server may hold the client's
//! first records already. By definition of the protocol three things from before TLS live on, to
//! be asked of the machine after the upgrade: the sequence number of the client's next packet, the
//! flags of SSLRequest, which its HandshakeResponse repeats, and the server's nonce. Anyone on the
//! path could have written the nonce: a client that would rather not use it answers with an empty
//! password, and gets another inside TLS (AuthSwitchRequest). There is no second greeting, and no
//! second SSLRequest: [`InsideServer`] refuses it.

use crate::error::{Error, Misbehaviour, Misuse, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{self, Negotiate, Next, Residue};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::Row;
use crate::wire::packet::{HEADER, packet, take, take_text};
use crate::wire::{Frame, Out};

/// MySQL's client/server protocol.
pub static MYSQL: Row = Row {
    name: "mysql",
    aliases: &[],
    port: 3306,
    implicit: &[],
    alpn: None,
    specification: "MySQL protocol 10",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static MYSQL_MACHINES: Machines = Machines {
    client: |_| Ok(alloc::boxed::Box::new(Client::new())),
    server: |names| {
        let random = names.random.ok_or(Misuse::Randomness)?;
        Ok(alloc::boxed::Box::new(Server::new(VERSION, random)?))
    },
    inside_client: |_, _| Ok(alloc::boxed::Box::new(crate::inside::Nothing::first(&MYSQL))),
    inside_server: |_, _| Ok(alloc::boxed::Box::new(InsideServer::new())),
};

/// The largest packet a client announces to take, in octets; its HandshakeResponse repeats it.
pub const MAX_PACKET: u32 = 1 << 24;

/// The character set of either side: `utf8mb4_general_ci`. The HandshakeResponse repeats it.
pub const CHARACTER_SET: u8 = 45;

/// Octets of a nonce.
pub const NONCE: usize = 20;

/// The version of a server whose machine comes from the table.
#[cfg(feature = "alloc")]
const VERSION: &str = "8.0.0-starttls";

/// The longest version a server tells, in octets.
const MAX_VERSION: usize = 60;

/// The longest greeting or error of a server, and the longest HandshakeResponse, in octets.
const MAX_GREETING: usize = 1020;
const MAX_RESPONSE: usize = 1 << 16;

/// Octets of SSLRequest, which are also the first of a HandshakeResponse.
const SSL_REQUEST: usize = 32;

const PROTOCOL: u8 = 10;
const OLD_PROTOCOL: u8 = 9;
const ERR: u8 = 0xff;
const AUTHENTICATION: &[u8] = b"mysql_native_password";

/// Sequence 2, ER_SECURE_TRANSPORT_REQUIRED.
const TLS_REQUIRED: &[u8] = b"\x18\0\0\x02\xff\x57\x0c#HY000TLS is required";
const SECURE_TRANSPORT_REQUIRED: u16 = 3159;

/// ER_HANDSHAKE_ERROR, behind its sequence number.
const BAD_HANDSHAKE: &[u8] = b"\xff\x13\x04#08S01Bad handshake";
const HANDSHAKE_ERROR: u16 = 1043;

// Capability flags.
const LONG_PASSWORD: u32 = 0x1;
const LONG_FLAG: u32 = 0x4;
const CONNECT_WITH_DB: u32 = 0x8;
const PROTOCOL_41: u32 = 0x200;
const SSL: u32 = 0x800;
const TRANSACTIONS: u32 = 0x2000;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGIN_AUTH: u32 = 0x8_0000;

/// Flags a client sets whatever the server offers: MariaDB leaves the first out of its own.
const ALWAYS: u32 = LONG_PASSWORD | PROTOCOL_41 | SSL;
const COMMON: u32 = ALWAYS | LONG_FLAG | SECURE_CONNECTION | PLUGIN_AUTH;
const OFFERED: u32 = COMMON | CONNECT_WITH_DB | TRANSACTIONS;

/// The client's side.
#[derive(Debug)]
pub struct Client {
    flags: u32,
    nonce: [u8; NONCE],
    sequence: u8,
    plaintext: bool,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client of protocol 4.1 with authentication plugins, and no database to begin with.
    pub fn new() -> Self {
        Self::with_flags(COMMON)
    }

    /// A client that sets the capability flags `flags` too, as far as the server offers them.
    pub fn with_flags(flags: u32) -> Self {
        Self { flags: flags | COMMON, nonce: [0; NONCE], sequence: 0, plaintext: false }
    }

    /// The capability flags of the connection, to be repeated in the HandshakeResponse.
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// The sequence number of the client's next packet: 2 inside TLS.
    pub fn sequence(&self) -> u8 {
        self.sequence
    }

    /// The nonce of the server's greeting, as it came in plaintext.
    pub fn nonce(&self) -> [u8; NONCE] {
        self.nonce
    }

    fn refused(&self, kind: RefusalKind, code: u16, behind: &[u8]) -> Error {
        if self.plaintext && !behind.is_empty() {
            return Misbehaviour::Unsolicited.into();
        }
        refused(kind, code)
    }
}

fn refused(kind: RefusalKind, code: u16) -> Error {
    Error::PeerRefused(Refusal { kind, code, temporary: false })
}

impl Negotiate for Client {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &MYSQL
    }

    fn max_frame(&self) -> usize {
        HEADER + MAX_GREETING
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, _: &mut Out<'_>) -> Result<Next, Error> {
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], _: usize) -> Result<Frame, Error> {
        packet(input, MAX_GREETING, MAX_GREETING)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let [_, _, _, sequence, payload @ ..] = frame else {
            return Err(Misbehaviour::Malformed.into());
        };
        if *sequence != 0 {
            return Err(Misbehaviour::UnexpectedReply(u16::from(*sequence)).into());
        }
        match Greeting::parse(payload)? {
            Greeting::Error(code) => Err(self.refused(RefusalKind::Service, code, behind)),
            Greeting::Old => Err(self.refused(RefusalKind::NotOffered, 0, behind)),
            Greeting::New { flags, nonce } if flags & (SSL | PROTOCOL_41) != SSL | PROTOCOL_41 => {
                // What a caller needs who goes on without TLS.
                self.flags &= flags;
                (self.nonce, self.sequence) = (nonce, 1);
                Err(self.refused(RefusalKind::NotOffered, 0, behind))
            }
            Greeting::New { flags, nonce } => {
                let flags = self.flags & flags | ALWAYS;
                out.put(&[
                    &[SSL_REQUEST as u8, 0, 0, 1],
                    &flags.to_le_bytes(),
                    &MAX_PACKET.to_le_bytes(),
                    &[CHARACTER_SET],
                    &[0; 23],
                ])?;
                (self.flags, self.nonce, self.sequence) = (flags, nonce, 2);
                Ok(Next::Tls)
            }
        }
    }
}

/// What a server may say first.
#[derive(Clone, Copy, Debug)]
enum Greeting {
    New {
        flags: u32,
        nonce: [u8; NONCE],
    },
    /// Of protocol 9, which has no flags.
    Old,
    Error(u16),
}

impl Greeting {
    fn parse(mut payload: &[u8]) -> Result<Self, Error> {
        let [protocol] = take(&mut payload)?;
        match protocol {
            PROTOCOL => {}
            OLD_PROTOCOL => return Ok(Self::Old),
            ERR => return Ok(Self::Error(u16::from_le_bytes(take(&mut payload)?))),
            _ => return Err(Misbehaviour::Malformed.into()),
        }
        take_text(&mut payload)?; // the version
        let [_, _, _, _] = take(&mut payload)?; // the connection's number
        let first: [u8; 8] = take(&mut payload)?;
        let [_] = take(&mut payload)?; // a filler
        let lower = u16::from_le_bytes(take(&mut payload)?);
        let [_character_set, _, _] = take(&mut payload)?; // and the status
        let upper = u16::from_le_bytes(take(&mut payload)?);
        let [_length] = take(&mut payload)?;
        let [_, _, _, _, _, _, _, _, _, _] = take(&mut payload)?; // reserved
        let second: [u8; NONCE - 8] = take(&mut payload)?;
        let mut nonce = [0; NONCE];
        for (to, from) in nonce.iter_mut().zip(first.into_iter().chain(second)) {
            *to = from;
        }
        Ok(Self::New { flags: u32::from(upper) << 16 | u32::from(lower), nonce })
    }
}

/// The server's side.
#[derive(Debug)]
pub struct Server<'a> {
    version: &'a str,
    nonce: [u8; NONCE],
    flags: u32,
    plaintext: bool,
}

impl<'a> Server<'a> {
    /// A server that says it is of `version`, such as `8.0.36`, and makes its nonce from `random`,
    /// octets that nobody can guess.
    ///
    /// # Errors
    /// [`Misuse::Name`] for a version that is empty, over 60 octets, or not visible ASCII.
    pub fn new(version: &'a str, random: [u8; 16]) -> Result<Self, Error> {
        let fits = (1..=MAX_VERSION).contains(&version.len());
        if !fits || !version.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(Misuse::Name.into());
        }
        Ok(Self { version, nonce: nonce(&random), flags: 0, plaintext: false })
    }

    /// The capability flags of the client's SSLRequest; its HandshakeResponse must repeat them.
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// The sequence number of the client's next packet: 2 inside TLS.
    pub fn sequence(&self) -> u8 {
        if self.flags == 0 { 1 } else { 2 }
    }

    /// The nonce of the greeting.
    pub fn nonce(&self) -> [u8; NONCE] {
        self.nonce
    }
}

/// 120 bits as visible characters, neither NUL nor `$` among them.
fn nonce(random: &[u8; 16]) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    for (to, from) in nonce.chunks_exact_mut(4).zip(random.chunks_exact(3)) {
        if let ([w, x, y, z], &[a, b, c]) = (to, from) {
            *w = b'0' + (a >> 2);
            *x = b'0' + (a << 4 & 0x3f | b >> 4);
            *y = b'0' + (b << 2 & 0x3f | c >> 6);
            *z = b'0' + (c & 0x3f);
        }
    }
    nonce
}

impl Negotiate for Server<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &MYSQL
    }

    /// Of a HandshakeResponse no more is needed, and nothing is read.
    fn max_frame(&self) -> usize {
        HEADER + SSL_REQUEST
    }

    /// There is no go-ahead to wait for.
    fn residue(&self) -> Residue {
        Residue::Tls
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        let (first, second) = self.nonce.split_at(8);
        let [low, middle, high, top] = OFFERED.to_le_bytes();
        let version = self.version.as_bytes();
        let length = (version.len() + 47 + AUTHENTICATION.len()) as u8;
        out.put(&[
            &[length, 0, 0, 0, PROTOCOL],
            version,
            &[0, 1, 0, 0, 0],
            first,
            &[0, low, middle, CHARACTER_SET, 2, 0, high, top, NONCE as u8 + 1],
            &[0; 10],
            second,
            &[0],
            AUTHENTICATION,
            &[0],
        ])?;
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], _: usize) -> Result<Frame, Error> {
        packet(input, SSL_REQUEST, MAX_RESPONSE)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let [low, middle, high, sequence, payload @ ..] = frame else {
            return Err(Misbehaviour::Malformed.into());
        };
        if *sequence != 1 {
            return Err(Misbehaviour::UnexpectedReply(u16::from(*sequence)).into());
        }
        let flags = u32::from_le_bytes(take(&mut { payload })?);
        let exact = [*low, *middle, *high] == [SSL_REQUEST as u8, 0, 0];
        match (flags & SSL != 0, flags & PROTOCOL_41 != 0) {
            (true, true) if exact => {
                self.flags = flags;
                Ok(Next::Tls)
            }
            // A HandshakeResponse that claims to be an SSLRequest.
            (true, _) => Err(Misbehaviour::Malformed.into()),
            (false, _) if self.plaintext => Err(refused(RefusalKind::NotAsked, 0)),
            (false, _) => {
                out.put(&[TLS_REQUIRED])?;
                Err(refused(RefusalKind::NotAsked, SECURE_TRANSPORT_REQUIRED))
            }
        }
    }
}

/// The server's side inside TLS, up to the first packet for its application, of which it examines
/// the header, and two flags at most.
#[derive(Debug, Default)]
pub struct InsideServer(());

impl InsideServer {
    /// A server that granted SSLRequest.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Inside for InsideServer {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &MYSQL
    }

    fn max_frame(&self) -> usize {
        HEADER + 2
    }

    fn start(&mut self, _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], _: usize) -> Result<Frame, Error> {
        Ok(match input {
            [REQUEST, 0, 0, _, _, _, ..] => Frame::Whole(HEADER + 2),
            [REQUEST, 0, 0, ..] => Frame::Partial,
            [_, _, _, _, ..] => Frame::Whole(HEADER),
            _ => Frame::Partial,
        })
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        match *frame {
            // Of a packet of another length there is the header only.
            [_, _, _, sequence, low, high] if has_ssl(low, high) => {
                let length = BAD_HANDSHAKE.len() as u8;
                out.put(&[&[length, 0, 0, sequence.wrapping_add(1)], BAD_HANDSHAKE])?;
                Err(refused(RefusalKind::Inside, HANDSHAKE_ERROR))
            }
            _ => Ok(Step::Application),
        }
    }
}

/// The low octet of an SSLRequest's length.
const REQUEST: u8 = SSL_REQUEST as u8;

/// Whether these lower capability flags name CLIENT_SSL.
fn has_ssl(low: u8, high: u8) -> bool {
    u32::from(u16::from_le_bytes([low, high])) & SSL != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "alloc")]
    use crate::protocol::vectors::check_inside;
    use crate::protocol::vectors::check_octets;
    use alloc::vec::Vec;

    /// MariaDB 10.11's greeting with these flags.
    fn greeting(flags: u32) -> Vec<u8> {
        let [low, middle, high, top] = flags.to_le_bytes();
        let mut greeting = b"\x36\0\0\0\x0a10.11.1\0\x07\0\0\x005HIt13K_\0".to_vec();
        greeting.extend([low, middle, 8, 2, 0, high, top, 0x15]);
        greeting.extend(b"\0\0\0\0\0\0\x1d\0\0\0zk))1XJJs'a7\0name");
        greeting[0] = (greeting.len() - HEADER) as u8;
        greeting
    }

    fn client(machine: &mut Client, greeting: &[u8], sent: &[u8]) -> Result<Next, Error> {
        let mut storage = [0; 64];
        let mut out = Out::new(&mut storage);
        assert_eq!(machine.frame(greeting, 0), Ok(Frame::Whole(greeting.len())));
        let next = machine.process(greeting, b"", &mut out);
        assert_eq!(out.octets(), sent);
        next
    }

    fn request(flags: u32) -> Vec<u8> {
        let [a, b, c, d] = flags.to_le_bytes();
        let mut request = [0; 36];
        request[..13].copy_from_slice(&[32, 0, 0, 1, a, b, c, d, 0, 0, 0, 1, 45]);
        request.to_vec()
    }

    #[test]
    fn what_survives_in_the_client() {
        let mut machine = Client::with_flags(CONNECT_WITH_DB);
        let sent = request(0x8_8a0d);
        assert_eq!(client(&mut machine, &greeting(0x81ff_fffe), &sent), Ok(Next::Tls));
        assert_eq!((machine.flags(), machine.sequence()), (0x8_8a0d, 2));
        assert_eq!(machine.nonce(), *b"5HIt13K_zk))1XJJs'a7");
    }

    #[test]
    fn flags_are_those_both_have() {
        let mut machine = Client::with_flags(u32::MAX);
        let flags = SSL | PROTOCOL_41 | TRANSACTIONS;
        let sent = request(flags | LONG_PASSWORD);
        assert_eq!(client(&mut machine, &greeting(flags), &sent), Ok(Next::Tls));
        assert_eq!(machine.flags(), flags | LONG_PASSWORD);
    }

    #[test]
    fn nothing_is_sent_to_one_who_does_not_offer_tls() {
        for missing in [SSL, PROTOCOL_41, SSL | PROTOCOL_41] {
            let mut machine = Client::new();
            let end = client(&mut machine, &greeting(0x81ff_fffe & !missing), b"");
            assert_eq!(end, Err(refused(RefusalKind::NotOffered, 0)));
            assert_eq!((machine.flags(), machine.sequence()), (0x8_8a04 & !missing, 1));
            assert_eq!(machine.nonce(), *b"5HIt13K_zk))1XJJs'a7");
        }
    }

    #[test]
    fn a_greeting_that_is_cut_is_none() {
        let whole = greeting(0x81ff_fffe);
        for length in 5..whole.len() {
            let mut cut = whole[..length].to_vec();
            cut[0] = (length - HEADER) as u8;
            // Only the NUL behind the nonce and the plugin's name may be missing.
            if length < whole.len() - 5 {
                let end = Err(Misbehaviour::Malformed.into());
                assert_eq!(client(&mut Client::new(), &cut, b""), end, "{length}");
            } else {
                assert_eq!(client(&mut Client::new(), &cut, &request(0x8_8a05)), Ok(Next::Tls));
            }
        }
    }

    #[test]
    fn what_survives_in_the_server() {
        let mut machine = Server::new("8.0.36", [0xff; 16]).unwrap();
        assert_eq!((machine.flags(), machine.sequence()), (0, 1));
        let mut out = Out::new(&mut []);
        assert_eq!(machine.process(&request(0x8_8a05), b"", &mut out), Ok(Next::Tls));
        assert_eq!((machine.flags(), machine.sequence()), (0x8_8a05, 2));
        assert_eq!(machine.nonce(), [b'o'; NONCE]);
    }

    #[test]
    fn our_client_reads_our_greeting() {
        let mut storage = [0; 256];
        for version in ["8", "8.0.36", &"9".repeat(60)] {
            let mut server = Server::new(version, *b"0123456789abcdef").unwrap();
            let mut out = Out::new(&mut storage);
            assert_eq!(server.start(&mut out), Ok(Next::Frame));
            let mut machine = Client::with_flags(u32::MAX);
            let sent = request(OFFERED);
            assert_eq!(client(&mut machine, out.octets(), &sent), Ok(Next::Tls));
            assert_eq!(machine.nonce(), server.nonce());
            assert_eq!(machine.flags(), 0x8_aa0d);
        }
    }

    #[test]
    fn the_nonce_holds_what_it_is_made_from() {
        assert_eq!(nonce(&[0; 16]), [b'0'; NONCE]);
        let random = [0x00, 0x10, 0x83, 0x10, 0x51, 0x87, 0x20, 0x92, 0x8b, 0xfb, 0xef, 0xbe];
        let mut whole = [0; 16];
        whole[..12].copy_from_slice(&random);
        assert_eq!(&nonce(&whole), b"0123456789:;nnnn0000");
    }

    #[test]
    fn versions_are_checked() {
        for bad in ["", "8.0 x", "8\0", "8\r\n", "\u{fc}", &"x".repeat(61)] {
            assert_eq!(Server::new(bad, [0; 16]).err(), Some(Misuse::Name.into()), "{bad:?}");
        }
    }

    #[test]
    fn server_refuses_a_second_request_inside_tls() {
        let end = Err(refused(RefusalKind::Inside, 1043));
        for (sequence, answer) in [(2, 3), (0, 1), (255, 0)] {
            let mut request = request(0x8_8a05);
            request[3] = sequence;
            let sent = [&[22, 0, 0, answer], BAD_HANDSHAKE].concat();
            check_octets(InsideServer::new(), b"", &[&request], &sent, end);
            check_octets(InsideServer::new(), &request[..], &[], &sent, end);
            // It is refused by its front already.
            check_octets(InsideServer::new(), b"", &[&request[..6]], &sent, end);
        }
        let request = request(0x8_8a05);
        check_octets(InsideServer::new(), b"", &[&request[..5]], b"", Err(Error::Closed));
        check_octets(InsideServer::new(), b"", &[&request[..3]], b"", Err(Error::Closed));
    }

    #[test]
    fn server_leaves_the_first_packet_to_its_application() {
        for packet in [
            &b"\x3c\0\0\x02\x05\x8a\x08\0peer"[..],
            b"\x20\0\0\x02\x05\x82\x08\0",
            b"\x20\x01\0\x02\x05\x8a\x08\0",
            b"\x20\0\x01\x02\x05\x8a\x08\0",
            b"\0\0\0\x02",
            b"\xff\xff\xff\x02",
        ] {
            check_octets(InsideServer::new(), b"", &[packet], b"", Ok(packet));
            check_octets(InsideServer::new(), packet, &[], b"", Ok(packet));
        }
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn client_speaks_first_inside_tls() {
        use crate::protocol::{Names, scheme};
        let machine = || scheme("mysql").unwrap().inside_client(Names::new("x")).unwrap();
        check_inside(machine(), "", &[], "", Ok(""));
        check_inside(machine(), "J", &[], "", Err(Misbehaviour::Greeting.into()));
    }

    #[test]
    fn an_error_knows_its_length() {
        assert_eq!(TLS_REQUIRED.len(), HEADER + usize::from(TLS_REQUIRED[0]));
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<Client>() <= 32 && size_of::<Server<'_>>() <= 48);
    }
}
