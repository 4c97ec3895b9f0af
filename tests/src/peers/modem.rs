//! A modem at the serial line of a [`Board`](super::Board), which reaches a server on this machine
//! whatever it dials, and has faults on order.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long the line has to be silent around the escape. The device waits twice as long.
const GUARD: Duration = Duration::from_millis(500);

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not.
    None,
    /// The modem says nothing to any command.
    Deaf,
    /// Dialling is answered with this.
    Answers(&'static str),
    /// Dialling is not answered.
    NoAnswer,
    /// Of what this side says, the octet behind so many is lost.
    Loses(Side, usize),
    /// Of what this side says, nothing arrives behind so many octets; nor does the end.
    Silences(Side, usize),
    /// The line is lost behind so many octets of this side.
    HangsUp(Side, usize),
}

/// Whose octets are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The device's.
    Device,
    /// The server's.
    Server,
}

/// What became of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// What was dialled.
    pub number: String,
    /// The octets that the device sent while connected, the escape among them if the server still
    /// was.
    pub from_device: usize,
    /// The octets that the server sent.
    pub from_server: usize,
    /// The device hung up, or saw that the server had.
    pub hung_up: bool,
}

/// A modem that was switched on. It lasts as long as its board is at the line.
#[derive(Debug)]
pub struct Modem {
    port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Modem {
    /// A modem that reaches the server at `port`, with the faults of the first calls.
    ///
    /// # Panics
    /// If there is no port for it.
    pub fn start(port: u16, faults: &[Fault]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let calls = Arc::default();
        let own = listener.local_addr().expect("an address").port();
        let mut line = Line {
            server: port,
            faults: faults.iter().copied().collect(),
            calls: Arc::clone(&calls),
            command: Vec::new(),
        };
        thread::spawn(move || {
            // Broken off by a board that halts.
            if let Ok((board, _)) = listener.accept() {
                drop(line.serve(&board));
            }
        });
        Self { port: own, calls }
    }

    /// A modem that reaches nobody.
    pub fn without_line() -> Self {
        Self::start(0, &[Fault::Answers("NO DIALTONE"); 16])
    }

    /// Where the board finds it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The calls so far.
    ///
    /// # Panics
    /// If its thread did.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("no panic").clone()
    }
}

struct Line {
    server: u16,
    faults: VecDeque<Fault>,
    calls: Arc<Mutex<Vec<Call>>>,
    command: Vec<u8>,
}

impl Line {
    /// Takes commands, until the board is gone.
    fn serve(&mut self, board: &TcpStream) -> std::io::Result<()> {
        board.set_nodelay(true)?;
        let mut octet = [0];
        loop {
            board.set_nonblocking(false)?;
            (&*board).read_exact(&mut octet)?;
            if octet != *b"\r" {
                self.command.extend(octet);
                continue;
            }
            let command = String::from_utf8_lossy(&std::mem::take(&mut self.command)).into_owned();
            // Whatever is before it is no command.
            let Some((_, command)) = command.split_once("AT") else { continue };
            let fault = self.faults.front().copied().unwrap_or(Fault::None);
            if fault == Fault::Deaf {
                if command == "E0V1" {
                    self.faults.pop_front();
                }
                continue;
            }
            let Some(number) = command.strip_prefix('D') else {
                if command.starts_with('H') {
                    self.call(|call| call.hung_up = true);
                }
                say(board, "OK")?;
                continue;
            };
            self.faults.pop_front();
            let call = Call { number: number.to_owned(), ..Call::default() };
            self.calls.lock().expect("no panic").push(call);
            match fault {
                Fault::Answers(answer) => say(board, answer)?,
                Fault::NoAnswer => {}
                fault => match TcpStream::connect(("127.0.0.1", self.server)) {
                    Err(_) => say(board, "NO CARRIER")?,
                    Ok(server) => {
                        say(board, "CONNECT 115200")?;
                        self.connected(board, &server, fault)?;
                    }
                },
            }
        }
    }

