//! StartTLS for LDAP (RFC 4511 §4.14), both roles.
//!
//! ```text
//! client   StartTLS request, messageID 1 ──resultCode 0──► TLS
//!              │  └─── other notices, dropped ┘  │ any other
//!              │                                 └──► refused, UnbindRequest
//!              └── Notice of Disconnection ─────────► refused
//!
//! server   Bind, Search, … confidentialityRequired ──► StartTLS success ──► TLS
//!                                                  └─► UnbindRequest, not asked
//!
//! inside TLS
//! client   ready, unless the server speaks first
//! server   StartTLS operationsError; anything else is the application's
//! ```
//!
//! A referral is never followed, and neither it nor the texts of an answer are looked at. A session
//! inside TLS begins from nothing: what a server says of itself is to be read again there
//! (RFC 4513 §3.1.5). A server does not layer TLS on TLS (RFC 4513 §3.1.1): [`InsideServer`]
//! refuses a second StartTLS, and leaves the first other message to its application, however long.

use crate::error::{Error, Misbehaviour, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::Row;
use crate::wire::{Frame, Out, ber};

/// The longest message accepted before TLS, in octets.
const MAX_MESSAGE: usize = 2048;

/// The most requests a server answers, and notices a client drops, before TLS.
const MAX_MESSAGES: u8 = 128;

/// requestName of StartTLS (§4.14.1).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// responseName of the Notice of Disconnection (§4.4.1).
const DISCONNECTION: &[u8] = b"1.3.6.1.4.1.1466.20036";

/// The messageID of the client's request; that of its UnbindRequest is the next.
const ID: u32 = 1;

// Protocol operations (§4.2 to §4.12).
const UNBIND_REQUEST: u8 = 0x42;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
const ABANDON_REQUEST: u8 = 0x50;

// Parts of an extended operation (§4.12), and controls (§4.1.11).
const REQUEST_NAME: u8 = 0x80;
const REQUEST_VALUE: u8 = 0x81;
const RESPONSE_NAME: u8 = 0x8a;
const RESPONSE_VALUE: u8 = 0x8b;
const CONTROLS: u8 = 0xa0;

// Result codes (§4.1.9, appendix A).
const SUCCESS: u8 = 0;
const OPERATIONS_ERROR: u8 = 1;
const PROTOCOL_ERROR: u8 = 2;
const UNAVAILABLE_CRITICAL_EXTENSION: u8 = 12;
const CONFIDENTIALITY_REQUIRED: u8 = 13;
const BUSY: u16 = 51;
const UNAVAILABLE: u16 = 52;

/// The directory access protocol.
pub static LDAP: Row = Row {
    name: "ldap",
    aliases: &[],
    port: 389,
    implicit: &[("ldaps", 636)],
    alpn: None,
    specification: "RFC 4511 §4.14",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static LDAP_MACHINES: Machines = Machines {
    client: |_| Ok(alloc::boxed::Box::new(Client::new())),
    server: |_| Ok(alloc::boxed::Box::new(Server::new())),
    inside_client: |_, _| Ok(alloc::boxed::Box::new(crate::inside::Nothing::first(&LDAP))),
    inside_server: |_, _| Ok(alloc::boxed::Box::new(InsideServer::new())),
};

/// The client's side.
#[derive(Debug, Default)]
pub struct Client {
    notices: u8,
    plaintext: bool,
}

impl Client {
    /// A client that asks for StartTLS before anything else. The first messageID free inside TLS
    /// is 2.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refused: where the policy requires TLS, all that is left to say is goodbye.
    fn refused(&self, code: u16, behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        if !self.plaintext {
            out.put(&[&[ber::SEQUENCE, 5, ber::INTEGER, 1, 2, UNBIND_REQUEST, 0]])?;
        } else if !behind.is_empty() {
            return Err(Misbehaviour::Unsolicited.into());
        }
        Err(refusal(RefusalKind::Upgrade, code))
    }
}

fn refusal(kind: RefusalKind, code: u16) -> Error {
    Error::PeerRefused(Refusal { kind, code, temporary: matches!(code, BUSY | UNAVAILABLE) })
}

impl Negotiate for Client {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &LDAP
    }

    fn max_frame(&self) -> usize {
        MAX_MESSAGE
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        let head = [ber::SEQUENCE, 29, ber::INTEGER, 1, 1, EXTENDED_REQUEST, 24, REQUEST_NAME, 22];
        out.put(&[&head, START_TLS])?;
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], _: usize) -> Result<Frame, Error> {
        ber::sequence(input, MAX_MESSAGE)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let message = Message::parse(frame)?;
        if message.operation != EXTENDED_RESPONSE {
            return Err(Misbehaviour::UnexpectedReply(0).into());
        }
        let response = Response::parse(message.content)?;
        match (message.id, response.code, response.name) {
            (0, code, Some(DISCONNECTION)) => Err(refusal(RefusalKind::Service, code)),
            (0, _, Some(_)) if self.notices < MAX_MESSAGES => {
                self.notices += 1;
                Ok(Next::Frame)
            }
            (0, _, Some(_)) => Err(Misbehaviour::TooManyFrames.into()),
            // A notice has a name (§4.4).
            (0, _, None) => Err(Misbehaviour::Malformed.into()),
            // The name may be left out; there is never a value (§4.14.2).
            (ID, 0, None | Some(START_TLS)) if !response.value => Ok(Next::Tls),
            (ID, code @ 1.., _) => self.refused(code, behind, out),
            (_, code, _) => Err(Misbehaviour::UnexpectedReply(code).into()),
        }
    }
}

