//! The stream inside TLS, up to its features and to the first element behind them.

use super::read::{Asked, FromClient, FromServer, Heard};
use super::stream::Kind;
use super::{CLOSE, Initiator, Receiver};
use crate::error::{Error, Misbehaviour, Misuse, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{Client, Server};
use crate::protocol::Row;
use crate::wire::xml::markup;
use crate::wire::{Frame, MAX_LINE, Out};

/// RFC 6120 §5.4.2.2: the stream ends behind it.
const FAILURE: &[u8] = b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// The client's side inside TLS: opens a new stream, and reads to the end of its features.
#[derive(Debug)]
pub struct InsideClient<'a> {
    us: Initiator<'a>,
    server: FromServer,
}

impl<'a> InsideClient<'a> {
    /// As [`Client::to_server`](super::Client::to_server), inside TLS.
    ///
    /// # Errors
    /// As there.
    pub fn to_server(to: &'a str) -> Result<Self, Error> {
        Self::of(Kind::Client, to, to)
    }

    /// As [`Client::server_to_server`](super::Client::server_to_server), inside TLS.
    ///
    /// # Errors
    /// As there.
    pub fn server_to_server(from: &'a str, to: &'a str) -> Result<Self, Error> {
        Self::of(Kind::Server, from, to)
    }

    fn of(kind: Kind, from: &'a str, to: &'a str) -> Result<Self, Error> {
        Ok(Self { us: Initiator::new(kind, from, to)?, server: FromServer::default() })
    }
}

fn refused<T>(why: Refusal, last: &[&[u8]], out: &mut Out<'_>) -> Result<T, Error> {
    out.put(last)?;
    out.put(&[CLOSE])?;
    Err(Error::PeerRefused(why))
}

impl Inside for InsideClient<'_> {
    type Side = Client;

    fn row(&self) -> &'static Row {
        self.us.kind.row()
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    /// A server may send white space, or end the stream, at any time (RFC 6120 §4.6.1).
    fn goes_on(&self) -> bool {
        true
    }

    fn start(&mut self, arrived: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        if !arrived.is_empty() {
            return Err(Misbehaviour::Greeting.into());
        }
        self.us.open(out)?;
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.server.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        let (server, heard) = self.server.next(frame)?;
        let step = match heard {
            Heard::More => Step::Frame,
            Heard::Features => Step::Ready,
            // It must not be offered here (RFC 6120 §5.4.3.3): this is how another port begins.
            Heard::Starttls => return Err(Misbehaviour::Greeting.into()),
            Heard::Old => refused(Refusal::new(RefusalKind::Inside, 0), &[], out)?,
            Heard::Ended(temporary) => {
                refused(Refusal::without_code(RefusalKind::Service, temporary), &[], out)?
            }
            // Never before the features have ended.
            Heard::Proceed | Heard::Failure => return Err(Misbehaviour::Unsolicited.into()),
        };
        self.server = server;
        Ok(step)
    }
}

/// The server's side inside TLS, up to the first element that is not about TLS.
#[derive(Debug)]
pub struct InsideServer<'a> {
    us: Receiver<'a>,
    features: &'a [&'a str],
    client: FromClient,
}

impl<'a> InsideServer<'a> {
    /// As [`Server::to_client`](super::Server::to_client), inside TLS: a new stream has another id
    /// (RFC 6120 §5.4.3.3). It offers `features`, each of them whole elements, such as
    /// `<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>…</mechanisms>`.
    ///
    /// # Errors
    /// As there; [`Misuse::Line`] for features that are not well-formed, or STARTTLS among them.
    pub fn to_client(name: &'a str, id: [u8; 16], features: &'a [&'a str]) -> Result<Self, Error> {
        Self::of(Kind::Client, name, id, features)
    }

    /// The same for other servers.
    ///
    /// # Errors
    /// As [`to_client`](Self::to_client).
    pub fn server_to_server(
        name: &'a str,
        id: [u8; 16],
        features: &'a [&'a str],
    ) -> Result<Self, Error> {
        Self::of(Kind::Server, name, id, features)
    }

