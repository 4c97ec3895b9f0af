//! Transports in memory that are as bad as they are told to be, and peers at their other end.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use embedded_io::{ErrorKind, ErrorType};
use rustls::{ClientConfig, ServerConfig};
use starttls::negotiate::{Client, Negotiate, Server};
use starttls::protocol::{ClientMachine, ServerMachine};
use starttls::session::{Event, RECEIVE_BUFFER};
use starttls::storage::Storage;
use starttls::tls::{ClientTls, ServerTls};
use starttls_embedded_io::{Buffers, By, Error, Stream, Until};
use starttls_tests::mail::Sink;
use starttls_tests::sessions::{Heap, machines};

pub use starttls_tests::pki::{NAME, Pki};

/// What hears what is written and answers at once.
pub trait Peer {
    fn hear(&mut self, octets: &[u8]) -> Vec<u8>;
}

impl Peer for Sink {
    fn hear(&mut self, octets: &[u8]) -> Vec<u8> {
        self.answer(octets)
    }
}

/// A peer that reads and says these, one for each thing it hears.
pub struct Script(pub VecDeque<Vec<u8>>);

impl Script {
    pub fn new(lines: &[&str]) -> Self {
        Self(lines.iter().map(|line| line.as_bytes().to_vec()).collect())
    }
}

impl Peer for Script {
    fn hear(&mut self, _: &[u8]) -> Vec<u8> {
        self.0.pop_front().unwrap_or_default()
    }
}

/// A session of ours at the other end, which says `first` once it is up and then echoes.
pub struct Far<N> {
    pub session: Heap<N>,
    pub first: Vec<u8>,
    pub events: Vec<Result<Event, starttls::Error>>,
    pub heard: Vec<u8>,
    pub echo: bool,
}

impl<N: Negotiate> Far<N> {
    fn new(session: Heap<N>) -> Self {
        Self { session, first: Vec::new(), events: Vec::new(), heard: Vec::new(), echo: true }
    }
}

pub fn far_server(config: ServerConfig) -> Far<ServerMachine<'static>> {
    let tls = ServerTls::new(Arc::new(config)).unwrap();
    let (input, output) = (vec![0; RECEIVE_BUFFER], vec![0; 200_000]);
    Far::new(Heap::server(machines("smtp").1, &tls, input, output).unwrap())
}

pub fn far_client(config: ClientConfig) -> Far<ClientMachine<'static>> {
    let (input, output) = (vec![0; RECEIVE_BUFFER], vec![0; 200_000]);
    let tls = ClientTls::new(Arc::new(config));
    Far::new(Heap::client(machines("smtp").0, &tls, NAME, input, output).unwrap())
}

impl<N: Negotiate> Peer for Far<N> {
    fn hear(&mut self, mut octets: &[u8]) -> Vec<u8> {
        let mut said = Vec::new();
        loop {
            let event = self.session.process();
            let mut back = Vec::new();
            match event {
                Ok(Event::Data) => {
                    let mut data = vec![0; 20_000];
                    let n = self.session.read(&mut data);
                    data.truncate(n);
                    self.heard.extend(&data);
                    back.extend(if self.echo { data } else { vec![] });
                }
                Ok(Event::Established) => back.append(&mut self.first),
                Ok(Event::PeerClosed) => self.session.close(),
                _ => {}
            }
            if !back.is_empty() {
                let mut rest = &back[..];
                while !rest.is_empty() {
                    let n = self.session.write(rest).unwrap();
                    assert!(n > 0);
                    rest = &rest[n..];
                }
            }
            said.extend(self.session.transmit());
            self.session.transmitted(self.session.transmit().len()).unwrap();
            match event {
                Ok(Event::Data | Event::Established | Event::Transmit) => {}
                Ok(Event::NeedInput) if !octets.is_empty() => {
                    let n = self.session.spare_mut().len().min(octets.len());
                    self.session.spare_mut()[..n].copy_from_slice(&octets[..n]);
                    self.session.received(n).unwrap();
                    octets = &octets[n..];
                }
                _ => {
                    if event != Ok(Event::NeedInput) {
                        self.events.push(event);
                    }
                    return said;
                }
            }
        }
    }
}