/// The server's side.
#[derive(Debug, Default)]
pub struct Server {
    requests: u8,
    plaintext: bool,
}

impl Server {
    /// A server that requires StartTLS of its clients.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Negotiate for Server {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &LDAP
    }

    fn max_frame(&self) -> usize {
        MAX_MESSAGE
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, _: &mut Out<'_>) -> Result<Next, Error> {
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], _: usize) -> Result<Frame, Error> {
        ber::sequence(input, MAX_MESSAGE)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        if self.requests == MAX_MESSAGES {
            return Err(Misbehaviour::TooManyFrames.into());
        }
        let message = Message::parse(frame)?;
        let mut next = Next::Frame;
        match (Request::of(&message)?, answer_to(message.operation)) {
            // 0 is for notices (§4.1.1.1).
            _ if message.id == 0 => return Err(Misbehaviour::Malformed.into()),
            (Request::StartTls(code), _) => {
                message.answer(EXTENDED_RESPONSE, code, b"", false, out)?;
                if code == SUCCESS {
                    next = Next::Tls;
                }
            }
            (Request::Unbind, _) => return Err(refusal(RefusalKind::NotAsked, 0)),
            (Request::Abandon | Request::Other, _) if self.plaintext => {
                return Err(refusal(RefusalKind::NotAsked, 0));
            }
            // There is no answer to it (§4.11).
            (Request::Abandon, _) => {}
            (Request::Other, Some(answer)) => {
                let text = b"StartTLS required";
                message.answer(answer, CONFIDENTIALITY_REQUIRED, text, false, out)?;
            }
            (Request::Other, None) => return Err(Misbehaviour::Malformed.into()),
        }
        self.requests += 1;
        Ok(next)
    }
}

/// The server's side inside TLS, up to the first message for its application.
#[derive(Debug, Default)]
pub struct InsideServer(());

impl InsideServer {
    /// A server that granted StartTLS, or never was without TLS.
    pub fn new() -> Self {
        Self::default()
    }
}

/// What is read of a message that is too long, in octets: whoever asks for StartTLS has said so by
/// then, in lengths of four octets even.
const FRONT: usize = 64;

