//! Upgrading to TLS within HTTP/1.1 (RFC 2817), both roles.
//!
//! ```text
//! client   OPTIONS * ──► 101 that names TLS/1.0 ──► TLS
//!              ├──► 100, 102, 103: wait on
//!              └──► anything else: refused; its body is skipped where plaintext is allowed
//!
//! server   OPTIONS, GET or HEAD with Upgrade ──► 101 ──► TLS
//!          anything else ──► 426, and wait on ──► refused, if it has a body or closes
//!
//! inside TLS
//! client   the answer to its end, whatever its code ──► ready
//!              └──► its end is the connection's: refused
//! server   the answer 200 to OPTIONS; the first request is the application's
//! ```
//!
//! The client makes the upgrade mandatory by asking with OPTIONS, which says nothing that matters
//! (RFC 2817 §3.2). The answer to the request itself comes inside TLS, behind the handshake and
//! before any other (§3.3): [`InsideClient`] reads it, and [`InsideServer`] sends it, for the one
//! request that [`Server::request`] tells. Behind implicit TLS the client speaks first.

mod answer;
mod inside;

use heapless::String;

use crate::error::{Error, Misbehaviour, Refusal, RefusalKind};
use crate::inside::Inside;
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::{Row, smtp};
use crate::wire::head::{Field, head, is_token};
use crate::wire::{Frame, MAX_LINE, Out, lines};
use answer::{Answers, Heard, MAX_BODY, TLS};
pub use inside::{InsideClient, InsideServer};

/// The longest head of a request, in octets.
const MAX_HEAD: usize = 8192;

/// The most requests answered before TLS.
const MAX_REQUESTS: u8 = 128;

/// The Hypertext Transfer Protocol, and what is carried in it, such as printing.
pub static HTTP: Row = Row {
    name: "http",
    aliases: &[],
    port: 80,
    implicit: &[("https", 443)],
    alpn: Some("http/1.1"),
    specification: "RFC 2817",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static HTTP_MACHINES: Machines = Machines {
    client: |names| Ok(alloc::boxed::Box::new(Client::new(names.peer)?)),
    server: |_| Ok(alloc::boxed::Box::new(Server::new())),
    inside_client: |_, implicit| match implicit {
        true => Ok(alloc::boxed::Box::new(crate::inside::Nothing::first(&HTTP))),
        false => Ok(alloc::boxed::Box::new(InsideClient::new())),
    },
    // Here nobody knows the request, but that a client of this crate asks with OPTIONS.
    inside_server: |_, implicit| {
        let request = (!implicit).then_some(Method::Options);
        Ok(alloc::boxed::Box::new(InsideServer::answering(request)))
    },
};

/// The client's side.
#[derive(Debug)]
pub struct Client<'a> {
    host: &'a str,
    answers: Answers,
    plaintext: bool,
}

impl<'a> Client<'a> {
    /// A client of the server it calls `host` in its Host field: a name or address, and a port
    /// where it is not 80 (RFC 9110 §7.2).
    ///
    /// # Errors
    /// [`Misuse::Name`](crate::error::Misuse::Name) if that is empty, over 255 octets, or not visible ASCII.
    pub fn new(host: &'a str) -> Result<Self, Error> {
        smtp::check_name(host)?;
        Ok(Self { host, answers: Answers::default(), plaintext: false })
    }
}

impl Negotiate for Client<'_> {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &HTTP
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        let fields = b"\r\nUpgrade: TLS/1.0\r\nConnection: Upgrade\r\n\r\n";
        out.put(&[b"OPTIONS * HTTP/1.1\r\nHost: ", self.host.as_bytes(), fields])?;
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.answers.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], _: &mut Out<'_>) -> Result<Next, Error> {
        let heard = self.answers.next(frame)?;
        let code = self.answers.code();
        let refused = |persistent| Err(Error::PeerRefused(refusal(code, persistent)));
        match heard {
            Heard::Switching(true) => Ok(Next::Tls),
            Heard::Switching(false) => Err(Misbehaviour::UnexpectedReply(code).into()),
            // Where the policy requires TLS, a refusal ends it here.
            Heard::Final if !self.plaintext => refused(true),
            Heard::Last => refused(false),
            Heard::Body(Some(length)) if length > MAX_BODY => refused(false),
            // What stands behind a refusal has nothing to answer.
            Heard::End if !behind.is_empty() => Err(Misbehaviour::Unsolicited.into()),
            Heard::End => refused(true),
            Heard::More | Heard::Final | Heard::Body(_) => Ok(Next::Frame),
        }
    }
}