/// A clock that advances when it is looked at, or when a transport is polled.
#[derive(Clone, Default)]
pub struct Clock(Rc<Cell<u32>>);

impl Clock {
    pub fn now(&self) -> u32 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }

    pub fn until(&self, end: u32) -> Until<impl FnMut() -> bool + use<>> {
        let clock = self.clone();
        Until(move || clock.now() >= end)
    }

    /// What `DelayNs::delay_ms` gives on a device.
    pub fn timer(&self, end: u32) -> impl Future<Output = ()> + Unpin + use<> {
        let clock = self.clone();
        poll_fn(move |cx| {
            if clock.now() >= end {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

/// How bad a transport is.
#[derive(Clone, Copy)]
pub struct Faults {
    /// Octets moved at a time.
    pub chunk: usize,
    /// This octet from the peer is lost.
    pub loses: Option<usize>,
    /// The transport ends behind this many octets from the peer.
    pub ends: Option<usize>,
    /// `NO CARRIER` comes behind this many octets from the peer, and then the end.
    pub hangs_up: Option<usize>,
    /// Each octet from the peer takes this many polls.
    pub slow: u32,
    /// Every other call is interrupted.
    pub interrupted: bool,
    /// Nothing is taken.
    pub stuck: bool,
    /// A write says that it took nothing.
    pub takes_nothing: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            chunk: usize::MAX,
            loses: None,
            ends: None,
            hangs_up: None,
            slow: 0,
            interrupted: false,
            stuck: false,
            takes_nothing: false,
        }
    }
}

/// A transport to `P`. Where it would block it says [`ErrorKind::TimedOut`], as one with a time-out
/// of its own does; asynchronously it waits for ever.
pub struct Wire<P> {
    pub peer: Rc<RefCell<P>>,
    pub faults: Rc<Cell<Faults>>,
    inbox: VecDeque<u8>,
    /// Octets from the peer so far.
    pub brought: usize,
    unflushed: Vec<u8>,
    polls: u32,
    turn: bool,
    begun: bool,
}

impl<P: Peer> Wire<P> {
    pub fn new(peer: P, faults: Faults) -> Self {
        let (peer, faults) = (Rc::new(RefCell::new(peer)), Rc::new(Cell::new(faults)));
        Self {
            peer,
            faults,
            inbox: VecDeque::new(),
            brought: 0,
            unflushed: Vec::new(),
            polls: 0,
            turn: false,
            begun: false,
        }
    }

    /// What is written reaches the peer when it is flushed, and not before.
    fn deliver(&mut self) {
        let octets = std::mem::take(&mut self.unflushed);
        if !octets.is_empty() || !self.begun {
            self.begun = true;
            let said = self.peer.borrow_mut().hear(&octets);
            for octet in said {
                let faults = self.faults.get();
                let at = self.brought;
                self.brought += 1;
                if faults.hangs_up == Some(at) {
                    self.inbox.extend(b"\r\nNO CARRIER\r\n");
                }
                let end = faults.ends.or(faults.hangs_up).unwrap_or(usize::MAX);
                if faults.loses != Some(at) && at < end {
                    self.inbox.push_back(octet);
                }
            }
        }
    }

    /// Whether nothing was written that was not flushed.
    pub fn is_silent(&self) -> bool {
        self.unflushed.is_empty()
    }

    /// Takes the last octets off those on their way.
    pub fn hold_back(&mut self, n: usize) -> Vec<u8> {
        self.inbox.split_off(self.inbox.len() - n).into()
    }

    /// The peer says these.
    pub fn bring(&mut self, octets: &[u8]) {
        self.inbox.extend(octets);
    }

    fn has_ended(&self) -> bool {
        let faults = self.faults.get();
        faults.ends.or(faults.hangs_up).is_some_and(|end| self.brought >= end)
    }

    fn is_readable(&mut self) -> bool {
        if !self.begun {
            self.deliver();
        }
        self.polls += 1;
        let late = self.polls <= self.faults.get().slow;
        !late && (!self.inbox.is_empty() || self.has_ended())
    }

    fn is_interrupted(&mut self) -> bool {
        self.turn = !self.turn;
        self.faults.get().interrupted && self.turn
    }

    fn take(&mut self, buf: &mut [u8]) -> usize {
        self.polls = 0;
        let n = buf.len().min(self.faults.get().chunk).min(self.inbox.len());
        for (to, from) in buf.iter_mut().zip(self.inbox.drain(..n)) {
            *to = from;
        }
        n
    }

    fn give(&mut self, buf: &[u8]) -> usize {
        if self.faults.get().takes_nothing {
            return 0;
        }
        let n = buf.len().min(self.faults.get().chunk);
        self.unflushed.extend(&buf[..n]);
        n
    }
}

impl<P> std::fmt::Debug for Wire<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("brought", &self.brought).finish_non_exhaustive()
    }
}