impl Inside for InsideServer {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &LDAP
    }

    fn max_frame(&self) -> usize {
        MAX_MESSAGE
    }

    fn start(&mut self, _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], _: usize) -> Result<Frame, Error> {
        match ber::sequence(input, MAX_MESSAGE) {
            Err(Error::PeerMisbehaved(Misbehaviour::FrameTooLong)) if input.len() < FRONT => {
                Ok(Frame::Partial)
            }
            Err(Error::PeerMisbehaved(Misbehaviour::FrameTooLong)) => Ok(Frame::Whole(FRONT)),
            found => found,
        }
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        if ber::sequence(frame, MAX_MESSAGE).is_err() {
            return match asks_for_tls(frame) {
                Ok(true) => Err(Misbehaviour::FrameTooLong.into()),
                _ => Ok(Step::Application),
            };
        }
        let Ok(message) = Message::parse(frame) else { return Ok(Step::Application) };
        match (message.id, Request::of(&message)) {
            (1.., Ok(Request::StartTls(_))) => {
                let text = b"TLS is active already";
                message.answer(EXTENDED_RESPONSE, OPERATIONS_ERROR, text, true, out)?;
                Ok(Step::Frame)
            }
            _ => Ok(Step::Application),
        }
    }
}

/// Whether this is the front of a StartTLS request.
fn asks_for_tls(front: &[u8]) -> Result<bool, Error> {
    let mut message = ber::Elements::of(front).enter(ber::SEQUENCE)?;
    message.expect(ber::INTEGER)?;
    Ok(message.enter(EXTENDED_REQUEST)?.expect(REQUEST_NAME)? == START_TLS)
}

/// An LDAPMessage (§4.1.1).
#[derive(Clone, Copy, Debug)]
struct Message<'a> {
    id: u32,
    operation: u8,
    content: &'a [u8],
    controls: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Parses one whole message. What stands behind the parts known is for future versions (§4).
    fn parse(frame: &'a [u8]) -> Result<Self, Error> {
        let mut parts = ber::Elements::of(ber::Elements::of(frame).expect(ber::SEQUENCE)?);
        let id = ber::unsigned(parts.expect(ber::INTEGER)?)?;
        let Some((operation, content)) = parts.next()? else {
            return Err(Misbehaviour::Malformed.into());
        };
        let mut controls = None;
        while let Some((tag, content)) = parts.next()? {
            if tag == CONTROLS {
                controls = Some(content);
            }
        }
        Ok(Self { id, operation, content, controls })
    }

    /// Whether one of its controls must be understood (§4.1.11).
    fn is_critical(&self) -> Result<bool, Error> {
        let mut controls = ber::Elements::of(self.controls.unwrap_or_default());
        let mut critical = false;
        while let Some((ber::SEQUENCE, control)) = controls.next()? {
            let mut parts = ber::Elements::of(control);
            parts.expect(ber::OCTET_STRING)?;
            if let Some((ber::BOOLEAN, truth)) = parts.next()? {
                critical |= truth != [0];
            }
        }
        Ok(critical)
    }

    /// Answers it with an LDAPResult (§4.1.9), and the responseName of StartTLS where it is `named`.
    fn answer(
        &self,
        tag: u8,
        code: u8,
        text: &[u8],
        named: bool,
        out: &mut Out<'_>,
    ) -> Result<(), Error> {
        // The fewest octets that leave the sign bit clear.
        let octets = match self.id {
            0..=0x7f => 1_u8,
            0x80..=0x7fff => 2,
            0x8000..=0x7f_ffff => 3,
            _ => 4,
        };
        let id = self.id.to_be_bytes();
        let id = id.get(id.len() - usize::from(octets)..).unwrap_or_default();
        let name: [&[u8]; 2] = if named { [&[RESPONSE_NAME, 22], START_TLS] } else { [b"", b""] };
        let said = u8::try_from(text.len()).unwrap_or(0);
        let behind = said + if named { 24 } else { 0 };
        out.put(&[
            &[ber::SEQUENCE, 11 + octets + behind, ber::INTEGER, octets],
            id,
            &[tag, 7 + behind, ber::ENUMERATED, 1, code, ber::OCTET_STRING, 0],
            &[ber::OCTET_STRING, said],
            text,
        ])?;
        out.put(&name)
    }
}

