//! The answer to the request that asked for TLS, inside it (RFC 2817 §3.3).

use super::answer::{Answers, Heard, MAX_BODY};
use super::{HTTP, Method, refusal};
use crate::error::{Error, Misbehaviour};
use crate::inside::{Inside, Step};
use crate::negotiate::{Client, Server};
use crate::protocol::Row;
use crate::wire::{Frame, MAX_LINE, Out};

/// The client's side inside TLS: reads the answer to the end of its body.
#[derive(Debug, Default)]
pub struct InsideClient {
    answers: Answers,
}

impl InsideClient {
    /// A client that asked with OPTIONS.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Inside for InsideClient {
    type Side = Client;

    fn row(&self) -> &'static Row {
        &HTTP
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.answers.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        let heard = self.answers.next(frame)?;
        let code = self.answers.code();
        match heard {
            // Whatever its code: the request said nothing that matters.
            Heard::End => Ok(Step::Ready),
            Heard::Body(Some(length)) if length > MAX_BODY => {
                Err(Misbehaviour::FrameTooLong.into())
            }
            Heard::More | Heard::Final | Heard::Body(_) => Ok(Step::Frame),
            Heard::Switching(_) => Err(Misbehaviour::UnexpectedReply(code).into()),
            Heard::Last => Err(Error::PeerRefused(refusal(code, false))),
        }
    }
}

/// The server's side inside TLS, up to the first octet of a request for its application.
#[derive(Debug, Default)]
pub struct InsideServer {
    request: Option<Method>,
}

impl InsideServer {
    /// A server that was asked for TLS by this request ([`Server::request`](super::Server::request)),
    /// or had TLS from the first octet. OPTIONS is answered here. What was asked for by GET or HEAD
    /// is for the application to answer, at once.
    pub fn answering(request: Option<Method>) -> Self {
        Self { request }
    }
}

impl Inside for InsideServer {
    type Side = Server;

    fn row(&self) -> &'static Row {
        &HTTP
    }

    fn max_frame(&self) -> usize {
        1
    }

    fn start(&mut self, _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        match self.request {
            Some(Method::Get | Method::Head) => return Ok(Step::Ready),
            // RFC 9110 §9.3.7.
            Some(Method::Options) => out.put(&[b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])?,
            None => {}
        }
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], _: usize) -> Result<Frame, Error> {
        Ok(if input.is_empty() { Frame::Partial } else { Frame::Whole(1) })
    }

    /// A request that asks for TLS again is ignored in that (RFC 9110 §7.8), and answered by the
    /// application like any other.
    fn process(&mut self, _: &[u8], _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        Ok(Step::Application)
    }
}