impl<P> ErrorType for Wire<P> {
    type Error = ErrorKind;
}

impl<P: Peer> embedded_io::Read for Wire<P> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        // It waits for a slow peer, and gives a silent one up.
        self.polls += self.faults.get().slow;
        match () {
            () if self.is_interrupted() => Err(ErrorKind::Interrupted),
            () if self.is_readable() => Ok(self.take(buf)),
            () => Err(ErrorKind::TimedOut),
        }
    }
}

impl<P: Peer> embedded_io::ReadReady for Wire<P> {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.is_readable())
    }
}

impl<P: Peer> embedded_io::Write for Wire<P> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        match () {
            () if self.is_interrupted() => Err(ErrorKind::Interrupted),
            () if self.faults.get().stuck => Err(ErrorKind::TimedOut),
            () => Ok(self.give(buf)),
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        if self.is_interrupted() {
            return Err(ErrorKind::Interrupted);
        }
        self.deliver();
        Ok(())
    }
}

impl<P: Peer> embedded_io::WriteReady for Wire<P> {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(!self.faults.get().stuck)
    }
}

/// Every call waits once before it does anything; dropping it there loses nothing.
impl<P: Peer> embedded_io_async::Read for Wire<P> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        once().await;
        if self.is_interrupted() {
            return Err(ErrorKind::Interrupted);
        }
        poll_fn(|cx| match self.is_readable() {
            true => Poll::Ready(Ok(self.take(buf))),
            false => {
                if self.faults.get().slow > 0 {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        })
        .await
    }
}

impl<P: Peer> embedded_io_async::Write for Wire<P> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        once().await;
        if self.is_interrupted() {
            return Err(ErrorKind::Interrupted);
        }
        if self.faults.get().stuck {
            std::future::pending::<()>().await;
        }
        Ok(self.give(buf))
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        embedded_io::Write::flush(self)
    }
}

async fn once() {
    let mut done = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut done, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Blocking,
    Async,
}

pub const KINDS: [Kind; 2] = [Kind::Blocking, Kind::Async];

pub type Heaped<P, N> = Stream<Wire<P>, N, Vec<u8>, Vec<u8>>;

pub fn buffers() -> Buffers<Vec<u8>, Vec<u8>> {
    Buffers { receive: vec![0; RECEIVE_BUFFER], send: vec![0; 4096] }
}

type Failed = Error<ErrorKind>;

impl Kind {
    pub fn connect<P: Peer, N: Negotiate<Side = Client>, I: Storage, O: Storage>(
        self,
        wire: Wire<P>,
        machine: N,
        tls: &ClientTls,
        buffers: Buffers<I, O>,
    ) -> Result<Stream<Wire<P>, N, I, O>, Failed> {
        use starttls_embedded_io::{connect, connect_async};
        match self {
            Self::Blocking => connect(wire, machine, tls, NAME, buffers),
            Self::Async => wait(connect_async(wire, machine, tls, NAME, buffers)),
        }
    }