    fn of(kind: Kind, name: &'a str, id: [u8; 16], features: &'a [&'a str]) -> Result<Self, Error> {
        let us = Receiver::new(kind, name, id)?;
        match features.iter().all(|feature| FromServer::may_offer(feature)) {
            true => Ok(Self { us, features, client: FromClient::default() }),
            false => Err(Misuse::Line.into()),
        }
    }

    fn offer(&self, out: &mut Out<'_>) -> Result<(), Error> {
        out.put(&[b"<stream:features>"])?;
        for feature in self.features {
            out.put(&[feature.as_bytes()])?;
        }
        out.put(&[b"</stream:features>"])
    }
}

impl Inside for InsideServer<'_> {
    type Side = Server;

    fn row(&self) -> &'static Row {
        self.us.kind.row()
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        markup(input, scanned, false)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        let (client, asked) = self.client.next(self.us.kind, frame)?;
        let why = Refusal::new(RefusalKind::Inside, 0);
        let step = match asked {
            Asked::More => Step::Frame,
            Asked::Stream(header, fault) => {
                self.us.open(header, out)?;
                if let Some(condition) = fault {
                    self.us.error(condition, out)?;
                    refused(why, &[], out)?;
                }
                self.offer(out)?;
                Step::Frame
            }
            Asked::Starttls => refused(why, &[FAILURE], out)?,
            Asked::Auth | Asked::End | Asked::Other => Step::Application,
        };
        self.client = client;
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::protocol::vectors::check_inside;

    const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' from='im.example.org' id='x' version='1.0'>";
    const FEATURES: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
        <mechanism>PLAIN</mechanism></mechanisms></stream:features>";
    const OPENED: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' to='im.example.org' version='1.0'>";
    const CLOSED: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' to='im.example.org' version='1.0'>\
        </stream:stream>";

    #[track_caller]
    fn client(input: &[&str], sent: &str, end: Result<&str, Error>) {
        check_inside(InsideClient::to_server("im.example.org").unwrap(), "", input, sent, end);
    }

    #[test]
    fn client_opens_a_new_stream() {
        client(&[HEADER, FEATURES], OPENED, Ok(""));
        client(&[&format!("{HEADER}\n{FEATURES}")], OPENED, Ok(""));
        client(&[HEADER, "<stream:features/>"], OPENED, Ok(""));
        // STARTTLS elsewhere is none.
        let deep = "<stream:features><a><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></a>\
            <starttls xmlns='x'/></stream:features>";
        client(&[HEADER, deep], OPENED, Ok(""));
        let server = InsideClient::server_to_server("a.example", "im.example.org").unwrap();
        let sent = OPENED
            .replace("jabber:client", "jabber:server")
            .replace(" version='1.0'>", " from='a.example' version='1.0'>");
        let header = HEADER.replace("jabber:client", "jabber:server");
        check_inside(server, "", &[&header, FEATURES], &sent, Ok(""));
        // What is behind the features is the application's.
        client(&[HEADER, FEATURES, " "], OPENED, Ok(""));
        client(&[HEADER, &format!("{FEATURES}\n<")], OPENED, Ok("\n<"));
    }

    #[test]
    fn client_takes_no_greeting() {
        let greeting = Err(Misbehaviour::Greeting.into());
        for arrived in [HEADER, " ", "220 mail.example.org"] {
            let machine = InsideClient::to_server("im.example.org").unwrap();
            check_inside(machine, arrived, &[], "", greeting);
        }
        for offer in [
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>",
            "<a/><t:starttls xmlns:t='urn:ietf:params:xml:ns:xmpp-tls'>",
        ] {
            client(&[HEADER, "<stream:features>", offer], OPENED, greeting);
        }
        client(&["220 mail.example.org"], OPENED, Err(Misbehaviour::Malformed.into()));
        let proceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        client(&[HEADER, proceed], OPENED, Err(Misbehaviour::Unsolicited.into()));
        client(&[HEADER, "<message/>"], OPENED, Err(Misbehaviour::UnexpectedReply(0).into()));
    }

    #[test]
    fn client_may_be_refused() {
        for (condition, temporary) in [("system-shutdown", true), ("host-unknown", false)] {
            let error = format!("<stream:error><{condition} xmlns='x'/></stream:error>");
            let why = Refusal::without_code(RefusalKind::Service, temporary);
            client(&[HEADER, &error], CLOSED, Err(Error::PeerRefused(why)));
        }
        let why = Refusal::new(RefusalKind::Service, 0);
        client(&[HEADER, "</stream:stream>"], CLOSED, Err(Error::PeerRefused(why)));
        let why = Refusal::new(RefusalKind::Inside, 0);
        client(&[&HEADER.replace(" version='1.0'>", ">")], CLOSED, Err(Error::PeerRefused(why)));
    }