/// An ExtendedResponse (§4.12).
#[derive(Clone, Copy, Debug)]
struct Response<'a> {
    code: u16,
    name: Option<&'a [u8]>,
    value: bool,
}

impl<'a> Response<'a> {
    fn parse(content: &'a [u8]) -> Result<Self, Error> {
        let mut parts = ber::Elements::of(content);
        let code = ber::unsigned(parts.expect(ber::ENUMERATED)?)?;
        let Ok(code) = u16::try_from(code) else { return Err(Misbehaviour::Malformed.into()) };
        // matchedDN and diagnosticMessage.
        parts.expect(ber::OCTET_STRING)?;
        parts.expect(ber::OCTET_STRING)?;
        let mut response = Self { code, name: None, value: false };
        while let Some((tag, content)) = parts.next()? {
            match tag {
                RESPONSE_NAME => response.name = Some(content),
                RESPONSE_VALUE => response.value = true,
                // A referral, which is not followed, or what a later version adds.
                _ => {}
            }
        }
        Ok(response)
    }
}

/// What a client may ask before TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// With the resultCode it deserves.
    StartTls(u8),
    Unbind,
    Abandon,
    Other,
}

impl Request {
    fn of(message: &Message<'_>) -> Result<Self, Error> {
        match message.operation {
            UNBIND_REQUEST => return Ok(Self::Unbind),
            ABANDON_REQUEST => return Ok(Self::Abandon),
            EXTENDED_REQUEST => {}
            _ => return Ok(Self::Other),
        }
        let mut parts = ber::Elements::of(message.content);
        if parts.expect(REQUEST_NAME)? != START_TLS {
            return Ok(Self::Other);
        }
        let mut code =
            if message.is_critical()? { UNAVAILABLE_CRITICAL_EXTENSION } else { SUCCESS };
        while let Some((tag, _)) = parts.next()? {
            if tag == REQUEST_VALUE {
                code = PROTOCOL_ERROR;
            }
        }
        Ok(Self::StartTls(code))
    }
}

