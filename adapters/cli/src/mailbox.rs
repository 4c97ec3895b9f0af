//! A mail server for one connection: our server's machine, and our receiver inside TLS.

use starttls::Error;
use starttls::protocol::{Mail, Names, Scheme, ServerMachine};
use starttls::receiver::{Account, Received, Receiver};
use starttls::session::{Event, Session};
use starttls::tls::ServerTls;
use starttls::wire::{Decrypted, Out};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::channel;
use crate::exit::Failure;

/// What the server calls itself.
const OWN: &str = "mail.example.org";

/// The largest message taken, in octets.
const MAX_MESSAGE: u64 = 10 << 20;

/// Room for replies; each has at most 512 octets.
const ROOM: usize = 4096;

/// A mail that was taken.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) octets: Vec<u8>,
}

/// One session with its client.
struct Mailbox<'a> {
    tcp: TcpStream,
    session: Session<ServerMachine<'static>, Box<[u8]>, Box<[u8]>>,
    receiver: Receiver<'a>,
    incoming: Delivered,
    delivered: Vec<Delivered>,
    replies: Vec<u8>,
    over: bool,
}

/// Serves one client that has to log in, and gives the mails it left.
pub(crate) async fn serve(
    tcp: TcpStream,
    scheme: Scheme,
    tls: &ServerTls,
    account: Account<'_>,
) -> Result<Vec<Delivered>, Failure> {
    let machine = scheme.server(Names::new(OWN)).map_err(failure)?;
    let mail = scheme.row.mail.unwrap_or(Mail::Smtp);
    let receiver = Receiver::new(mail, OWN, scheme.implicit).map_err(failure)?;
    let stream = starttls_tokio::accept(tcp, machine, tls).await.map_err(channel::failure)?;
    let (tcp, session) = stream.into_parts();
    let mailbox = Mailbox {
        tcp,
        session,
        receiver: receiver.with_account(account).with_size(MAX_MESSAGE),
        incoming: Delivered::default(),
        delivered: Vec::new(),
        replies: Vec::new(),
        over: false,
    };
    mailbox.run().await
}

impl Mailbox<'_> {
    async fn run(mut self) -> Result<Vec<Delivered>, Failure> {
        // On implicit TLS the greeting comes first.
        self.hear()?;
        loop {
            self.reply().await?;
            if self.over {
                self.session.close();
                self.flush().await?;
                return Ok(self.delivered);
            }
            match self.session.process().map_err(failure)? {
                Event::Data => self.hear()?,
                Event::PeerClosed | Event::Closed => self.over = true,
                Event::NeedInput => {
                    self.flush().await?;
                    let n = self.tcp.read(self.session.spare_mut()).await.map_err(broken)?;
                    self.session.received(n).map_err(failure)?;
                }
                _ => {}
            }
        }
    }

    /// Shows the receiver what was decrypted, if anything was.
    fn hear(&mut self) -> Result<(), Failure> {
        let Self { session, receiver, incoming, delivered, replies, over, .. } = self;
        let mut heard = None;
        let mut talk = |data: Decrypted<'_>| converse(receiver, data, incoming, delivered, replies);
        session.lend(|data| {
            heard = Some(talk(data));
            data.len()
        });
        let closed = match heard {
            Some(result) => result,
            None => talk(Decrypted::default()),
        };
        *over |= closed.map_err(failure)?;
        Ok(())
    }

    async fn reply(&mut self) -> Result<(), Failure> {
        let replies = std::mem::take(&mut self.replies);
        let mut rest = replies.as_slice();
        while !rest.is_empty() {
            let n = self.session.write(rest).map_err(failure)?;
            rest = rest.get(n..).unwrap_or_default();
            if n == 0 {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        while !self.session.transmit().is_empty() {
            let n = self.tcp.write(self.session.transmit()).await.map_err(broken)?;
            self.session.transmitted(n).map_err(failure)?;
        }
        Ok(())
    }
}

/// All of `data`; whether the session is over.
fn converse(
    receiver: &mut Receiver<'_>,
    mut data: Decrypted<'_>,
    incoming: &mut Delivered,
    delivered: &mut Vec<Delivered>,
    replies: &mut Vec<u8>,
) -> Result<bool, Error> {
    let mut room = vec![0; ROOM];
    loop {
        let mut out = Out::new(&mut room);
        let result = receiver.process(data, &mut out);
        replies.extend_from_slice(out.octets());
        let (used, received) = result?;
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        match received {
            Received::Sender(address) => {
                *incoming = Delivered { from: text(address), ..Delivered::default() };
            }
            Received::Recipient(address) => incoming.to.push(text(address)),
            Received::Body(octets) => incoming.octets.extend_from_slice(octets),
            Received::MessageEnd => delivered.push(std::mem::take(incoming)),
            Received::NeedInput => return Ok(false),
            Received::Closed => return Ok(true),
            Received::Reset | Received::Send | Received::Authenticated => {}
        }
        data = data.skip(used);
    }
}

fn failure(error: Error) -> Failure {
    Failure::session(error, None, None)
}

fn broken(error: std::io::Error) -> Failure {
    Failure::stream(&error)
}