/// An answer without TLS: a server that knows nothing of it goes on as if nobody had asked. Where
/// nothing can follow, that is the end of plaintext, too.
fn refusal(code: u16, persistent: bool) -> Refusal {
    let kind = match code {
        _ if !persistent => RefusalKind::Service,
        ..400 => RefusalKind::NotOffered,
        _ => RefusalKind::Upgrade,
    };
    Refusal { temporary: matches!(code, 408 | 429 | 503), ..Refusal::new(kind, code) }
}

/// What a client may ask in plaintext, to be answered inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Method {
    /// The mandatory upgrade (RFC 2817 §3.2).
    Options,
    /// The optional one (RFC 2817 §3.1).
    Get,
    /// As GET, without a body in the answer.
    Head,
}

/// The server's side.
#[derive(Debug, Default)]
pub struct Server {
    asked: Option<(Method, Target)>,
    requests: u8,
    plaintext: bool,
    /// What is said first inside TLS, if that is this machine's to say.
    inside: Option<InsideServer>,
}

/// A request's target; those that are longer have to be asked for inside TLS.
type Target = String<64, u8>;

impl Server {
    /// A server, whatever its clients call it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with an [`InsideServer`] that knows the request.
    #[must_use]
    pub fn answering(self) -> Self {
        Self { inside: Some(InsideServer::default()), ..self }
    }

    /// The request that asked for TLS: the first thing to be answered inside it (RFC 2817 §3.3).
    ///
    /// Its target, at most 64 octets, came in plaintext: anyone on the path could have written it.
    pub fn request(&self) -> Option<(Method, &str)> {
        self.asked.as_ref().map(|(method, target)| (*method, target.as_str()))
    }
}