/// The operation that answers a request, if it is one and has an answer.
fn answer_to(request: u8) -> Option<u8> {
    match request {
        // Bind, Modify, Add, ModifyDN, Compare, Extended.
        0x60 | 0x66 | 0x68 | 0x6c | 0x6e | EXTENDED_REQUEST => Some(request + 1),
        // Search: its SearchResultDone.
        0x63 => Some(0x65),
        // Delete, whose request is primitive.
        0x4a => Some(0x6b),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::vectors::check_octets;

    fn client(reply: &[u8], sent: &[u8]) -> Result<Next, Error> {
        let mut storage = [0; 64];
        let (mut client, mut out) = (Client::new(), Out::new(&mut storage));
        assert_eq!(client.frame(reply, 0), Ok(Frame::Whole(reply.len())));
        let next = client.process(reply, b"", &mut out);
        assert_eq!(out.octets(), sent);
        next
    }

    fn server(request: &[u8], sent: &[u8]) -> Result<Next, Error> {
        let mut storage = [0; 64];
        let (mut server, mut out) = (Server::new(), Out::new(&mut storage));
        assert_eq!(server.frame(request, 0), Ok(Frame::Whole(request.len())));
        let next = server.process(request, b"", &mut out);
        assert_eq!(out.octets(), sent);
        next
    }

    const ASK: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    const YES: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";

    #[test]
    fn the_request_is_as_everybody_writes_it() {
        let mut storage = [0; 31];
        let mut out = Out::new(&mut storage);
        assert_eq!(Client::new().start(&mut out), Ok(Next::Frame));
        assert_eq!(out.octets(), ASK);
    }

    #[test]
    fn the_answer_too() {
        assert_eq!(client(YES, b""), Ok(Next::Tls));
        assert_eq!(server(ASK, YES), Ok(Next::Tls));
    }

    #[test]
    fn the_message_id_comes_back() {
        for (id, answer) in [
            (&b"\x02\x01\x7f"[..], &b"\x30\x0c\x02\x01\x7f"[..]),
            (b"\x02\x02\x00\x80", b"\x30\x0d\x02\x02\x00\x80"),
            (b"\x02\x04\x00\x00\x00\x80", b"\x30\x0d\x02\x02\x00\x80"),
            (b"\x02\x02\x7f\xff", b"\x30\x0d\x02\x02\x7f\xff"),
            (b"\x02\x03\x00\x80\x00", b"\x30\x0e\x02\x03\x00\x80\x00"),
            (b"\x02\x03\x7f\xff\xff", b"\x30\x0e\x02\x03\x7f\xff\xff"),
            (b"\x02\x04\x00\x80\x00\x00", b"\x30\x0f\x02\x04\x00\x80\x00\x00"),
            (b"\x02\x04\x7f\xff\xff\xff", b"\x30\x0f\x02\x04\x7f\xff\xff\xff"),
        ] {
            let length = [0x30, id.len() as u8 + 26];
            let request = [&length[..], id, &ASK[5..]].concat();
            assert_eq!(server(&request, &[answer, &YES[5..]].concat()), Ok(Next::Tls));
        }
    }

    #[test]
    fn what_may_be_tried_again() {
        for code in 1..=255 {
            let mut no = YES.to_vec();
            no[9] = code;
            let temporary = matches!(code, 51 | 52);
            let why = Refusal { kind: RefusalKind::Upgrade, code: code.into(), temporary };
            if code < 128 {
                let end = client(&no, b"\x30\x05\x02\x01\x02\x42\x00");
                assert_eq!(end, Err(Error::PeerRefused(why)));
            } else {
                assert_eq!(client(&no, b""), Err(Misbehaviour::Malformed.into()));
            }
        }
    }

    #[test]
    fn every_request_has_its_answer() {
        let table = [
            (0x60, 0x61),
            (0x63, 0x65),
            (0x66, 0x67),
            (0x68, 0x69),
            (0x4a, 0x6b),
            (0x6c, 0x6d),
            (0x6e, 0x6f),
        ];
        for request in (0..=255_u8).filter(|tag| tag & 0x1f != 0x1f) {
            let message = [0x30, 0x05, 0x02, 0x01, 0x07, request, 0x00];
            let answer = table.iter().find(|(tag, _)| *tag == request);
            if let Some((_, answer)) = answer {
                let said = [
                    &[0x30, 0x1d, 0x02, 0x01, 0x07, *answer, 0x18, 0x0a, 0x01, 0x0d, 0x04, 0x00],
                    &b"\x04\x11StartTLS required"[..],
                ];
                assert_eq!(server(&message, &said.concat()), Ok(Next::Frame), "{request:#x}");
            } else if request == ABANDON_REQUEST {
                assert_eq!(server(&message, b""), Ok(Next::Frame));
            } else if request == UNBIND_REQUEST {
                assert_eq!(server(&message, b""), Err(refusal(RefusalKind::NotAsked, 0)));
            } else {
                assert_eq!(server(&message, b""), Err(Misbehaviour::Malformed.into()));
            }
        }
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<Client>() <= 8 && size_of::<Server>() <= 8);
        assert_eq!(size_of::<InsideServer>(), 0);
    }

    const BIND: &[u8] = b"\x30\x0c\x02\x01\x02\x60\x07\x02\x01\x03\x04\x00\x80\x00";

    const NO: &[u8] =
        b"\x30\x39\x02\x01\x01\x78\x34\x0a\x01\x01\x04\x00\x04\x15TLS is active already\
        \x8a\x161.3.6.1.4.1.1466.20037";

    #[track_caller]
    fn inside(input: &[&[u8]], sent: &[u8], end: Result<&[u8], Error>) {
        check_octets(InsideServer::new(), b"", input, sent, end);
    }

    #[test]
    fn server_does_not_layer_tls_on_tls() {
        inside(&[ASK], NO, Err(Error::Closed));
        inside(&[&ASK[..9], &ASK[9..30], &ASK[30..], BIND], NO, Ok(BIND));
        let wrong = b"\x30\x20\x02\x01\x01\x77\x1b\x80\x161.3.6.1.4.1.1466.20037\x81\x01x";
        inside(&[&[&wrong[..], ASK, BIND, ASK].concat()], &NO.repeat(2), Ok(&[BIND, ASK].concat()));
    }

    #[test]
    fn server_leaves_the_first_message_to_its_application() {
        let other = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20036";
        let zero = b"\x30\x1d\x02\x01\x00\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
        for message in [
            BIND,
            other,
            zero,
            b"\x30\x05\x02\x01\x01\x42\x00",
            b"\x30\x05\x02\x01\x01\x77\x00",
            b"\x30\x00",
            b"\x30\x02\x04\x00",
        ] {
            inside(&[message], b"", Ok(message));
            check_octets(InsideServer::new(), message, &[], b"", Ok(message));
        }
        inside(&[&BIND[..5]], b"", Err(Error::Closed));
        for bad in [&b"GET / HTTP/1.1"[..], b"\x30\x80", b"\x30\x85"] {
            inside(&[bad], b"", Err(Misbehaviour::Malformed.into()));
        }
    }

    #[test]
    fn server_leaves_what_is_too_long_to_its_application_by_its_front() {
        let long = |head: &[u8]| [head, &[b'x'; 4000]].concat();
        let mut add = long(b"\x30\x84\x01\x00\x00\x00\x02\x01\x07\x68\x84\x00\xff\xff\xf0");
        inside(&[&add], b"", Ok(&add));
        inside(&[&add[..1], &add[1..6], &add[6..63], &add[63..64]], b"", Ok(&add[..64]));
        inside(&[&add[..63]], b"", Err(Error::Closed));
        add[1] = 0x85;
        inside(&[&add], b"", Err(Misbehaviour::Malformed.into()));
        for other in [
            long(b"\x30\x82\x07\xfd\x02\x01\x07\x77\x18\x80\x161.3.6.1.4.1.1466.20036"),
            long(b"\x30\x82\x07\xfd\x02\x01\x07\x77\x19\x80\x171.3.6.1.4.1.1466.200370"),
            long(b"\x30\x82\x07\xfd\x02\x01\x07\x77\x82\x07\xf5\x80\x82\x07\xf0"),
            long(b"\x30\x82\x07\xfd\x04\x01\x07\x77\x18\x80\x161.3.6.1.4.1.1466.20037"),
        ] {
            inside(&[&other], b"", Ok(&other));
        }
        // The same message, of 2,048 octets and of one more, in the longest lengths there are.
        let ask = |length: &[u8]| {
            let head = [b"\x30\x84\x00\x00", length, b"\x02\x04\x00\x00\x00\x01\x77\x84\x00\x00"];
            let name = [b"\x00\x1c\x80\x84\x00\x00\x00\x16", START_TLS].concat();
            long(
                &[&head.concat(), &name[..], b"\xa0\x82\x07\xce\x30\x82\x07\xca\x04\x82\x07\xc6"]
                    .concat(),
            )
        };
        let too_long = Err(Misbehaviour::FrameTooLong.into());
        inside(&[&ask(b"\x07\xfb")], b"", too_long);
        inside(&[&ask(b"\x07\xfa")[..2048]], NO, Err(Error::Closed));
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn client_speaks_first_inside_tls() {
        use crate::protocol::{Names, scheme};
        for name in ["ldap", "ldaps"] {
            let machine = || scheme(name).unwrap().inside_client(Names::new("x")).unwrap();
            check_octets(machine(), b"", &[], b"", Ok(b""));
            check_octets(machine(), b"0", &[], b"", Err(Misbehaviour::Greeting.into()));
        }
    }
}