    const ID: [u8; 16] = *b"0123456789abcdef";
    const ANSWER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' from='im.example.org' \
        id='30313233343536373839616263646566' xml:lang='en' version='1.0'>";
    const MECHANISMS: &[&str] = &["<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
        <mechanism>PLAIN</mechanism></mechanisms>"];

    #[track_caller]
    fn server(input: &[&str], sent: &str, end: Result<&str, Error>) {
        let machine = || InsideServer::to_client("im.example.org", ID, MECHANISMS).unwrap();
        check_inside(machine(), "", input, sent, end);
        check_inside(machine(), input[0], &input[1..], sent, end);
    }

    const REFUSED: Error = Error::PeerRefused(Refusal::new(RefusalKind::Inside, 0));

    #[test]
    fn server_begins_from_nothing() {
        let sent = format!("{ANSWER}{FEATURES}");
        for last in [
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEA",
            "<iq type='get'/>",
            "</stream:stream>",
            "<starttls/>",
            "<stream:stream>",
        ] {
            server(&[OPENED, last], &sent, Ok(last));
            server(&[&format!("{OPENED}{last}")], &sent, Ok(last));
        }
        server(&[OPENED, " \n ", "<a/>"], &sent, Ok("<a/>"));
        let header = OPENED.replace("jabber:client", "jabber:server");
        let bare = InsideServer::server_to_server("im.example.org", ID, &[]).unwrap();
        let sent = ANSWER.replace("jabber:client", "jabber:server");
        let sent = format!("{sent}<stream:features></stream:features>");
        check_inside(bare, "", &[&header, "<a/>"], &sent, Ok("<a/>"));
    }

    #[test]
    fn server_refuses_a_second_request() {
        let sent = format!(
            "{ANSWER}{FEATURES}<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"
        );
        for starttls in [
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            "<t:starttls xmlns:t='urn:ietf:params:xml:ns:xmpp-tls'> </t:starttls>",
        ] {
            server(&[OPENED, starttls], &sent, Err(REFUSED));
            server(&[&format!("{OPENED}{starttls}<auth/>")], &sent, Err(REFUSED));
        }
        let open = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>";
        let features = format!("{ANSWER}{FEATURES}");
        server(&[OPENED, open], &features, Err(Error::Closed));
        server(&[OPENED, open, "<a/>"], &features, Err(Misbehaviour::Malformed.into()));
    }

    #[test]
    fn server_says_what_is_wrong_with_a_header() {
        for (there, instead, condition) in [
            ("jabber:client", "jabber:server", "invalid-namespace"),
            (" to='im.example.org'", "", "improper-addressing"),
            (" version='1.0'>", ">", "unsupported-version"),
        ] {
            let sent = format!(
                "{ANSWER}<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                 </stream:error></stream:stream>"
            );
            server(&[&OPENED.replace(there, instead)], &sent, Err(REFUSED));
        }
        server(&["<a/>"], "", Err(Misbehaviour::Malformed.into()));
    }

    #[test]
    fn features_are_checked() {
        for bad in [
            "PLAIN",
            "<a>",
            "</a>",
            "<a/></stream:features>",
            "<a/>text",
            "<a>&b;</a>",
            "<!--a-->",
            "<a/><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>",
            "<a/><?xml version='1.0'?>",
            "<a\0/>",
            "<a",
        ] {
            let machine = |features: &[&str]| {
                InsideServer::to_client("im.example.org", ID, features).map(|_| ())
            };
            assert_eq!(machine(&["<b/>", bad]), Err(Misuse::Line.into()), "{bad}");
            assert_eq!(machine(&["<b/>", "<a><b>c</b></a> <d/>"]), Ok(()));
        }
    }

    #[test]
    fn names_are_checked() {
        for bad in ["", "a b", "a<", "a'"] {
            let error = Some(Misuse::Name.into());
            assert_eq!(InsideClient::to_server(bad).err(), error, "{bad:?}");
            assert_eq!(InsideClient::server_to_server(bad, "a").err(), error, "{bad:?}");
            assert_eq!(InsideServer::to_client(bad, ID, &[]).err(), error, "{bad:?}");
            assert_eq!(InsideServer::server_to_server(bad, ID, &[]).err(), error, "{bad:?}");
        }
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<InsideClient<'_>>() <= 128 && size_of::<InsideServer<'_>>() <= 128);
    }
}