impl Negotiate for Server {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &HTTP
    }

    fn max_frame(&self) -> usize {
        MAX_HEAD
    }

    fn inside(&mut self) -> Option<&mut (dyn Inside<Side = Self::Side> + '_)> {
        self.inside.as_mut().map(|inside| inside as _)
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, _: &mut Out<'_>) -> Result<Next, Error> {
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        head(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        if self.requests == MAX_REQUESTS {
            return Err(Misbehaviour::TooManyFrames.into());
        }
        let request = Request::parse(frame)?;
        let not_asked = |code| {
            Error::PeerRefused(Refusal {
                temporary: false,
                ..Refusal::new(RefusalKind::NotAsked, code)
            })
        };
        if let Some((asked, token)) = request.upgrade() {
            let fields = b", HTTP/1.1\r\nConnection: Upgrade\r\n\r\n";
            out.put(&[b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: ", token, fields])?;
            self.inside = self.inside.take().map(|_| InsideServer::answering(Some(asked.0)));
            self.asked = Some(asked);
            return Ok(Next::Tls);
        }
        if self.plaintext {
            return Err(not_asked(0));
        }
        if request.hosts != 1 && request.minor > b'0' {
            // RFC 9112 §3.2.
            out.put(&[
                b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            ])?;
            return Err(not_asked(400));
        }
        let close: &[u8] = if request.closes { b", close" } else { b"" };
        out.put(&[b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n"])?;
        out.put(&[b"Connection: Upgrade", close, b"\r\nContent-Length: 0\r\n\r\n"])?;
        if request.closes {
            return Err(not_asked(426));
        }
        self.requests += 1;
        Ok(Next::Frame)
    }
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    method: &'a [u8],
    target: &'a [u8],
    minor: u8,
    hosts: usize,
    /// The first version of TLS that the Upgrade field names, 1.0 before all others.
    token: Option<&'a [u8]>,
    /// The Connection field names Upgrade, without which that one means nothing (RFC 9110 §7.8).
    connection: bool,
    /// No other request can follow: it has a body, or says so.
    closes: bool,
}

impl<'a> Request<'a> {
    fn parse(head: &'a [u8]) -> Result<Self, Error> {
        let head = head.strip_prefix(b"\r\n").unwrap_or(head);
        let mut lines = lines(head);
        let first = lines.next().unwrap_or_default();
        let mut request = Self::line(first).ok_or(Misbehaviour::Malformed)?;
        for line in lines.filter(|line| *line != b"\r\n") {
            let field = Field::parse(line)?;
            if field.is("Host") {
                request.hosts += 1;
            } else if field.is("Upgrade") {
                for name in field.list().filter(|name| is_tls(name)) {
                    if request.token.is_none() || name.eq_ignore_ascii_case(TLS) {
                        request.token = Some(name);
                    }
                }
            } else if field.is("Connection") {
                let names = |name: &[u8]| field.list().any(|one| one.eq_ignore_ascii_case(name));
                request.connection |= names(b"upgrade");
                request.closes |= names(b"close");
            } else if field.is("Transfer-Encoding") {
                request.closes = true;
            } else if field.is("Content-Length") {
                request.closes |= field.value != b"0";
            }
        }
        Ok(request)
    }

    /// The first line (RFC 9112 §3).
    fn line(line: &'a [u8]) -> Option<Self> {
        let mut words = line.strip_suffix(b"\r\n")?.split(|&octet| octet == b' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let [minor @ b'0'..=b'9'] = version.strip_prefix(b"HTTP/1.")? else { return None };
        let visible = !target.is_empty() && target.iter().all(u8::is_ascii_graphic);
        let well = is_token(method) && visible && words.next().is_none();
        let (hosts, token, connection, closes) = (0, None, false, *minor == b'0');
        well.then_some(Self { method, target, minor: *minor, hosts, token, connection, closes })
    }

    /// What is to be answered inside TLS, and the token of its protocol, if that is asked for.
    fn upgrade(&self) -> Option<((Method, Target), &'a [u8])> {
        let method = match self.method {
            b"OPTIONS" => Method::Options,
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            _ => return None,
        };
        let target = str::from_utf8(self.target).ok()?;
        let asks = self.connection && self.hosts == 1 && !self.closes;
        let token = self.token.filter(|_| asks)?;
        Some(((method, Target::try_from(target).ok()?), token))
    }
}

/// `TLS/1.0`, or another version of it.
fn is_tls(name: &[u8]) -> bool {
    let [version @ .., minor] = name else { return false };
    version.eq_ignore_ascii_case(b"TLS/1.") && minor.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::error::Misuse;
    use crate::negotiate::{AllowPlaintext, Negotiation};
    use crate::protocol::vectors::{check_inside, play};

    const ASKED: &str = "OPTIONS * HTTP/1.1\r\nHost: example.bank.com\r\nUpgrade: TLS/1.0\r\n\
        Connection: Upgrade\r\n\r\n";

    #[track_caller]
    fn client(input: &[&str], end: Result<(), Error>) {
        let machine = Client::new("example.bank.com").unwrap();
        assert_eq!(play(Negotiation::new(machine), input), (ASKED.into(), end));
    }

    #[track_caller]
    fn opportunist(input: &[&str], end: Result<(), Error>) {
        let machine = Client::new("example.bank.com").unwrap();
        let negotiation = Negotiation::or_plaintext(machine, AllowPlaintext);
        assert_eq!(play(negotiation, input), (ASKED.into(), end));
    }

    fn refused(kind: RefusalKind, code: u16) -> Result<(), Error> {
        Err(Error::PeerRefused(Refusal { temporary: false, ..Refusal::new(kind, code) }))
    }

    #[test]
    fn client_reaches_tls() {
        for fields in [
            "Upgrade: TLS/1.0, HTTP/1.1",
            "upgrade:tls/1.0",
            "Upgrade: TLS/1.2\r\nUpgrade: TLS/1.0",
        ] {
            client(&[&format!("HTTP/1.1 101 Switching\r\n{fields}\r\n\r\n")], Ok(()));
        }
        client(&["HTTP/1.1 100\r\n\r\nHTTP/1.1 101\r\nUpgrade: TLS/1.0\r\n\r\n"], Ok(()));
        let end = Err(Misbehaviour::UnexpectedReply(101).into());
        for fields in
            ["Upgrade: TLS/1.2", "Upgrade: h2c", "Connection: TLS/1.0", "Upgrade: TLS/1.00"]
        {
            client(&[&format!("HTTP/1.1 101 Switching\r\n{fields}\r\n\r\n")], end);
        }
        client(&["HTTP/1.0 101 Switching\r\nUpgrade: TLS/1.0\r\n\r\n"], end);
    }

    #[test]
    fn client_refusals_are_typed() {
        use RefusalKind::{NotOffered, Service, Upgrade};
        for (code, kind) in [(200, NotOffered), (302, NotOffered), (400, Upgrade), (501, Upgrade)] {
            let line = format!("HTTP/1.1 {code} x\r\n");
            client(&[&line], refused(kind, code));
            let empty = format!("{line}Content-Length: 0\r\n\r\n");
            opportunist(&[&empty], refused(kind, code));
            let long = format!("{line}content-length: 2000\r\n\r\n{}", "x".repeat(1024));
            opportunist(&[&long, &"x".repeat(976)], refused(kind, code));
            opportunist(&[&long, &"x".repeat(977)], Err(Misbehaviour::Unsolicited.into()));
            opportunist(&[&long, &"x".repeat(975)], Err(Error::Closed));
            let chunked = format!("{line}Transfer-Encoding: chunked\r\n\r\n");
            let body = "5\r\n12345\r\n0\r\n\r\n";
            opportunist(&[&chunked, body], refused(kind, code));
            opportunist(&[&chunked, body, "x"], refused(kind, code));
            let behind = format!("{body}x");
            opportunist(&[&chunked, &behind], Err(Misbehaviour::Unsolicited.into()));
            for last in [
                "",
                "Content-Length: 65537\r\n",
                "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
                "Connection: x, close\r\nContent-Length: 0\r\n",
            ] {
                opportunist(&[&format!("{line}{last}\r\nrest")], refused(Service, code));
            }
        }
        for code in [408, 429, 503] {
            let why = Refusal { temporary: true, ..Refusal::new(Upgrade, code) };
            client(&[&format!("HTTP/1.1 {code}\r\n")], Err(Error::PeerRefused(why)));
        }
        opportunist(&["HTTP/1.1 204 x\r\n\r\n"], refused(NotOffered, 204));
        opportunist(&["HTTP/1.0 200 x\r\nContent-Length: 0\r\n\r\n"], refused(Service, 200));
        let lengths = "HTTP/1.1 200 x\r\nContent-Length: 0\r\nContent-Length: ";
        opportunist(&[&format!("{lengths}0\r\n\r\n")], refused(NotOffered, 200));
        for bad in ["1", "", "-0", "0x0", "0, 0"] {
            opportunist(&[&format!("{lengths}{bad}\r\n\r\n")], Err(Misbehaviour::Malformed.into()));
        }
    }

    #[track_caller]
    fn server(input: &str, sent: &str, end: Result<(), Error>) {
        assert_eq!(play(Negotiation::new(Server::new()), &[input]), (sent.into(), end));
    }

    const GO: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n\
        Connection: Upgrade\r\n\r\n";

    #[test]
    fn server_reaches_tls() {
        server(ASKED, GO, Ok(()));
        server(&format!("\r\n{ASKED}"), GO, Ok(()));
        server(&ASKED.replace("OPTIONS *", "GET /a?b"), GO, Ok(()));
        server(&ASKED.replace("OPTIONS *", "HEAD /"), GO, Ok(()));
        server(
            &ASKED.replace("TLS/1.0", "h2c, TLS/1.2, tls/1.0"),
            &GO.replace("TLS", "tls"),
            Ok(()),
        );
        let newer = ASKED.replace("TLS/1.0", "TLS/1.3, TLS/1.2");
        server(&newer, &GO.replace("TLS/1.0", "TLS/1.3"), Ok(()));
        server(&ASKED.replace("Host", "Content-Length: 0\r\nHost"), GO, Ok(()));
    }

    #[test]
    fn server_tells_what_to_answer() {
        use crate::wire::{Out, RecvBuf};
        let (mut storage, mut sent) = ([0; MAX_HEAD], [0; 256]);
        let (mut recv, mut out) = (RecvBuf::new(&mut storage), Out::new(&mut sent));
        let mut negotiation = Negotiation::new(Server::new());
        assert_eq!(negotiation.machine().request(), None);
        recv.fill(ASKED.replace("OPTIONS *", "GET /index").as_bytes());
        while negotiation.process(&mut recv, &mut out).unwrap() != negotiate::Status::Ready {}
        assert_eq!(negotiation.machine().request(), Some((Method::Get, "/index")));
    }

    const REQUIRED: &str = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n\
        Connection: Upgrade\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn server_requires_tls() {
        for (there, instead) in [
            ("OPTIONS", "PATCH"),
            ("Upgrade: TLS/1.0\r\n", ""),
            ("TLS/1.0", "h2c"),
            ("TLS/1.0", "TLS/1."),
            ("TLS/1.0", "TLS/2.0"),
            ("Connection: Upgrade", "Connection: keep-alive"),
            ("Connection: Upgrade\r\n", ""),
            ("*", &"*".repeat(65)),
        ] {
            let request = ASKED.replace(there, instead);
            server(&request, REQUIRED, Err(Error::Closed));
            let negotiation = Negotiation::or_plaintext(Server::new(), AllowPlaintext);
            let end = refused(RefusalKind::NotAsked, 0);
            assert_eq!(play(negotiation, &[&request]), ("".into(), end));
        }
        for (there, instead) in [
            ("Host", "Content-Length: 1\r\nHost"),
            ("Host", "Transfer-Encoding: chunked\r\nHost"),
            ("HTTP/1.1", "HTTP/1.0"),
            (": Upgrade", ": Upgrade, close"),
        ] {
            let close = REQUIRED.replace(": Upgrade", ": Upgrade, close");
            server(&ASKED.replace(there, instead), &close, refused(RefusalKind::NotAsked, 426));
        }
        let bad = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let end = refused(RefusalKind::NotAsked, 400);
        server(&ASKED.replace("Host: example.bank.com\r\n", ""), bad, end);
        server(&ASKED.replace("Host", "Host: a\r\nHost"), bad, end);
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn server_answers_the_request_it_knows() {
        use crate::wire::{Out, RecvBuf};
        for (request, said, end) in [
            ("OPTIONS *", OK, Ok("GET /")),
            ("GET /", "", Ok("GET /")),
            ("HEAD /", "", Ok("GET /")),
        ] {
            let (mut storage, mut sent) = ([0; MAX_HEAD], [0; 256]);
            let (mut recv, mut out) = (RecvBuf::new(&mut storage), Out::new(&mut sent));
            assert!(Server::new().inside().is_none());
            let mut negotiation = Negotiation::new(Server::new().answering());
            recv.fill(ASKED.replace("OPTIONS *", request).as_bytes());
            while negotiation.process(&mut recv, &mut out).unwrap() != negotiate::Status::Ready {}
            let (_, mut server) = negotiation.upgrade(recv).unwrap();
            check_inside(server.inside().unwrap(), "GET /", &[], said, end);
        }
        check_inside(InsideServer::answering(Some(Method::Get)), "", &[], "", Ok(""));
        check_inside(InsideServer::answering(None), "", &["G", "ET"], "", Ok("G"));
        let nobody = InsideServer::answering(Some(Method::Options));
        check_inside(nobody, "", &[], OK, Err(Error::Closed));
    }

    #[track_caller]
    fn inside(input: &[&str], end: Result<&str, Error>) {
        check_inside(InsideClient::new(), "", input, "", end);
        if let [first, rest @ ..] = input {
            check_inside(InsideClient::new(), first, rest, "", end);
        }
    }

    #[test]
    fn client_reads_the_answer_inside_tls() {
        inside(&[OK], Ok(""));
        for code in [200, 204, 301, 304, 404, 426, 503] {
            inside(&[&OK.replace("200 OK", &format!("{code}"))], Ok(""));
        }
        inside(&["HTTP/1.1 100 x\r\n\r\n", "HTTP/1.1 103 x\r\nLink: x\r\n\r\n", OK], Ok(""));
        let long = OK.replace("0\r", "3000\r");
        let body = "x".repeat(1000);
        inside(&[&long, &body, &body, &body], Ok(""));
        inside(&[&format!("{long}{body}{body}{body}")], Ok(""));
        inside(&[&long, &body, &body, &body[1..]], Err(Error::Closed));
        let longest = OK.replace("0\r", "65536\r");
        inside(&[&longest, &body.repeat(66)[..65536]], Ok(""));
        inside(&[&longest.replace("36\r", "37\r")], Err(Misbehaviour::FrameTooLong.into()));
        for code in [204, 304] {
            inside(&[&format!("HTTP/1.1 {code} x\r\n\r\n")], Ok(""));
            inside(&[&format!("HTTP/1.1 {code} x\r\nContent-Length: 9\r\n\r\n")], Ok(""));
        }
    }

    #[test]
    fn client_reads_chunks_inside_tls() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n";
        inside(&[head, "0\r\n\r\n"], Ok(""));
        inside(&[head, "a;x=\"y\"\r\n0123456789\r\n", "1\r\n\n\r\n0\r\nA: b\r\n\r\n"], Ok(""));
        let twice = head.replace("gzip, Chunked", "gzip\r\nTransfer-Encoding: chunked");
        inside(&[&twice, "1\r\nx\r\n0\r\n\r\n"], Ok(""));
        inside(&[head, "0\r\n\r\nH"], Err(Misbehaviour::Unsolicited.into()));
        let malformed = || Err(Misbehaviour::Malformed.into());
        inside(&[head, "1\r\nxx\r\n"], malformed());
        inside(&[head, "x\r\n"], malformed());
        inside(&[head, "0\r\nx\r\n"], malformed());
        let chunk = format!("7fff\r\n{}\r\n", "x".repeat(0x7fff));
        inside(&[head, &chunk, &chunk, "2\r\nxx\r\n0\r\n\r\n"], Ok(""));
        inside(&[head, &chunk, &chunk, "3\r\n"], Err(Misbehaviour::FrameTooLong.into()));
        inside(&[head, "10001\r\n"], Err(Misbehaviour::FrameTooLong.into()));
        let many = "1\r\nx\r\n".repeat(63);
        inside(&[head, &many], Err(Misbehaviour::TooManyFrames.into()));
    }

    #[test]
    fn client_needs_a_channel_that_goes_on() {
        for fields in [
            "",
            "Connection: close\r\nContent-Length: 0\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Transfer-Encoding: chunked, gzip\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        ] {
            let answer = format!("HTTP/1.1 404 x\r\n{fields}\r\n");
            inside(&[&answer], Err(Error::PeerRefused(refusal(404, false))));
        }
        let old = OK.replace("1.1", "1.0");
        inside(&[&old], Err(Error::PeerRefused(refusal(200, false))));
        let busy = "HTTP/1.1 503 x\r\n\r\n";
        let end = Refusal { kind: RefusalKind::Service, code: 503, temporary: true };
        inside(&[busy], Err(Error::PeerRefused(end)));
    }

    #[test]
    fn client_takes_nothing_but_one_answer() {
        inside(&[&format!("{OK}{OK}")], Err(Misbehaviour::Unsolicited.into()));
        inside(&[&format!("{OK}H")], Err(Misbehaviour::Unsolicited.into()));
        let end = Err(Misbehaviour::UnexpectedReply(101).into());
        inside(&["HTTP/1.1 101 x\r\nUpgrade: TLS/1.0\r\n\r\n"], end);
        inside(&["SSH-2.0-x\r\n"], Err(Misbehaviour::Malformed.into()));
        inside(&["220 mail.example.org\r\n"], Err(Misbehaviour::Malformed.into()));
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn client_speaks_first_behind_implicit_tls() {
        use crate::protocol::{Names, scheme};
        let machine = || scheme("https").unwrap().inside_client(Names::new("x")).unwrap();
        check_inside(machine(), "", &[], "", Ok(""));
        check_inside(machine(), OK, &[], "", Err(Misbehaviour::Greeting.into()));
        let server = scheme("https").unwrap().inside_server(Names::new("x")).unwrap();
        check_inside(server, "", &["GET"], "", Ok("GET"));
        let server = scheme("http").unwrap().inside_server(Names::new("x")).unwrap();
        check_inside(server, "", &["GET"], OK, Ok("GET"));
    }

    #[test]
    fn names_are_checked() {
        for bad in ["", "a b", "a\r\nX: y", "a\0", "b\u{fc}cher.example"] {
            assert_eq!(Client::new(bad).err(), Some(Misuse::Name.into()), "{bad:?}");
        }
        assert!(Client::new("[2001:db8::80]:631").is_ok());
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<Client<'_>>() <= 128 && size_of::<Server>() <= 128);
        assert!(size_of::<InsideClient>() <= 128 && size_of::<InsideServer>() <= 128);
    }
}