    /// Passes octets on, until either side hangs up.
    fn connected(
        &mut self,
        board: &TcpStream,
        server: &TcpStream,
        fault: Fault,
    ) -> std::io::Result<()> {
        server.set_nodelay(true)?;
        board.set_nonblocking(true)?;
        server.set_nonblocking(true)?;
        let mut from_device = Stretch::new(fault, Side::Device);
        let mut from_server = Stretch::new(fault, Side::Server);
        let mut escape = Escape::new();
        loop {
            let device = receive(board)?;
            let mut heard = receive(server).unwrap_or(None);
            let Some(said) = device else { return Ok(()) };
            if escape.is_complete(&said) {
                return say(board, "OK");
            }
            let idle = said.is_empty() && heard.as_ref().is_none_or(Vec::is_empty);
            let (said, lost) = from_device.pass(said);
            // A server that is gone is noticed by what it says no more.
            drop(send(server, &said));
            let mut lost = lost;
            if let Some(octets) = &mut heard {
                let (passed, broken) = from_server.pass(std::mem::take(octets));
                send(board, &passed)?;
                lost |= broken;
            }
            self.call(|call| {
                (call.from_device, call.from_server) = (from_device.seen, from_server.seen);
            });
            let ended = heard.is_none() && !from_server.is_silent();
            if ended || lost {
                return say(board, "NO CARRIER");
            }
            if idle {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn call(&self, change: impl FnOnce(&mut Call)) {
        self.calls.lock().expect("no panic").last_mut().map(change);
    }
}

/// The octets of one side, and the fault that they meet.
struct Stretch {
    seen: usize,
    fault: Fault,
}

impl Stretch {
    fn new(fault: Fault, side: Side) -> Self {
        let here = match fault {
            Fault::Loses(of, _) | Fault::Silences(of, _) | Fault::HangsUp(of, _) => of == side,
            _ => false,
        };
        Self { seen: 0, fault: if here { fault } else { Fault::None } }
    }

    /// What gets through, and whether the line is lost then.
    fn pass(&mut self, mut octets: Vec<u8>) -> (Vec<u8>, bool) {
        let before = self.seen;
        self.seen += octets.len();
        let left = |at: usize| at.checked_sub(before);
        match self.fault {
            Fault::Loses(_, at) if (before..self.seen).contains(&at) => {
                octets.remove(at - before);
            }
            Fault::Silences(_, at) => octets.truncate(left(at).unwrap_or(0)),
            Fault::HangsUp(_, at) if self.seen >= at => {
                octets.truncate(left(at).unwrap_or(0));
                return (octets, true);
            }
            _ => {}
        }
        (octets, false)
    }

    fn is_silent(&self) -> bool {
        matches!(self.fault, Fault::Silences(_, at) if self.seen > at)
    }
}

/// Looks for silence, `+++`, silence.
struct Escape {
    last: Instant,
    /// How many of the three stood behind a silence, and nothing else.
    plus: Option<usize>,
}

impl Escape {
    fn new() -> Self {
        Self { last: Instant::now(), plus: Some(0) }
    }

    fn is_complete(&mut self, said: &[u8]) -> bool {
        let silent = self.last.elapsed() >= GUARD;
        if said.is_empty() {
            return silent && self.plus == Some(3);
        }
        self.last = Instant::now();
        let before = if silent { Some(0) } else { self.plus };
        self.plus =
            before.filter(|_| said.iter().all(|&octet| octet == b'+')).map(|n| n + said.len());
        false
    }
}

/// What is there, without waiting; `None` at the end.
fn receive(mut stream: &TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => Ok(None),
        Ok(n) => Ok(Some(buffer[..n].to_vec())),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Some(Vec::new())),
        Err(error) => Err(error),
    }
}

/// Sends all of it, over a stream that may not wait.
fn send(mut stream: &TcpStream, mut octets: &[u8]) -> std::io::Result<()> {
    while !octets.is_empty() {
        match stream.write(octets) {
            Ok(n) => octets = &octets[n..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn say(board: &TcpStream, answer: &str) -> std::io::Result<()> {
    send(board, format!("\r\n{answer}\r\n").as_bytes())
}