    pub fn accept<P: Peer, N: Negotiate<Side = Server>, I: Storage, O: Storage>(
        self,
        wire: Wire<P>,
        machine: N,
        tls: &ServerTls,
        buffers: Buffers<I, O>,
    ) -> Result<Stream<Wire<P>, N, I, O>, Failed> {
        use starttls_embedded_io::{accept, accept_async};
        match self {
            Self::Blocking => accept(wire, machine, tls, buffers),
            Self::Async => wait(accept_async(wire, machine, tls, buffers)),
        }
    }

    pub fn read<S, E>(self, stream: &mut S, buf: &mut [u8]) -> Result<usize, E>
    where
        S: embedded_io::Read<Error = E> + embedded_io_async::Read,
    {
        match self {
            Self::Blocking => embedded_io::Read::read(stream, buf),
            Self::Async => wait(embedded_io_async::Read::read(stream, buf)),
        }
    }

    pub fn write<S, E>(self, stream: &mut S, buf: &[u8]) -> Result<usize, E>
    where
        S: embedded_io::Write<Error = E> + embedded_io_async::Write,
    {
        match self {
            Self::Blocking => embedded_io::Write::write(stream, buf),
            Self::Async => wait(embedded_io_async::Write::write(stream, buf)),
        }
    }

    pub fn flush<S, E>(self, stream: &mut S) -> Result<(), E>
    where
        S: embedded_io::Write<Error = E> + embedded_io_async::Write,
    {
        match self {
            Self::Blocking => embedded_io::Write::flush(stream),
            Self::Async => wait(embedded_io_async::Write::flush(stream)),
        }
    }

    /// Writes all, flushes, and reads as much.
    pub fn echo<P: Peer, N: Negotiate, I: Storage, O: Storage>(
        self,
        stream: &mut Stream<Wire<P>, N, I, O>,
        data: &[u8],
    ) -> Result<Vec<u8>, Failed> {
        let mut rest = data;
        while !rest.is_empty() {
            let n = self.write(stream, rest)?;
            rest = &rest[n..];
        }
        self.flush(stream)?;
        let (mut back, mut piece) = (Vec::new(), [0; 777]);
        while back.len() < data.len() {
            match self.read(stream, &mut piece)? {
                0 => break,
                n => back.extend(&piece[..n]),
            }
        }
        Ok(back)
    }

    pub fn close<P: Peer, N: Negotiate, I: Storage, O: Storage>(
        self,
        stream: Stream<Wire<P>, N, I, O>,
    ) -> Result<Wire<P>, Failed> {
        match self {
            Self::Blocking => stream.close(),
            Self::Async => wait(stream.close_async()),
        }
    }

    /// One read that ends when the clock says so.
    pub fn read_by<P: Peer, N: Negotiate>(
        self,
        stream: &mut Heaped<P, N>,
        clock: &Clock,
        end: u32,
    ) -> Result<usize, Failed> {
        let mut buf = [0; 100];
        match self {
            Self::Blocking => {
                let mut by: By<'_, _, _, _, _, _> = stream.by(clock.until(end));
                embedded_io::Read::read(&mut by, &mut buf)
            }
            Self::Async => {
                let mut by = stream.by(clock.timer(end));
                wait(embedded_io_async::Read::read(&mut by, &mut buf))
            }
        }
    }
}

/// Runs a future whose transports wake it, for so long as they do: one that waits for ever is found
/// out.
pub fn wait<R>(future: impl Future<Output = R>) -> R {
    let mut future = std::pin::pin!(future);
    let woken = Arc::new(Woken::default());
    let waker = std::task::Waker::from(woken.clone());
    let mut cx = std::task::Context::from_waker(&waker);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
            return result;
        }
        assert!(woken.0.swap(false, std::sync::atomic::Ordering::Relaxed), "waits for ever");
    }
}

#[derive(Default)]
struct Woken(std::sync::atomic::AtomicBool);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
